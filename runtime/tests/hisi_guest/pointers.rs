//! Plain pointers: memory that nobody has touched, and memory that is not to be had.

use uaccel_runtime::{
    AddressMode, Algorithm, Direction, Error, FaultHandling, Operation, RawWork, Runtime, Session, Work,
};

use crate::bench::{noise, run, runtime};
use crate::formats::{packed, session, unpacked};
use crate::pages::{PAGE, Pages};

static RODATA: [u8; 2 * PAGE] = [0x5a; 2 * PAGE];

/// A job on addresses that nobody vouches for.
fn work<'a>(session: &'a Session, source: (*const u8, usize), destination: (*mut u8, usize)) -> RawWork<'a> {
    let mut work = RawWork::new(session.spec().operation());
    work.session = Some(session);
    (work.source, work.source_len) = source;
    (work.destination, work.destination_len) = destination;
    work
}

#[test]
fn the_grant_says_shared_addresses_and_both_directions() {
    let runtime = runtime();
    let granted = runtime.granted();
    assert_eq!((granted.address_mode, granted.faults), (AddressMode::Shared, FaultHandling::Resolved));
    assert!(granted.wakes);
    for direction in [Direction::Forward, Direction::Inverse] {
        for format in [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip] {
            assert!(granted.algorithms.contains(format, direction), "{format} {direction:?}");
        }
    }
    assert_eq!(granted.max_transfer, 8 << 20);
}

#[test]
fn memory_that_nobody_has_touched_is_brought_in() {
    const LEN: usize = 64 * PAGE;
    let runtime = runtime();
    for format in [Algorithm::Deflate, Algorithm::Gzip] {
        let (pack, unpack) =
            (session(&runtime, format, Direction::Forward), session(&runtime, format, Direction::Inverse));
        // Sources of zeros that are not there, and rooms that are not there.
        let (zeros, room) = (Pages::untouched_small(LEN), Pages::untouched_small(LEN));
        let outcome = run(&runtime, &work(&pack, (zeros.start(), LEN), (room.start(), LEN))).unwrap();
        assert!(unpacked(format, &room.read(0, outcome.produced as usize)) == vec![0; LEN]);
        let text = noise(3, LEN);
        let stream = packed(format, &text, 1);
        let room = Pages::untouched_small(LEN);
        run(&runtime, &work(&unpack, (stream.as_ptr(), stream.len()), (room.start(), LEN))).unwrap();
        assert!(room.read(0, LEN) == text, "{format}");
    }
}

#[track_caller]
fn assert_bad(runtime: &Runtime, work: &RawWork<'_>, operation: Operation) {
    let result = run(runtime, work);
    // A raw stream's addresses are looked at by the device alone, which does not say which was bad; of a wrapped one the header's are the driver's.
    let bad = matches!(&result, Err(Error::BadMemory { operation: at, .. } | Error::BadPointer { operation: at, .. }) if *at == operation);
    assert!(bad, "{result:?}");
}

#[test]
fn bad_pointers_and_read_only_destinations_fail_their_own_job_alone() {
    let runtime = runtime();
    let nothing = std::ptr::without_provenance_mut::<u8>(0x1_0000);
    let text = noise(4, 5000);
    let constant = RODATA.as_ptr().cast_mut();
    for format in [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip] {
        let (pack, unpack) =
            (session(&runtime, format, Direction::Forward), session(&runtime, format, Direction::Inverse));
        let stream = packed(format, &text, 1);
        let mut room = vec![0; 10_000];
        for (session, operation, source) in
            [(&pack, Operation::Compress, &text), (&unpack, Operation::Decompress, &stream)]
        {
            let source = (source.as_ptr(), source.len());
            assert_bad(&runtime, &work(session, (nothing, 4096), (room.as_mut_ptr(), 10_000)), operation);
            assert_bad(&runtime, &work(session, source, (nothing, 10_000)), operation);
            assert_bad(&runtime, &work(session, source, (constant, RODATA.len())), operation);
        }
        // Good ones among bad ones.
        let mut lease = runtime.lease().unwrap();
        let mut rooms = vec![vec![0; 10_000]; 16];
        let mut bad_room = vec![0; 4096];
        let bad = work(&pack, (nothing, 4096), (bad_room.as_mut_ptr(), 4096));
        let (mut well, mut ill) = (0, 0);
        lease
            .scope(|scope| {
                for room in &mut rooms {
                    // SAFETY: the device reports what is bad; the room outlives the scope.
                    unsafe { scope.push_raw(&bad) }.unwrap();
                    scope.push(Work::session(&pack, &text, room)).unwrap();
                }
                scope.finish(|answer| match answer.outcome() {
                    Ok(_) => well += 1,
                    Err(Error::BadMemory { .. } | Error::BadPointer { .. }) => ill += 1,
                    Err(other) => panic!("{other:?}"),
                })
            })
            .unwrap()
            .unwrap();
        assert_eq!((well, ill), (16, 16), "{format}");
    }
    assert!(std::hint::black_box(&RODATA).iter().all(|byte| *byte == 0x5a));
    assert_eq!(runtime.counters().resets, 0, "the queue is the same");
}
