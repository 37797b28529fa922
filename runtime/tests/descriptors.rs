//! Waiting for futures keeps no descriptors.

mod device;

use std::time::Duration;

use device::{PATIENCE, simulated};
use uaccel_runtime::OwnedWork;
use uaccel_sim::{Plan, Timing, WarpConfig};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc").count()
}

#[test]
fn slots_whose_jobs_were_slept_over_keep_no_descriptor() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.queues(1).deadline(PATIENCE).build().expect("the runtime starts");
    // Longer than anybody spins.
    plan.set(Plan::timed(Timing::fixed(Duration::from_millis(2))));
    let wait = || runtime.submit(OwnedWork::nop()).expect("there is room").wait().result.map(drop);
    wait().expect("done");
    let before = descriptors();
    for _ in 0..200 {
        wait().expect("done");
    }
    assert!(descriptors() <= before + 1, "{} descriptors, {before} before", descriptors());
}
