//! What is made of what the engine says.

use uaccel_hisi_abi::zip::{Ended, Results, Status as Engine};
use uaccel_queue::{Algorithm, DeviceError, Outcome, SessionId, Status};

use crate::device::Device;
use crate::queue::{Queue, forward, inverse};

/// A stream in zlib's format, whatever is in it.
const ZLIB: [u8; 8] = [0x78, 0x9c, 0, 0, 0, 0, 0, 0];
const ROOM: usize = 100;

fn ask(session: SessionId, source: &[u8], results: Results) -> Result<Outcome, DeviceError> {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    queue.send(0, session, source, ROOM);
    let part = if session.0.is_multiple_of(2) { &device.compress } else { &device.decompress };
    part.answer(results);
    queue.poll().map(|answers| answers[0].1)
}

fn compressed(status: u8, consumed: u32, produced: u32) -> Result<Outcome, DeviceError> {
    ask(forward(Algorithm::Zlib), &ZLIB, Results { consumed, produced, ended: Ended { status, last_block: false } })
}

fn decompressed(status: u8, last_block: bool, consumed: u32, produced: u32) -> Result<Outcome, DeviceError> {
    ask(inverse(Algorithm::Zlib), &ZLIB, Results { consumed, produced, ended: Ended { status, last_block } })
}

#[test]
fn headers_count() {
    assert_eq!(compressed(0, 8, 20).expect("sound"), Outcome::ok(8, 22));
    assert_eq!(decompressed(0x13, true, 6, 20).expect("sound"), Outcome::ok(8, 20));
}

#[test]
fn what_grew_is_good() {
    assert_eq!(compressed(0x0d, 8, 30).expect("sound"), Outcome::ok(8, 32));
}

#[test]
fn every_status() {
    let named = [
        (Engine::NoSpace, Status::OutputTooSmall),
        (Engine::Corrupt, Status::Corrupt),
        (Engine::Translation, Status::Fault),
        (Engine::Truncated, Status::Truncated),
        (Engine::Malformed, Status::DeviceError),
    ];
    for raw in 0..=u8::MAX {
        if matches!(raw, 0 | 0x0d | 0x13) {
            continue;
        }
        let known = named.iter().find(|(engine, _)| *engine as u8 == raw);
        let expected = Outcome::failed(known.map_or(Status::DeviceError, |(_, status)| *status));
        // The counts of a failure mean nothing.
        for counts in [(0, 0), (3, 5), (u32::MAX, u32::MAX)] {
            assert_eq!(compressed(raw, counts.0, counts.1).expect("sound"), expected, "{raw:#x}");
            for last_block in [false, true] {
                assert_eq!(decompressed(raw, last_block, counts.0, counts.1).expect("sound"), expected, "{raw:#x}");
            }
        }
    }
}

#[test]
fn a_stream_that_has_not_ended_is_not_whole() {
    for (status, last_block) in [(0, false), (0, true), (0x0d, false), (0x13, false)] {
        let cut = decompressed(status, last_block, 6, 20).expect("sound");
        assert_eq!(cut, Outcome::failed(Status::Truncated), "{status:#x} {last_block}");
        let full = decompressed(status, last_block, 3, 100).expect("sound");
        assert_eq!(full, Outcome::failed(Status::OutputTooSmall), "{status:#x} {last_block}");
    }
}

#[test]
fn a_stream_without_all_of_its_source_is_none() {
    assert_eq!(compressed(0, 7, 20).expect("sound"), Outcome::failed(Status::DeviceError));
    assert_eq!(compressed(0, 9, 20).expect("sound"), Outcome::failed(Status::DeviceError));
}

#[test]
fn more_than_there_was_ends_the_queue() {
    assert_eq!(compressed(0, 8, 98).expect("all of the room"), Outcome::ok(8, 100));
    assert!(matches!(compressed(0, 8, 99), Err(DeviceError::Overrun { produced: 101, .. })));
    assert!(matches!(compressed(0, 8, u32::MAX), Err(DeviceError::Overrun { .. })));
    assert!(matches!(decompressed(0x13, true, 7, 1), Err(DeviceError::Overrun { consumed: 9, .. })));
    assert!(matches!(decompressed(0x13, true, 6, 101), Err(DeviceError::Overrun { produced: 101, .. })));
}
