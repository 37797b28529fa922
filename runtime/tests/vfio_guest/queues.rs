//! Queues of the device: how many, stopped, reset, late.

use std::time::{Duration, Instant};

use uaccel_queue::{Bus, Quiet, TransportError, Wake};
use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{builder, bus, counts, device, noise};
use crate::guest::held_answers::HeldAnswers;
use crate::guest::workload::Workload;

#[test]
fn there_are_as_many_queues_as_the_device_has_and_they_come_back() {
    let bus = bus();
    for _ in 0..3 {
        let mut queues = Vec::new();
        let error = loop {
            match bus.open(device()) {
                Ok(queue) => queues.push(queue),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, TransportError::Busy(_)), "{error}");
        assert_eq!(queues.len(), 16);
    }
}

#[test]
fn threads_with_queues_of_their_own_do_not_meet() {
    let runtime = builder().queues(4).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let runtime = &runtime;
            scope.spawn(move || {
                let mut lease = runtime.lease().unwrap();
                for round in 0..50 {
                    let source = noise(thread * 1000 + round, 30_000);
                    let mut destination = vec![0; source.len()];
                    lease.run(Work::copy(&source, &mut destination)).unwrap();
                    assert!(destination == source);
                }
            });
        }
    });
}

#[test]
fn a_queue_stopped_under_load_is_quiet_and_the_jobs_end_once() {
    let answers = HeldAnswers::default();
    let runtime = builder().driver(answers.driver()).queues(1).build().unwrap();
    let workload = Workload::new(&runtime, 3);
    let pinned = counts().bytes;
    for round in 0..10 {
        // Whether or not the device is through with them: none has ended here when the deadline passes.
        answers.hold(true);
        let start = || runtime.submit(OwnedWork::copy(vec![1; 4 << 20], vec![0; 4 << 20])).unwrap();
        let jobs: Vec<_> = (0..6).map(|_| start().with_deadline(Duration::ZERO)).collect();
        for job in jobs.into_iter().rev() {
            let finished = job.wait();
            assert!(matches!(finished.result, Err(Error::Deadline(_))), "{:?}", finished.result);
            let (_, destination, ()) = finished.buffers.expect("the device is quiet");
            assert_eq!(destination.len(), 4 << 20);
        }
        answers.hold(false);
        workload.round(&mut runtime.lease().unwrap(), round).unwrap();
        assert_eq!(counts().bytes, pinned, "nothing stays pinned of jobs that were taken back");
    }
    let counters = runtime.counters();
    assert_eq!((counters.deadlines, counters.resets, counters.lost), (10 * 6, 10, 0));
}

#[test]
fn a_revoked_queue_has_no_registers_and_sleeps_end() {
    let queue = bus().open(device()).unwrap();
    let registers = queue.regions()[0].clone();
    assert_ne!(registers.read(0), 0, "an identification");
    assert_eq!(queue.stop(Duration::from_secs(1)).unwrap(), Quiet::Proven);
    assert_eq!(registers.read(0), 0);
    assert_eq!(queue.sleep(Some(Instant::now() + Duration::from_millis(10))).unwrap(), Wake::TimedOut);
    queue.reset(Duration::from_secs(1)).unwrap();
    assert_ne!(registers.read(0), 0);
}
