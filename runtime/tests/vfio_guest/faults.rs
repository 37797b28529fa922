//! Memory that the device may not reach, as the IOMMU sees it and as the caller is told.

use std::sync::Arc;
use std::time::Instant;

use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    Batch, Bus, Cells, Done, Driver, Fault, FaultKind, JobFlags, OpenQueue, Operation, Outcome, QueueRequest, Quiet,
    Status,
};
use uaccel_runtime::Error;
use uaccel_runtime::vfio::Road;

use crate::bench::{PATIENCE, bus, copy, device, noise, road, run, runtime};
use crate::guest::pages::{PAGE, Pages};

/// Whether queues work under a PASID on this road.
fn has_pasid() -> bool {
    matches!(road(), Road::Pasid | Road::OnDemand)
}

#[test]
fn a_fault_is_told_with_its_address_and_its_pasid() {
    let runtime = runtime();
    let (pages, mut destination) = (Pages::untouched_small(2 * PAGE), vec![0; 2 * PAGE]);
    pages.write(0, &noise(1, 2 * PAGE));
    pages.forbid(PAGE, PAGE);
    let error = run(&runtime, &copy(pages.start(), destination.as_mut_ptr(), 2 * PAGE)).unwrap_err();
    let hole = pages.at_offset(PAGE).addr() as u64;
    match error {
        Error::BadPointer { fault, pasid, .. } => {
            assert_eq!(fault, Fault { address: hole, kind: FaultKind::Read });
            assert_eq!(pasid.is_some(), has_pasid());
        }
        other => panic!("{other:?}"),
    }
    let text = error.to_string();
    assert!(text.contains(&format!("{hole:#x}")), "{text}");
    assert_eq!(text.contains("PASID"), has_pasid(), "{text}");
}

/// Nobody covers memory here: this is what stands between a device and memory when all of this crate is wrong.
#[test]
fn the_iommu_stops_a_device_at_memory_that_was_not_mapped_and_the_device_says_where() {
    let transport = bus().open(device()).unwrap();
    assert_eq!(transport.pasid().is_some(), has_pasid());
    let cells = Arc::new(Cells::new(1));
    let queue = WarpDriver.open(transport.clone(), cells.clone(), &QueueRequest::new(1)).unwrap();
    let OpenQueue { mut submitter, mut completer, .. } = queue;
    let (source, destination) = (noise(1, PAGE), Pages::untouched_small(PAGE));
    destination.write(0, &[0xa5; PAGE]);
    // SAFETY: slot 0 of a fresh table is free.
    unsafe {
        cells.build(0, |job| {
            (job.operation, job.flags) = (Operation::Copy, JobFlags::VOUCHED);
            (job.source, job.source_len) = (source.as_ptr(), PAGE);
            (job.destination, job.destination_len) = (destination.start(), PAGE);
        });
    }
    // SAFETY: one slot, just built, not in flight.
    let batch = unsafe { Batch::new(&cells, &[0]) };
    // SAFETY: source and destination live beyond the stop below, and nobody touches them meanwhile.
    assert_eq!(unsafe { submitter.submit(&batch) }.unwrap(), 1);
    let begun = Instant::now();
    let outcome: Outcome = loop {
        let mut places = [0];
        // SAFETY: the only completer of this table.
        let mut done = unsafe { Done::new(&cells, &mut places) };
        completer.poll(&mut done).unwrap();
        if !done.slots().is_empty() {
            // SAFETY: just answered.
            break unsafe { cells.outcome(0) };
        }
        assert!(begun.elapsed() < PATIENCE, "no answer");
        std::thread::yield_now();
    };
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    assert_eq!(outcome.status, Status::Fault);
    let first = source.as_ptr().addr() as u64;
    assert_eq!(outcome.fault, Some(Fault { address: first, kind: FaultKind::Read }));
    assert!(destination.read(0, PAGE) == [0xa5; PAGE], "nothing was written");
}
