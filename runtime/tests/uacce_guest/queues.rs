//! Queues: opened, scarce, two of one process.

use std::sync::Arc;
use std::time::Duration;

use uaccel_queue::{Bus, Quiet, RegionKind, Transport, TransportError};
use uaccel_runtime::uacce::UacceBus;
use uaccel_runtime::{Error, OwnedWork, Runtime, Verdict, Work};

use crate::bench::{DEVICE, PATIENCE, builder, eventually, noise, number, runtime};
use crate::held_answers::HeldAnswers;
use crate::pages::Pages;
use crate::workload::Workload;

#[test]
fn queues_that_are_all_in_use_are_busy_and_come_back() {
    let bus = UacceBus::new();
    let free = number("available_instances");
    let held: Vec<Arc<dyn Transport>> = (0..free).map(|_| bus.open(DEVICE).expect("a queue is free")).collect();
    assert_eq!(number("available_instances"), 0);
    assert!(matches!(bus.open(DEVICE), Err(TransportError::Busy(device)) if device == DEVICE));
    // Whoever looks at the device now is told, and what is not asked for by name goes elsewhere.
    let report = Runtime::builder().report();
    let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
    assert!(matches!(&entry.verdict, Verdict::Unusable { reason, .. } if reason.contains("in use")), "{report}");
    drop(held);
    eventually("the queues are back", || number("available_instances") == free);
    runtime().run(Work::nop()).unwrap();
}

#[test]
fn threads_wait_for_the_queues_that_others_leave() {
    let bus = UacceBus::new();
    let free = number("available_instances");
    let _held: Vec<_> = (0..free - 2).map(|_| bus.open(DEVICE).expect("a queue is free")).collect();
    let runtime = builder().queues(8).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let runtime = &runtime;
            scope.spawn(move || {
                for _ in 0..10 {
                    let mut destination = [0; 5000];
                    runtime.lease().unwrap().run(Work::copy(&[thread; 5000], &mut destination)).unwrap();
                    assert_eq!(destination, [thread; 5000]);
                }
            });
        }
    });
    assert_eq!(number("available_instances"), 0, "the runtime has the two that were left");
}

#[test]
fn two_queues_of_one_process_share_its_address_space_and_one_outlives_the_other() {
    const LEN: usize = 1 << 20;
    let (first, second) = (builder().queues(1).build().unwrap(), builder().queues(1).build().unwrap());
    let source: Arc<[u8]> = noise(1, LEN).into();
    let start = |runtime: &Runtime| -> Vec<_> {
        // Destinations that nobody has touched: both queues have page requests out.
        let destination = || Pages::untouched_small(LEN);
        (0..16).map(|_| runtime.submit(OwnedWork::copy(source.clone(), destination())).unwrap()).collect()
    };
    let requests = number("device/page_requests");
    let (gone, kept) = (start(&first), start(&second));
    eventually("page requests come", || number("device/page_requests") > requests);
    drop(gone);
    drop(first);
    for job in kept {
        assert!(job.wait().into_output().unwrap().1.read(0, LEN) == *source);
    }
    assert_eq!(second.counters().resets, 0);
}

#[test]
fn jobs_taken_back_at_a_deadline_give_their_buffers_back_and_the_next_ones_are_well() {
    const LEN: usize = 4 << 20;
    let answers = HeldAnswers::default();
    let runtime = builder().driver(answers.driver()).queues(1).build().unwrap();
    let workload = Workload::new(&runtime, 3);
    let free = number("available_instances");
    let source: Arc<[u8]> = noise(2, LEN).into();
    for round in 0..5 {
        // Whether or not the device is through with them: none has ended here when the deadline passes.
        answers.hold(true);
        // A thousand page requests each: most have not even begun when the kernel stops the queue.
        let start = || runtime.submit(OwnedWork::copy(source.clone(), Pages::untouched_small(LEN))).unwrap();
        let jobs: Vec<_> = (0..8).map(|_| start().with_deadline(Duration::ZERO)).collect();
        for job in jobs.into_iter().rev() {
            let finished = job.wait();
            assert!(matches!(finished.result, Err(Error::Deadline(_))), "{:?}", finished.result);
            assert!(finished.buffers.is_some(), "the kernel has stopped the queue");
        }
        answers.hold(false);
        workload.round(&mut runtime.lease().unwrap(), round).unwrap();
        assert_eq!(number("available_instances"), free, "a reset queue takes one other place");
    }
    let counters = runtime.counters();
    assert_eq!((counters.deadlines, counters.resets, counters.lost), (5 * 8, 5, 0));
}

#[test]
fn a_reset_finds_a_queue_where_all_others_are_taken_and_its_registers_where_they_were() {
    const IDENT: usize = 0;
    let bus = UacceBus::new();
    let free = number("available_instances");
    let transport = bus.open(DEVICE).unwrap();
    let _others: Vec<_> = (1..free).map(|_| bus.open(DEVICE).expect("a queue is free")).collect();
    let registers = transport.region(RegionKind::User).expect("registers").clone();
    let ident = registers.read(IDENT);
    assert_eq!(ident as u32, u32::from_le_bytes(*b"WARP"));
    for _ in 0..5 {
        assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
        assert_eq!(registers.read(IDENT), 0, "the queue is somebody else's now, for all we know");
        assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven, "stopping again changes nothing");
        transport.reset(PATIENCE).unwrap();
        assert_eq!(registers.read(IDENT), ident);
        assert!(transport.is_alive());
    }
}

#[test]
fn a_dropped_transport_gives_its_queue_back_though_its_registers_are_kept() {
    let free = number("available_instances");
    let transport = UacceBus::new().open(DEVICE).unwrap();
    let registers = transport.region(RegionKind::User).expect("registers").clone();
    let ring = transport.ring_memory(4096).unwrap();
    assert_eq!(number("available_instances"), free - 1);
    drop(transport);
    assert_eq!(number("available_instances"), free);
    assert_eq!((registers.read(0), ring.read(0)), (0, 0), "memory without effect");
}
