//! After `fork` the parent's queues are not the child's.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::pin::Pin;
use std::task::{Context, Waker};

use device::{PATIENCE, eventually, simulated};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use uaccel_runtime::{Error, OwnedWork, Runtime, Work};
use uaccel_sim::WarpConfig;

/// Runs `child` in a child process; it says whether all is well.
fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child only runs code that takes no lock another thread of the parent could hold: it checks a page, opens devices of its own, and exits.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
            // SAFETY: ends the process at once, without running what belongs to the parent.
            unsafe { libc::_exit(i32::from(!well)) }
        }
        ForkResult::Parent { child } => assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0)),
    }
}

#[test]
fn the_child_is_refused_and_can_open_its_own_while_the_parent_goes_on() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    lease.run(Work::nop()).unwrap();
    plan.hold();
    let job = runtime.submit(OwnedWork::copy(vec![5; 4096], vec![0; 4096])).unwrap();
    let mut job = Some(job);
    in_child(|| {
        let mut destination = [0; 10];
        let refused = |error: &Error| matches!(error, Error::Forked);
        let run = runtime.run(Work::copy(&[1; 10], &mut destination)).is_err_and(|error| refused(&error));
        let leased = lease.run(Work::nop()).is_err_and(|error| refused(&error));
        let submitted = runtime.submit(OwnedWork::nop()).is_err_and(|rejected| refused(&rejected.error));
        let waited = job.take().is_some_and(|job| job.wait().result.is_err_and(|error| refused(&error)));
        // A child opens devices for itself.
        let own = Runtime::builder().device("software").build().unwrap();
        own.run(Work::copy(&[1; 10], &mut destination)).unwrap();
        !runtime.is_home() && run && leased && submitted && waited && destination == [1; 10]
    });
    plan.release();
    let finished = job.take().unwrap().wait();
    assert_eq!(finished.into_output().unwrap().1, vec![5; 4096], "the parent's job is unharmed");
    lease.run(Work::nop()).unwrap();
}

#[test]
fn dropping_the_runtime_in_the_child_leaves_the_parent_alone() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    plan.hold();
    let job = runtime.submit(OwnedWork::copy(vec![5; 4096], vec![0; 4096])).unwrap();
    let mut both = Some((runtime, job));
    in_child(|| {
        drop(both.take());
        true
    });
    plan.release();
    let (runtime, job) = both.take().unwrap();
    assert_eq!(job.wait().into_output().unwrap().1, vec![5; 4096]);
    runtime.run(Work::nop()).unwrap();
}

#[test]
fn the_child_can_drop_a_future_that_has_ended_and_is_the_last_of_its_queue() {
    let (builder, _plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut job = Some(runtime.submit(OwnedWork::copy(vec![5; 64], vec![0; 64])).unwrap());
    eventually("the job ends", || Pin::new(job.as_mut().unwrap()).poll(&mut context).is_ready());
    drop(runtime);
    in_child(|| {
        drop(job.take());
        true
    });
    let finished = job.take().unwrap().wait();
    assert!(matches!(finished.result, Err(Error::Canceled)), "it is the parent's still, and has ended");
}
