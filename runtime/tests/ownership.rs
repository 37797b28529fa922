//! Who owns memory in flight: the rules that hold whatever the caller and the device do.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use device::{DEADLINE, Tracked, engine, eventually, simulated};
use uaccel_runtime::{Error, Fallback, OwnedWork, Runtime, Work};
use uaccel_sim::{Mishap, Plan, WarpConfig, When};

/// Long enough for the engine to do what it must not do.
const GRACE: Duration = Duration::from_millis(50);

/// An engine that begins its first job, so that it cannot be cancelled, and never answers it.
fn begun_and_never_answered() -> Plan {
    Plan::default().with(When::Nth(1), Mishap::LostCompletion)
}

#[test]
fn a_borrowed_call_on_a_stalled_engine_ends_at_its_deadline_and_nothing_is_written_afterwards() {
    let (runtime, plan) = engine();
    plan.hold();
    let source = vec![0xAA; 64 << 10];
    let mut destination = vec![0x55; 64 << 10];
    let result = runtime.run(Work::copy(&source, &mut destination));
    assert!(matches!(result, Err(Error::Deadline(DEADLINE))), "{result:?}");
    plan.release();
    std::thread::sleep(GRACE);
    assert!(destination.iter().all(|byte| *byte == 0x55), "the engine wrote after the call had returned");

    runtime.run(Work::copy(&source, &mut destination)).expect("the queue is usable afterwards");
    assert_eq!(source, destination);
    assert_eq!(runtime.counters().deadlines, 1);
}

#[test]
fn a_dropped_future_keeps_its_buffers_until_the_engine_has_finished() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(device::PATIENCE).build().unwrap();
    plan.hold();
    let (source, source_dropped) = Tracked::new(vec![1; 4096]);
    let (destination, destination_dropped) = Tracked::new(vec![0; 4096]);
    let job = runtime.submit(OwnedWork::copy(source, destination)).unwrap();
    drop(job);
    std::thread::sleep(GRACE);
    assert!(!source_dropped.load(Ordering::SeqCst), "source freed under the engine");
    assert!(!destination_dropped.load(Ordering::SeqCst), "destination freed under the engine");
    plan.release();
    eventually("both buffers are freed", || {
        source_dropped.load(Ordering::SeqCst) && destination_dropped.load(Ordering::SeqCst)
    });
    assert_eq!(runtime.counters().abandoned, 1);
}

#[test]
fn a_forgotten_future_keeps_its_buffers() {
    let (runtime, plan) = engine();
    plan.hold();
    let (source, source_dropped) = Tracked::new(vec![1; 4096]);
    let (destination, destination_dropped) = Tracked::new(vec![0; 4096]);
    std::mem::forget(runtime.submit(OwnedWork::copy(source, destination)).unwrap());
    plan.release();
    std::thread::sleep(GRACE);
    assert!(!source_dropped.load(Ordering::SeqCst) && !destination_dropped.load(Ordering::SeqCst));
    // Other jobs of the queue go on.
    assert!(runtime.submit(OwnedWork::nop()).unwrap().wait().result.is_ok());
}

#[test]
fn an_abandoned_job_is_taken_back_at_its_deadline() {
    let (runtime, plan) = engine();
    plan.hold();
    let (destination, dropped) = Tracked::new(vec![0; 4096]);
    drop(runtime.submit(OwnedWork::copy(vec![1; 4096], destination)).unwrap());
    eventually("the reactor takes the job back", || dropped.load(Ordering::SeqCst));
    plan.release();
    assert!(runtime.submit(OwnedWork::nop()).unwrap().wait().result.is_ok());
}

