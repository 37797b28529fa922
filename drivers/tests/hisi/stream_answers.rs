//! What is made of what the engine says of streams: a device that lies, or does not get on, is never asked for ever.

use proptest::prelude::*;
use uaccel_hisi_abi::zip::{Carried, Ended, Results, Status as Engine};
use uaccel_queue::{Algorithm, DeviceError, Outcome, SessionId, Status};

use crate::device::Device;
use crate::queue::{Queue, forward, inverse};
use crate::stream::{Stream, more};

/// Asks in the middle of a stream of zlib's: what is made of the answer, and whether the stream was noted to have got on.
fn ask(
    session: SessionId,
    (source, room, last): (usize, usize, bool),
    word: u32,
    results: Results,
) -> (Result<Outcome, DeviceError>, bool) {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    let mut stream = Stream::new(session);
    let part = if session.0.is_multiple_of(2) { &device.compress } else { &device.decompress };
    stream.send(&mut queue, &[0x78, 0x9c, 1], 300, false);
    part.end(Engine::Ok, false, 1, 1);
    assert_eq!(queue.outcome().status, Status::More);
    let before = stream.words();
    stream.send(&mut queue, &vec![7; source], room, last);
    part.carry(Carried { context_words: [word, 8, 9], running_len: 10, checksum: 11 });
    part.answer(results);
    let answer = queue.poll().map(|answers| answers[0].1);
    let noted = stream.words() != before;
    (answer, noted)
}

fn compressed(job: (usize, usize, bool), status: u8, counts: (u32, u32)) -> Result<Outcome, DeviceError> {
    let results = Results { consumed: counts.0, produced: counts.1, ended: Ended { status, last_block: false } };
    let (answer, noted) = ask(forward(Algorithm::Zlib), job, 7, results);
    let good = answer.as_ref().is_ok_and(|outcome| matches!(outcome.status, Status::Ok | Status::More));
    assert_eq!(good, noted, "a stream that failed stays where it stood");
    answer
}

fn decompressed(
    job: (usize, usize, bool),
    status: u8,
    last_block: bool,
    word: u32,
    counts: (u32, u32),
) -> Result<Outcome, DeviceError> {
    let results = Results { consumed: counts.0, produced: counts.1, ended: Ended { status, last_block } };
    let (answer, noted) = ask(inverse(Algorithm::Zlib), job, word, results);
    let good = answer.as_ref().is_ok_and(|outcome| matches!(outcome.status, Status::Ok | Status::More));
    assert_eq!(good, noted, "a stream that failed stays where it stood");
    answer
}

fn failed(status: Status) -> Outcome {
    Outcome::failed(status)
}

#[test]
fn how_far_a_compressor_is() {
    for status in [0, 0x0d, 0x13] {
        assert_eq!(compressed((8, 300, true), status, (8, 20)).expect("sound"), Outcome::ok(8, 20));
        assert_eq!(compressed((8, 300, false), status, (8, 20)).expect("sound"), more(8, 20));
        // With something left it has not ended, whatever was asked for.
        assert_eq!(compressed((8, 300, true), status, (4, 20)).expect("sound"), more(4, 20));
        // Nor if it was not asked for the end: 300 is less than 9/8 of 400.
        assert_eq!(compressed((400, 300, true), status, (264, 20)).expect("sound"), more(264, 20));
        // It had something to compress, and room.
        for counts in [(0, 0), (0, 20)] {
            assert_eq!(compressed((8, 300, true), status, counts).expect("sound"), failed(Status::DeviceError));
        }
    }
    // It had all the room that it wants.
    assert_eq!(compressed((8, 300, true), 0x0e, (0, 0)).expect("sound"), failed(Status::DeviceError));
}

#[test]
fn how_far_a_decompressor_is() {
    for (status, last_block) in [(0, false), (0, true), (0x0d, false), (0x13, false)] {
        for last in [false, true] {
            assert_eq!(decompressed((8, 300, last), status, last_block, 0, (8, 20)).expect("sound"), more(8, 20));
            assert_eq!(decompressed((8, 300, last), status, last_block, 0, (3, 300)).expect("sound"), more(3, 300));
            assert_eq!(decompressed((0, 300, last), status, last_block, 0, (0, 1)).expect("sound"), more(0, 1));
        }
        // Too short a piece to do something with is to come again, if more may come.
        for source in [0, 1, 293, 511] {
            let answer = |last| decompressed((source, 300, last), status, last_block, 0, (0, 0)).expect("sound");
            assert_eq!((answer(false), answer(true)), (more(0, 0), failed(Status::Truncated)));
        }
        // A longer one would come again for ever.
        for last in [false, true] {
            let stuck = decompressed((512, 300, last), status, last_block, 0, (0, 0)).expect("sound");
            assert_eq!(stuck, failed(Status::DeviceError));
        }
    }
    for last in [false, true] {
        assert_eq!(decompressed((8, 300, last), 0x13, true, 0, (0, 0)).expect("sound"), Outcome::ok(0, 0));
        assert_eq!(decompressed((8, 300, last), 0x13, true, 0, (8, 300)).expect("sound"), Outcome::ok(8, 300));
    }
}

