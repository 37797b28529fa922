//! Waiting costs nothing.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use device::{PATIENCE, simulated};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use uaccel_runtime::OwnedWork;
use uaccel_sim::WarpConfig;

/// Processor time of this process so far.
fn used() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.try_into().unwrap())
}

#[test]
fn a_pending_future_on_a_stalled_device_uses_no_processor() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    plan.hold();
    let mut job = pin!(runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap());
    assert!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    // Workers spin for a while before they sleep.
    std::thread::sleep(Duration::from_millis(200));
    let before = used();
    std::thread::sleep(Duration::from_secs(2));
    let spent = used() - before;
    // A thread that polls all the time would use two seconds; a slow machine does not use more for a sleep.
    assert!(spent < Duration::from_millis(500), "{spent:?} of processor time in two seconds of waiting");
    plan.release();
}
