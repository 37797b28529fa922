//! Waiting costs nothing.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use device::{PATIENCE, simulated};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use uaccel_runtime::{OwnedWork, Work};
use uaccel_sim::WarpConfig;

/// Processor time of this process so far.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.try_into().unwrap())
}

#[test]
fn a_pending_future_on_a_stalled_device_uses_no_processor() {
    let _alone = alone();
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    plan.hold();
    let mut job = pin!(runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap());
    assert!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_idle();
    plan.release();
}

#[test]
fn a_thread_that_waits_for_a_future_while_another_has_the_queue_uses_no_processor() {
    let _alone = alone();
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).queues(1).build().unwrap();
    plan.hold();
    let job = runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(|| runtime.run(Work::nop()).unwrap());
        threads.spawn(|| job.wait().result.unwrap());
        let _end = OnDrop(|| plan.release());
        assert_idle();
    });
}

/// Does something when it goes, also when that is because of a panic.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// One test at a time: it is the whole process's time that counts.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two seconds in which this process has nothing to do.
#[track_caller]
fn assert_idle() {
    // Workers spin for a while before they sleep.
    std::thread::sleep(Duration::from_millis(200));
    let before = used();
    std::thread::sleep(Duration::from_secs(2));
    let spent = used() - before;
    // A thread that polls all the time would use two seconds; a slow machine does not use more for a sleep.
    assert!(spent < Duration::from_millis(500), "{spent:?} of processor time in two seconds of waiting");
}