#[test]
fn a_full_room_is_no_failure_if_the_stream_can_go_on_from_there() {
    // Bits 3:0 of the context's first word: in the last block, or in another (UADK: HZ_DECOMP_NO_SPACE, HZ_DECOMPING_NO_SPACE).
    for word in 0..16 {
        let expected = if matches!(word, 1 | 2) { more(3, 300) } else { failed(Status::DeviceError) };
        assert_eq!(
            decompressed((8, 300, true), 0x0e, false, 0x80 | word, (3, 300)).expect("sound"),
            expected,
            "{word}"
        );
    }
    // It had room, and has used none of it: that is not the end of what there is to read, either.
    for (source, last) in [(400, true), (8, true), (8, false), (0, true)] {
        let stuck = decompressed((source, 300, last), 0x0e, false, 1, (0, 0)).expect("sound");
        assert_eq!(stuck, failed(Status::DeviceError), "{source} {last}");
    }
}

#[test]
fn every_other_status() {
    let named = [
        (Engine::Corrupt, Status::Corrupt),
        (Engine::Translation, Status::Fault),
        (Engine::Truncated, Status::Truncated),
        (Engine::Malformed, Status::DeviceError),
    ];
    for raw in 0..=u8::MAX {
        if matches!(raw, 0 | 0x0d | 0x0e | 0x13) {
            continue;
        }
        let known = named.iter().find(|(engine, _)| *engine as u8 == raw);
        let expected = failed(known.map_or(Status::DeviceError, |(_, status)| *status));
        for counts in [(0, 0), (3, 5), (u32::MAX, u32::MAX)] {
            assert_eq!(compressed((8, 300, true), raw, counts).expect("sound"), expected, "{raw:#x}");
            assert_eq!(decompressed((8, 300, true), raw, true, 1, counts).expect("sound"), expected, "{raw:#x}");
        }
    }
}

#[test]
fn more_than_there_was_ends_the_queue() {
    let overrun = |answer| matches!(answer, Err(DeviceError::Overrun { .. }));
    for last in [false, true] {
        assert!(overrun(compressed((8, 300, last), 0, (9, 20))));
        assert!(overrun(compressed((8, 300, last), 0, (8, 301))));
        assert!(overrun(compressed((8, 300, last), 0, (u32::MAX, u32::MAX))));
        // Less was given than the job has: 264 of 400.
        assert!(overrun(compressed((400, 300, last), 0, (268, 20))));
        for (status, last_block) in [(0, false), (0x13, true)] {
            assert!(overrun(decompressed((8, 300, last), status, last_block, 0, (9, 20))));
            assert!(overrun(decompressed((8, 300, last), status, last_block, 0, (8, 301))));
        }
    }
    // Behind a header there is less room, and less to read.
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    Stream::new(forward(Algorithm::Gzip)).send(&mut queue, b"text", 256, false);
    device.compress.end(Engine::Ok, false, 4, 247);
    assert!(matches!(queue.poll(), Err(DeviceError::Overrun { .. })));
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    let stream = [0x78, 0x9c, 1, 2, 3];
    Stream::new(inverse(Algorithm::Zlib)).send(&mut queue, &stream, 256, false);
    device.decompress.end(Engine::Ok, false, 4, 1);
    assert!(matches!(queue.poll(), Err(DeviceError::Overrun { .. })));
}

proptest! {
    /// Whatever the engine says: no panic, no more than there is, and no answer that expects more without having got on, but to a short piece.
    #[test]
    fn nothing_is_believed(
        source in 0_usize..1000, room in 256_usize..1200, last: bool, status in prop_oneof![0_u8..0x20, any::<u8>()],
        last_block: bool, word: u32, consumed in prop_oneof![0_u32..1100, any::<u32>()], produced in prop_oneof![0_u32..1300, any::<u32>()],
    ) {
        let job = (source, room, last);
        let mut answers = vec![decompressed(job, status, last_block, word, (consumed, produced))];
        if source > 0 {
            answers.push(compressed(job, status, (consumed, produced)));
        }
        for outcome in answers.into_iter().flatten() {
            prop_assert!(outcome.consumed <= source as u64 && outcome.produced <= room as u64);
            let idle = outcome.status == Status::More && outcome.consumed == 0 && outcome.produced == 0;
            prop_assert!(!idle || source < 512 && !last, "{:?}", outcome);
        }
    }
}