#[test]
fn a_panic_in_a_scope_waits_for_what_was_lent() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(device::PATIENCE).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    let source = vec![0xAA; 64 << 10];
    let mut destination = vec![0x55; 64 << 10];
    plan.hold();
    let release = std::thread::spawn({
        let plan = plan.clone();
        move || {
            std::thread::sleep(GRACE);
            plan.release();
        }
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        lease.scope(|scope| {
            scope.copy(&source, &mut destination).unwrap();
            assert_eq!(scope.submit().unwrap(), 1);
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    // The scope has unwound, so the engine must be through: the copy is there, whole.
    assert_eq!(source, destination, "the scope unwound before the engine had finished");
    release.join().unwrap();
    lease.run(Work::nop()).expect("the lease is usable afterwards");
}

#[test]
fn a_scope_answers_everything_that_was_submitted_before_it_ends() {
    let (runtime, _plan) = engine();
    let source = vec![3; 1 << 20];
    let mut destinations = vec![vec![0; 1 << 20]; 8];
    let mut lease = runtime.lease().unwrap();
    lease
        .scope(|scope| {
            for destination in &mut destinations {
                scope.copy(&source, destination).unwrap();
            }
            assert_eq!(scope.submit().unwrap(), 8);
        })
        .unwrap();
    assert!(destinations.iter().all(|destination| *destination == source));
}

#[test]
fn a_deadline_of_a_future_gives_the_buffers_back() {
    let (runtime, plan) = engine();
    plan.hold();
    let finished = runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap().wait();
    assert!(matches!(finished.result, Err(Error::Deadline(_))), "{:?}", finished.result);
    let (source, _, ()) = finished.buffers.expect("the engine was proven quiet");
    assert_eq!(source, vec![7; 4096]);
    plan.release();
    let finished = runtime.submit(OwnedWork::copy(source, vec![0; 4096])).unwrap().wait();
    assert_eq!(finished.into_output().unwrap().1, vec![7; 4096]);
}

#[test]
fn an_engine_that_does_not_stop_keeps_owned_buffers_for_ever_and_the_caller_is_told() {
    let (runtime, plan) = engine();
    plan.set(Plan { deaf: true, ..begun_and_never_answered() });
    let (destination, dropped) = Tracked::new(vec![0; 4096]);
    let finished = runtime.submit(OwnedWork::copy(vec![7; 4096], destination)).unwrap().wait();
    assert!(matches!(finished.result, Err(Error::Lost { .. })), "{:?}", finished.result);
    assert!(finished.buffers.is_none());
    assert_eq!(runtime.counters().lost, 1);
    plan.set(Plan::default());
    std::thread::sleep(GRACE);
    assert!(!dropped.load(Ordering::SeqCst), "a lost buffer is never freed");
    // The device itself is not given up: another queue serves the next job.
    assert!(runtime.submit(OwnedWork::nop()).unwrap().wait().result.is_ok());
}

#[test]
fn a_borrowed_call_stays_while_the_engine_does_not_let_go() {
    let (runtime, plan) = engine();
    plan.set(Plan { deaf: true, ..begun_and_never_answered() });
    let caller = std::thread::spawn({
        let runtime = runtime.clone();
        move || {
            let source = vec![1; 4096];
            let mut destination = vec![0; 4096];
            runtime.run(Work::copy(&source, &mut destination))
        }
    });
    std::thread::sleep(DEADLINE * 5);
    assert!(!caller.is_finished(), "the call returned while the engine could still write");
    plan.deafen(false);
    let result = caller.join().unwrap();
    assert!(matches!(result, Err(Error::Deadline(_))), "{result:?}");
}

#[test]
fn a_runtime_dropped_with_jobs_in_flight_stops_the_engine_before_it_frees_anything() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(device::PATIENCE).build().unwrap();
    plan.hold();
    let (destination, dropped) = Tracked::new(vec![0; 4096]);
    drop(runtime.submit(OwnedWork::copy(vec![7; 4096], destination)).unwrap());
    drop(runtime);
    eventually("the buffers are freed after the stop", || dropped.load(Ordering::SeqCst));
}

#[test]
fn a_runtime_dropped_with_a_deaf_engine_leaks() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(device::PATIENCE).build().unwrap();
    plan.hold();
    plan.deafen(true);
    let (destination, dropped) = Tracked::new(vec![0; 4096]);
    drop(runtime.submit(OwnedWork::copy(vec![7; 4096], destination)).unwrap());
    drop(runtime);
    // The queue is closed by the reactor, which gives the stop its second.
    std::thread::sleep(Duration::from_secs(2));
    assert!(!dropped.load(Ordering::SeqCst), "freed although the engine may still write");
}

#[test]
fn a_future_outlives_its_runtime() {
    let (runtime, plan) = engine();
    plan.hold();
    let job = runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap();
    drop(runtime);
    plan.release();
    assert_eq!(job.wait().into_output().unwrap().1, vec![7; 4096]);
}

#[test]
fn a_full_queue_is_back_pressure_and_gives_the_job_back() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.depth(4).queues(1).deadline(device::PATIENCE).build().unwrap();
    plan.hold();
    let mut jobs = Vec::new();
    let rejected = loop {
        match runtime.submit(OwnedWork::copy(vec![jobs.len() as u8; 64], vec![0; 64])) {
            Ok(job) => jobs.push(job),
            Err(rejected) => break rejected,
        }
        assert!(jobs.len() <= 4);
    };
    assert!(matches!(rejected.error, Error::QueueFull), "{:?}", rejected.error);
    plan.release();
    for (index, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.wait().into_output().unwrap().1, vec![index as u8; 64]);
    }
    let retried = runtime.submit(rejected.work).expect("there is room again");
    assert_eq!(retried.wait().into_output().unwrap().1, vec![4; 64]);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_borrowed_call_beside_a_queue_full_of_futures_takes_another_queue_or_the_cpu() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.clone().depth(2).queues(2).deadline(device::PATIENCE).build().unwrap();
    let jobs: Vec<_> = (0..2).map(|_| runtime.submit(OwnedWork::nop()).unwrap()).collect();
    runtime.run(Work::nop()).expect("another queue has room");

    let runtime = builder.depth(2).queues(1).fallback(Fallback::OnError).deadline(device::PATIENCE).build().unwrap();
    plan.hold();
    let held: Vec<_> = (0..2).map(|_| runtime.submit(OwnedWork::nop()).unwrap()).collect();
    let mut destination = [0; 4];
    runtime.run(Work::copy(&[1; 4], &mut destination)).expect("the CPU has room");
    assert_eq!((destination, runtime.counters().fallbacks), ([1; 4], 1));
    plan.release();
    assert!(jobs.into_iter().chain(held).all(|job| job.wait().result.is_ok()));
}

