//! Mappings that change: between jobs, and under jobs that run.

use std::sync::atomic::{AtomicBool, Ordering};

use uaccel_runtime::{Error, FaultKind};

use crate::bench::{copy, crc32c as crc, fill, number, run, runtime};
use crate::faults::assert_fault;
use crate::pages::{PAGE, Pages};

const LEN: usize = 16 * PAGE;
/// Far from where the system puts mappings, so that what is unmapped there stays so.
const ADDRESS: usize = 0x6000_0000_0000;

#[test]
fn after_madvise_the_device_sees_the_new_pages() {
    let runtime = runtime();
    let pages = Pages::untouched(LEN);
    for round in 1..20u8 {
        pages.write(0, &[round; LEN]);
        assert_eq!(run(&runtime, &crc(pages.start(), LEN)).unwrap().checksum, crc32c::crc32c(&[round; LEN]));
        let invalidations = number("device/invalidations");
        pages.discard();
        assert_eq!(run(&runtime, &crc(pages.start(), LEN)).unwrap().checksum, crc32c::crc32c(&[0; LEN]), "stale pages");
        assert!(number("device/invalidations") > invalidations, "the device was told");
    }
}

#[test]
fn after_mprotect_the_device_may_not_write() {
    let runtime = runtime();
    let pages = Pages::untouched(LEN);
    for round in 1..20 {
        run(&runtime, &fill(pages.start(), LEN, round)).unwrap();
        pages.permit_writing(false);
        assert_fault(run(&runtime, &fill(pages.start(), LEN, u64::MAX)), pages.start(), FaultKind::Write);
        assert_eq!(pages.read(0, 8), round.to_le_bytes());
        pages.permit_writing(true);
    }
}

#[test]
fn after_munmap_the_device_may_not_read_and_sees_what_is_mapped_there_next() {
    let runtime = runtime();
    for round in 1..20u8 {
        let pages = Pages::at(ADDRESS, LEN);
        let start = pages.start();
        pages.write(0, &[round; LEN]);
        assert_eq!(run(&runtime, &crc(start, LEN)).unwrap().checksum, crc32c::crc32c(&[round; LEN]));
        drop(pages);
        assert_fault(run(&runtime, &crc(start, LEN)), start, FaultKind::Read);
    }
}

/// Runs `job` over and over while another thread does `change` over and over.
fn race(rounds: usize, change: impl Fn() + Sync, mut job: impl FnMut()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                change();
            }
        });
        // Also when `job` panics, else the scope never ends.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _over = Over(&over);
        for _ in 0..rounds {
            job();
        }
    });
}

#[test]
fn madvise_under_a_running_job_gives_old_bytes_or_zeros() {
    let runtime = runtime();
    let (source, destination) = (Pages::untouched(LEN), Pages::untouched(LEN));
    race(
        100,
        || {
            source.write(0, &[7; LEN]);
            source.discard();
        },
        || {
            run(&runtime, &copy(source.start(), destination.start(), LEN)).unwrap();
            assert!(destination.read(0, LEN).iter().all(|byte| matches!(byte, 0 | 7)));
        },
    );
}

#[test]
fn mprotect_under_a_running_job_ends_in_success_or_a_fault() {
    let runtime = runtime();
    let pages = Pages::untouched(LEN);
    let (mut well, mut refused) = (0, 0);
    race(
        200,
        || {
            pages.permit_writing(false);
            std::thread::yield_now();
            pages.permit_writing(true);
            std::thread::yield_now();
        },
        || match run(&runtime, &fill(pages.start(), LEN, 3)) {
            Ok(_) => well += 1,
            Err(Error::BadPointer { fault, .. }) => {
                assert_eq!(fault.kind, FaultKind::Write);
                assert!((fault.address - pages.start().addr() as u64) < LEN as u64);
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        },
    );
    eprintln!("{well} went well, {refused} were refused");
    assert_eq!(runtime.counters().resets, 0);
}

#[test]
fn munmap_under_a_running_job_ends_in_success_or_a_fault() {
    let runtime = runtime();
    let destination = Pages::untouched(LEN);
    let source = std::ptr::without_provenance::<u8>(ADDRESS);
    let (mut well, mut refused) = (0, 0);
    race(
        200,
        || {
            let pages = Pages::at(ADDRESS, LEN);
            pages.write(0, &[5; LEN]);
            std::thread::yield_now();
            drop(pages);
            std::thread::yield_now();
        },
        || match run(&runtime, &copy(source, destination.start(), LEN)) {
            Ok(_) => {
                assert!(destination.read(0, LEN).iter().all(|byte| matches!(byte, 0 | 5)));
                well += 1;
            }
            Err(Error::BadPointer { fault, .. }) => {
                assert_eq!(fault.kind, FaultKind::Read);
                assert!((fault.address - ADDRESS as u64) < LEN as u64);
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        },
    );
    eprintln!("{well} went well, {refused} met nothing");
    assert_eq!(runtime.counters().resets, 0);
}
