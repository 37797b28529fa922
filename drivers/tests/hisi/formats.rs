//! Formats, both ways, on a device that works.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use uaccel_queue::{Algorithm, Outcome, Status};

use crate::device::Device;
use crate::queue::{FORMATS, LZ4, Queue, forward, inverse};

pub(crate) fn compress(format: Algorithm, text: &[u8]) -> Vec<u8> {
    let level = Compression::default();
    match format {
        Algorithm::Deflate => {
            let mut encoder = DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        Algorithm::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        _ => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
    }
    .expect("memory takes all")
}

pub(crate) fn decompress(format: Algorithm, stream: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match format {
        Algorithm::Deflate => DeflateDecoder::new(stream).read_to_end(&mut text),
        Algorithm::Zlib => ZlibDecoder::new(stream).read_to_end(&mut text),
        _ => GzDecoder::new(stream).read_to_end(&mut text),
    }
    .expect("a sound stream");
    text
}

#[test]
fn nothing_has_a_stream_of_its_own() {
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, 1);
    for format in FORMATS {
        let (outcome, room) = queue.run(forward(format), b"", 50);
        assert_eq!((outcome.status, outcome.consumed), (Status::Ok, 0));
        let len = outcome.produced as usize;
        assert_eq!(decompress(format, &room[..len]), b"", "{format}");
        assert!(room[len..].iter().all(|byte| *byte == 0xa5), "{format}: nothing behind it");
        // And it needs its room.
        for room in 0..len {
            let (outcome, written) = queue.run(forward(format), b"", room);
            let small = Outcome { produced: len as u64, ..Outcome::failed(Status::OutputTooSmall) };
            assert_eq!(outcome, small, "{format} in {room}");
            assert!(written.iter().all(|byte| *byte == 0xa5), "nothing is written where not all fits");
        }
        // It decompresses to nothing, in no room at all.
        let (outcome, _) = queue.run(inverse(format), &room[..len], 0);
        assert_eq!(outcome, Outcome::ok(len as u64, 0), "{format}");
    }
    assert!(device.compress.doorbells().is_empty(), "the engine was not asked");
}

#[test]
fn no_stream_is_cut_short() {
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, 1);
    for format in FORMATS {
        let stream = compress(format, b"a text, a text, and a text");
        for len in 0..stream.len() {
            let (outcome, room) = queue.run(inverse(format), &stream[..len], 100);
            assert_eq!(outcome, Outcome::failed(Status::Truncated), "{format} cut at {len}");
            assert!(room.iter().all(|byte| *byte == 0xa5), "{format} cut at {len}");
        }
    }
}

#[test]
fn rooms_that_are_too_small() {
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, 1);
    for format in FORMATS {
        for room in 0..13 {
            let (outcome, _) = queue.run(forward(format), &[7; 500], room);
            // Deflate needs seven bytes for it or so.
            if outcome.status != Status::Ok {
                assert_eq!(outcome, Outcome::failed(Status::OutputTooSmall), "{format} in {room}");
            }
            assert!(outcome.status != Status::Ok || room >= 6, "{format} in {room}");
        }
    }
}

#[test]
fn what_follows_a_stream_is_left_alone() {
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, 1);
    for format in FORMATS {
        let text = b"one stream ends, and another one begins".repeat(10);
        let stream = compress(format, &text);
        let both = [&stream[..], b"what follows"].concat();
        let (outcome, room) = queue.run(inverse(format), &both, 1000);
        assert_eq!(outcome, Outcome::ok(stream.len() as u64, text.len() as u64), "{format}");
        assert_eq!(room[..text.len()], text, "{format}");
    }
}

#[test]
fn lz4_blocks() {
    let device = Device::honest(8);
    let mut queue = Queue::with_lz4(&device, 1);
    for text in [&b"a"[..], b"hello", &[7; 5000], &(0..=255).collect::<Vec<u8>>()] {
        let (outcome, room) = queue.run(LZ4, text, text.len() + 100);
        assert_eq!((outcome.status, outcome.consumed), (Status::Ok, text.len() as u64));
        let block = &room[..outcome.produced as usize];
        let len = i32::try_from(text.len()).expect("short");
        assert_eq!(lz4::block::decompress(block, Some(len)).expect("a sound block"), text);
        let (outcome, _) = queue.run(LZ4, text, 0);
        assert_eq!(outcome, Outcome::failed(Status::OutputTooSmall));
    }
    // Nothing is a token without literals, and the engine is not asked: UADK does not either.
    device.compress.doorbells();
    let (outcome, room) = queue.run(LZ4, b"", 10);
    assert_eq!((outcome, &room[..2]), (Outcome::ok(0, 1), &[0, 0xa5][..]));
    assert!(device.compress.doorbells().is_empty());
}
