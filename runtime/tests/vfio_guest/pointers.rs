//! Pointers of every kind, to memory that the device is given for the time of a job.

use std::fs::File;
use std::io::Read;

use nix::sys::mman::MapFlags;
use uaccel_queue::{AddressMode, FaultKind};
use uaccel_runtime::vfio::Road;
use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{builder, copy, counts, crc32c, fill, noise, road, run, runtime};
use crate::guest::mapped_again;
use crate::guest::pages::{PAGE, Pages};
use crate::guest::workload::Workload;

static RODATA: [u8; 10_000] = [0x5a; 10_000];

#[test]
fn the_mode_is_said_honestly() {
    let mode = if road() == Road::OnDemand { AddressMode::OnDemandPinned } else { AddressMode::IdentityPinned };
    assert_eq!(runtime().granted().address_mode, mode);
}

#[test]
fn heap_and_stack_and_constants() {
    let runtime = runtime();
    let source: [u8; 9000] = std::array::from_fn(|at| at as u8);
    let mut destination = vec![0; 9000];
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert!(destination == source);
    let mut destination = [0; RODATA.len()];
    runtime.run(Work::copy(&RODATA, &mut destination)).unwrap();
    assert_eq!(destination, RODATA);
}

#[test]
fn jobs_of_every_kind_give_what_other_libraries_give() {
    let runtime = runtime();
    let workload = Workload::new(&runtime, 1);
    let mut lease = runtime.lease().unwrap();
    for seed in 0..20 {
        workload.round(&mut lease, seed).unwrap();
    }
}

#[test]
fn memory_that_nobody_has_touched_is_pinned_and_written() {
    let runtime = runtime();
    let bytes = noise(1, 64 * PAGE);
    let destination = Pages::untouched_small(64 * PAGE);
    run(&runtime, &copy(bytes.as_ptr(), destination.start(), bytes.len())).unwrap();
    assert!(destination.read(0, 64 * PAGE) == bytes);
}

#[test]
fn a_private_mapping_of_a_file_is_copied_on_write() {
    let runtime = runtime();
    let path = std::env::temp_dir().join("private");
    let before = noise(3, 2 * PAGE);
    std::fs::write(&path, &before).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let private = Pages::of_file(&file, 2 * PAGE, MapFlags::MAP_PRIVATE);
    assert!(private.read(0, 2 * PAGE) == before);
    let bytes = noise(4, PAGE);
    run(&runtime, &copy(bytes.as_ptr(), private.start(), PAGE)).unwrap();
    assert!(private.read(0, PAGE) == bytes);
    let mut content = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut content).unwrap();
    assert!(content == before, "the file is as it was");
}

#[test]
fn nothing_stays_pinned_that_no_job_uses() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    let before = counts().bytes;
    assert!(before > 0, "rings are pinned");
    let (source, mut destination) = (noise(1, 1 << 20), vec![0; 1 << 20]);
    for _ in 0..10 {
        runtime.run(Work::copy(&source, &mut destination)).unwrap();
    }
    let jobs: Vec<_> =
        (0..20).map(|n| runtime.submit(OwnedWork::copy(vec![n; 50_000], vec![0; 50_000])).unwrap()).collect();
    jobs.into_iter().for_each(|job| assert!(job.wait().result.is_ok()));
    let after = counts();
    assert!(after.covered >= 60, "{after:?}");
    assert_eq!(after.bytes, before, "{after:?}");
}

#[test]
fn other_memory_at_the_same_address_is_what_the_device_sees() {
    const PLACE: usize = 0x5000_0000_0000;
    let runtime = runtime();
    for round in 0..20 {
        let pages = Pages::at(PLACE, 4 * PAGE);
        let bytes = noise(round, 4 * PAGE);
        pages.write(0, &bytes);
        let sum = run(&runtime, &crc32c(pages.start(), 4 * PAGE)).unwrap().checksum;
        assert_eq!(sum, ::crc32c::crc32c(&bytes), "round {round}");
        run(&runtime, &fill(pages.start(), 4 * PAGE, round)).unwrap();
        assert!(pages.read(0, 8) == round.to_le_bytes(), "round {round}");
    }
}

#[test]
fn pages_that_several_jobs_use_at_once_stay_until_the_last() {
    let runtime = builder().depth(64).build().unwrap();
    // Jobs end and begin within the same pages.
    let source = noise(9, 64 * 1000);
    let mut destination = vec![0; 64 * 1000];
    for _ in 0..20 {
        destination.fill(0);
        let mut lease = runtime.lease().unwrap();
        lease
            .scope(|scope| {
                for (from, to) in source.chunks(1000).zip(destination.chunks_mut(1000)) {
                    scope.copy(from, to).unwrap();
                }
                scope.finish(|answer| assert!(answer.is_ok())).unwrap();
            })
            .unwrap();
        assert!(destination == source);
    }
}

#[track_caller]
fn assert_fault(result: Result<uaccel_runtime::Outcome, Error>, kind: FaultKind, address: usize) {
    match result {
        Err(Error::BadPointer { fault, .. }) => assert_eq!((fault.kind, fault.address), (kind, address as u64)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pointers_to_nothing_are_refused_with_their_address() {
    let runtime = runtime();
    let (good, mut to) = (vec![1; 3 * PAGE], vec![0; 3 * PAGE]);
    let hole = Pages::untouched(4 * PAGE);
    hole.forbid(2 * PAGE, PAGE);
    let missing = hole.start().addr() + 2 * PAGE;
    assert_fault(run(&runtime, &copy(hole.start(), to.as_mut_ptr(), 3 * PAGE)), FaultKind::Read, missing);
    assert_fault(run(&runtime, &copy(good.as_ptr(), hole.start(), 3 * PAGE)), FaultKind::Write, missing);
    assert_fault(run(&runtime, &fill(RODATA.as_ptr().cast_mut(), 100, 1)), FaultKind::Write, RODATA.as_ptr().addr());
    assert!(to.iter().all(|byte| *byte == 0) && RODATA == [0x5a; 10_000], "nothing was written");
    // The queue is as ever.
    runtime.run(Work::copy(&good, &mut to)).unwrap();
    assert!(to == good);
}

#[test]
fn memory_that_is_mapped_again_is_seen_anew_wherever_it_lies() {
    mapped_again::is_seen_anew(&runtime());
}