#[test]
fn a_pending_future_is_woken_by_the_reactor() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(device::PATIENCE).build().unwrap();
    plan.hold();
    let job = runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut job = pin!(job);
    assert!(job.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    plan.release();
    eventually("the future is woken", || woken.0.load(Ordering::SeqCst));
    let Poll::Ready(finished) = job.poll(&mut Context::from_waker(&waker)) else { panic!("woken for nothing") };
    assert_eq!(finished.into_output().unwrap().1, vec![7; 4096]);
}

#[test]
fn a_future_that_has_ended_leaves_the_next_job_in_its_slot_alone() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.queues(1).depth(1).deadline(device::PATIENCE).build().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut ended = pin!(runtime.submit(OwnedWork::copy(vec![1; 64], Tracked::new(vec![0; 64]).0)).unwrap());
    eventually("the first job ends", || ended.as_mut().poll(&mut context).is_ready());
    plan.hold();
    let (destination, dropped) = Tracked::new(vec![0; 64]);
    let next = runtime.submit(OwnedWork::copy(vec![2; 64], destination)).expect("the only slot is free");
    let Poll::Ready(finished) = ended.as_mut().poll(&mut context) else { panic!("it has ended") };
    assert!(matches!(finished.result, Err(Error::Canceled)) && finished.buffers.is_none());
    ended.set(next);
    assert!(!dropped.load(Ordering::SeqCst), "its buffers went with the future that had ended");
    plan.release();
    eventually("the next job ends", || match ended.as_mut().poll(&mut context) {
        Poll::Ready(finished) => {
            assert_eq!(finished.into_output().unwrap().1.bytes, vec![2; 64]);
            true
        }
        Poll::Pending => false,
    });
}

#[test]
fn a_job_overtakes_one_that_is_late() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(device::PATIENCE).build().unwrap();
    plan.set(Plan::default().with(When::Nth(1), Mishap::LateCompletion(2)));
    let late = runtime.submit(OwnedWork::copy(vec![1; 64], vec![0; 64])).unwrap();
    let next = runtime.submit(OwnedWork::copy(vec![2; 64], vec![0; 64])).unwrap();
    assert_eq!(next.wait().into_output().unwrap().1, vec![2; 64]);
    let last = runtime.submit(OwnedWork::copy(vec![3; 64], vec![0; 64])).unwrap();
    assert_eq!(late.wait().into_output().unwrap().1, vec![1; 64]);
    assert_eq!(last.wait().into_output().unwrap().1, vec![3; 64]);
}

#[test]
fn an_owned_job_and_a_lease_share_a_queue() {
    let (builder, _plan) = simulated(WarpConfig::default());
    let runtime = builder.queues(1).deadline(device::PATIENCE).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    let job = lease.submit(OwnedWork::copy(vec![9; 4096], vec![0; 4096])).unwrap();
    lease.run(Work::nop()).unwrap();
    assert_eq!(job.wait().into_output().unwrap().1, vec![9; 4096]);
    lease.run(Work::nop()).unwrap();
}

#[test]
fn what_a_full_queue_refuses_comes_back_and_can_be_pushed_again() {
    let runtime = Runtime::builder().device("software").depth(1).build().unwrap();
    let source = vec![7; 100];
    let (mut first, mut second) = (vec![0; 100], vec![0; 100]);
    runtime
        .lease()
        .unwrap()
        .scope(|scope| {
            scope.push(Work::copy(&source, &mut first)).unwrap();
            let refused = scope.push(Work::copy(&source, &mut second)).unwrap_err();
            assert!(matches!(refused.error, Error::QueueFull), "{refused:?}");
            scope.finish(|answer| assert!(answer.is_ok())).unwrap();
            scope.push(refused.work).unwrap();
            scope.finish(|answer| assert!(answer.is_ok())).unwrap();
        })
        .unwrap();
    assert_eq!([&first, &second], [&source, &source]);
}
