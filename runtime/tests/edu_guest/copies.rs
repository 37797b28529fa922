//! Copies, as an application makes them.

use uaccel_runtime::vfio::VfioBus;
use uaccel_runtime::{AddressMode, Error, OwnedWork, Work};

use crate::bench::{device, mode, runtime};
use crate::guest::child::Child;
use crate::guest::jobs::{eventually, noise};
use uaccel_queue::{Bus, TransportError};

#[test]
fn the_queue_says_how_its_addresses_reach_memory() {
    let runtime = runtime();
    let mut destination = [0; 10];
    runtime.run(Work::copy(&[1; 10], &mut destination)).unwrap();
    assert_eq!(runtime.granted().address_mode, mode());
}

#[test]
fn its_signals_are_the_best_interrupts_that_there_are() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    // `vfio_pci_intrs.c` names what it asks for; without messages (`pci=nomsi`) it is the line.
    let wanted = std::env::var("UACCEL_TEST_INTERRUPTS").unwrap_or_else(|_| "vfio-msi[0]".to_owned());
    let table = std::fs::read_to_string("/proc/interrupts").expect("the kernel's table");
    assert!(table.lines().any(|line| line.contains(&wanted)), "no {wanted} in\n{table}");
}

#[test]
fn plain_pointers_are_copied_whatever_their_alignment_and_pages() {
    let runtime = runtime();
    let source = noise(1, 20_000);
    let mut destination = vec![0xee; 20_000];
    for (from, to, len) in [(0, 0, 1), (1, 2, 4095), (4000, 7, 4097), (3, 4096, 12_289)] {
        runtime.run(Work::copy(&source[from..from + len], &mut destination[to..to + len])).unwrap();
        assert!(destination[to..to + len] == source[from..from + len], "{len} bytes from {from} to {to}");
        assert!(destination[to + len..].iter().all(|byte| *byte == 0xee), "beyond {len} bytes at {to}");
        destination.fill(0xee);
    }
}

#[test]
fn owned_jobs_go_side_by_side_and_keep_apart() {
    let runtime = runtime();
    let jobs: Vec<_> = (0..8)
        .map(|number| runtime.submit(OwnedWork::copy(noise(number, 9000), vec![0; 9000])).expect("room for eight"))
        .collect();
    for (number, job) in (0..8).zip(jobs) {
        let (_, destination) = job.wait().into_output().unwrap();
        assert!(destination == noise(number, 9000), "job {number}");
    }
}

#[test]
fn what_it_does_not_offer_is_an_error_that_names_it() {
    let mut destination = [0; 10];
    match runtime().run(Work::fill(&mut destination, 7)) {
        Err(Error::UnsupportedOperation { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_copy_costs_two_mappings_or_where_data_is_bounced_none() {
    let runtime = runtime();
    let counts = || VfioBus::new().counts(device()).expect("the device is open");
    let mut destination = [0; 10_000];
    let mut copy = || runtime.run(Work::copy(&[1; 10_000], &mut destination)).unwrap();
    copy();
    let before = counts();
    copy();
    let after = counts();
    let mapped = if mode() == AddressMode::Bounced { 0 } else { 2 };
    assert_eq!((after.covered - before.covered, after.bytes), (mapped, before.bytes), "{after:?}");
    assert_eq!(after.bytes != 0, mode() == AddressMode::Bounced, "bounce memory is all that stays: {after:?}");
}

#[test]
fn a_process_killed_in_the_middle_of_a_copy_leaves_the_device_usable() {
    let opens = || match VfioBus::new().open(device()) {
        Ok(_) => true,
        Err(TransportError::Busy(_)) => false,
        Err(error) => panic!("{error}"),
    };
    eventually("the device is free", opens);
    let child = Child::run(|| {
        let runtime = runtime();
        let mut destination = vec![0; 200_000];
        loop {
            runtime.run(Work::copy(&vec![1; 200_000], &mut destination)).unwrap();
        }
    });
    eventually("the child has the device", || !opens());
    child.kill();
    eventually("the device is free", opens);
    let mut destination = [0; 5000];
    runtime().run(Work::copy(&[7; 5000], &mut destination)).unwrap();
    assert_eq!(destination, [7; 5000]);
}
