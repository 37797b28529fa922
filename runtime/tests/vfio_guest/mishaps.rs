//! Errors of the device, and interrupts that do not come.

use std::time::{Duration, Instant};

use uaccel_runtime::{Error, Outcome, OwnedWork, Work};

use crate::bench::{PATIENCE, builder, counts, noise, runtime};
use crate::device_file;
use crate::guest::held_answers::HeldAnswers;
use crate::guest::workload::Workload;

/// Waits until something works again, and says what it said last if it does not.
#[track_caller]
fn works(what: &str, mut run: impl FnMut() -> Result<Outcome, Error>) {
    let begun = Instant::now();
    while let Err(error) = run() {
        assert!(begun.elapsed() < PATIENCE, "{what} does not work again: {error:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_uncorrectable_error_under_load_fails_each_job_once_and_the_device_carries_on() {
    let answers = HeldAnswers::default();
    let runtime = builder().driver(answers.driver()).queues(2).build().unwrap();
    let workload = Workload::new(&runtime, 5);
    let mut lease = runtime.lease().unwrap();
    workload.round(&mut lease, 0).unwrap();
    runtime.run(Work::nop()).unwrap();
    let pinned = counts().bytes;
    for round in 1..6 {
        // Whether or not the device is through with them: none has ended here when the error comes.
        answers.hold(true);
        let jobs: Vec<_> =
            (0..8).map(|_| runtime.submit(OwnedWork::copy(vec![1; 1 << 20], vec![0; 1 << 20])).unwrap()).collect();
        device_file::report_an_error();
        for job in jobs {
            let finished = job.wait();
            let error = finished.result.unwrap_err();
            assert!(error.is_device_failure(), "{error:?}");
            assert!(finished.buffers.is_some(), "the device was reset");
        }
        answers.hold(false);
        // The lease's queue was idle, and was taken away with all others.
        works("the lease", || lease.run(Work::nop()));
        works("the runtime", || runtime.run(Work::nop()));
        workload.round(&mut lease, round).unwrap();
        assert_eq!(counts().bytes, pinned, "nothing stays pinned of jobs that failed");
    }
    assert_eq!(runtime.counters().lost, 0);
}

#[test]
fn interrupts_that_do_not_come_hold_nobody_up_for_ever() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    let interrupts = || std::fs::read_to_string("/proc/interrupts").unwrap().matches("vfio-msix").count();
    assert!(interrupts() > 0);
    device_file::lose_interrupts();
    assert_eq!(interrupts(), 0);
    let source = noise(1, 4 << 20);
    let mut destination = vec![0; source.len()];
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert!(destination == source);
    // Waited for one after the other, on this thread and by the runtime's own.
    let jobs: Vec<_> =
        (0..8).map(|n| runtime.submit(OwnedWork::copy(vec![n; 4 << 20], vec![0; 4 << 20])).expect("room")).collect();
    for (n, job) in (0..).zip(jobs) {
        let (_, destination, ()) = job.wait().buffers.expect("they come back");
        assert!(destination == vec![n; 4 << 20]);
    }
    let abandoned = runtime.submit(OwnedWork::copy(vec![1; 4 << 20], vec![0; 4 << 20])).unwrap();
    drop(abandoned);
    drop(runtime);
    // Whoever opens the device next has interrupts again.
    let runtime = self::runtime();
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
}
