//! Addresses that are not to be had: that job fails, and says where.

use uaccel_runtime::{Error, Fault, FaultKind, Outcome, Work};

use crate::bench::{copy, crc32c, fill, noise, page_requests, run, runtime};
use crate::pages::{PAGE, Pages};

static RODATA: [u8; 2 * PAGE] = [0x5a; 2 * PAGE];

#[track_caller]
pub(crate) fn assert_fault(result: Result<Outcome, Error>, address: *const u8, kind: FaultKind) {
    let expected = Fault { address: address.addr() as u64, kind };
    assert!(
        matches!(&result, Err(Error::BadPointer { fault, .. }) if *fault == expected),
        "{result:?}, not {expected:?}"
    );
}

#[test]
fn constants_of_the_program_are_not_written() {
    let runtime = runtime();
    let source = noise(1, 100);
    let constant = RODATA.as_ptr().wrapping_add(10);
    assert_fault(run(&runtime, &copy(source.as_ptr(), constant.cast_mut(), 100)), constant, FaultKind::Write);
    assert!(std::hint::black_box(&RODATA).iter().all(|byte| *byte == 0x5a));
}

#[test]
fn protected_memory_is_not_written_and_the_request_for_it_is_refused() {
    let runtime = runtime();
    let pages = Pages::untouched(2 * PAGE);
    pages.write(0, &[1; 2 * PAGE]);
    pages.permit_writing(false);
    let (_, refused) = page_requests();
    assert_fault(run(&runtime, &fill(pages.start(), PAGE, 0)), pages.start(), FaultKind::Write);
    assert!(page_requests().1 > refused, "a page request was refused");
    assert!(pages.read(0, 2 * PAGE).iter().all(|byte| *byte == 1));
    pages.permit_writing(true);
    run(&runtime, &fill(pages.start(), PAGE, 0)).unwrap();
    assert!(pages.read(0, PAGE).iter().all(|byte| *byte == 0), "permitted again, it is written");
}

#[test]
fn unmapped_memory_is_reported_with_its_address() {
    let runtime = runtime();
    let nothing = std::ptr::without_provenance_mut::<u8>(0x1_0000);
    let mut there = [0; 64];
    assert_fault(run(&runtime, &crc32c(nothing, 64)), nothing, FaultKind::Read);
    assert_fault(run(&runtime, &copy(nothing, there.as_mut_ptr(), 64)), nothing, FaultKind::Read);
    assert_fault(run(&runtime, &copy(there.as_ptr(), nothing, 64)), nothing, FaultKind::Write);
}

#[test]
fn addresses_of_the_kernel_and_of_nobody_are_reported() {
    let runtime = runtime();
    for address in [0xffff_8000_0000_0000, 0xffff_ffff_8100_0000, 0x0001_0000_0000_0000] {
        let pointer = std::ptr::without_provenance::<u8>(address);
        assert_fault(run(&runtime, &crc32c(pointer, 64)), pointer, FaultKind::Read);
    }
}

#[test]
fn the_first_bad_byte_is_the_one_reported() {
    let runtime = runtime();
    // Far from where the system puts mappings: nothing is behind it.
    let edge = Pages::at(0x6000_0000_0000, PAGE);
    edge.write(0, &[1; PAGE]);
    let end = edge.start().wrapping_add(PAGE);
    assert_fault(run(&runtime, &crc32c(edge.at_offset(PAGE - 100), 300)), end, FaultKind::Read);
}

#[test]
fn neighbours_of_a_bad_job_are_unharmed() {
    let runtime = runtime();
    let mut lease = runtime.lease().unwrap();
    let sources: Vec<_> = (0..16u64).map(|n| noise(n, 2000)).collect();
    let mut destinations = vec![vec![0; 2000]; 16];
    let nothing = std::ptr::without_provenance::<u8>(0x1_0000);
    let mut bad_room = [0; 64];
    let bad = copy(nothing, bad_room.as_mut_ptr(), 64);
    let (mut well, mut ill) = (0, 0);
    lease
        .scope(|scope| {
            for (source, destination) in sources.iter().zip(&mut destinations) {
                // SAFETY: the device reports what is bad; the room outlives the scope.
                unsafe { scope.push_raw(&bad) }.unwrap();
                scope.push(Work::copy(source, destination)).unwrap();
            }
            scope.finish(|answer| match answer.outcome() {
                Ok(_) => well += 1,
                Err(Error::BadPointer { .. }) => ill += 1,
                Err(other) => panic!("{other:?}"),
            })
        })
        .unwrap()
        .unwrap();
    assert_eq!((well, ill), (16, 16));
    assert!(sources == destinations);
    assert_eq!(runtime.counters().resets, 0, "the queue is the same");
}
