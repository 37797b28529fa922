//! Compression formats.

use uaccel_queue::{Algorithm, Direction, Family, Operation, SessionId, SessionSpec, Status};

use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::{hex, noise, prose};
use crate::{Backend, oracle};

fn open(rig: &mut Rig, algorithm: Algorithm, direction: Direction) -> SessionId {
    rig.session(&SessionSpec::compression(algorithm, direction, None).expect("the default level exists"))
}

fn texts() -> Vec<Vec<u8>> {
    vec![
        b"a".to_vec(),
        b"hello".to_vec(),
        vec![0; 70_000],
        prose(1, 5000),
        prose(2, 200_000),
        noise(3, 4096),
        noise(4, 70_000),
    ]
}

/// "hello" in every format, written down by hand from its specification.
fn hello(algorithm: Algorithm) -> Option<Vec<u8>> {
    Some(hex(match algorithm {
        Algorithm::Deflate => "cb48cdc9c90700",
        Algorithm::Zlib => "789ccb48cdc9c90700062c0215",
        Algorithm::Gzip => "1f8b0800000000000003cb48cdc9c9070086a6103605000000",
        Algorithm::Lz4Block => "5068656c6c6f",
        Algorithm::Zstd => "28b52ffd200529000068656c6c6f",
        _ => return None,
    }))
}

/// Streams written by hand decompress.
pub fn decompresses_published_streams(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in rig.algorithms(Family::Compression) {
        let Some(stream) = hello(algorithm) else { continue };
        let session = open(&mut rig, algorithm, Direction::Inverse);
        let reply = rig.run(Request::new(Operation::Decompress).session(session).source(&stream).room(5));
        if checked(&rig, &reply.outcome) {
            assert_eq!((reply.output(), reply.outcome.consumed), (&b"hello"[..], stream.len() as u64), "{algorithm}");
        }
    }
}

/// What another library compressed decompresses.
pub fn decompresses_other_encoders(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in rig.algorithms(Family::Compression) {
        let session = open(&mut rig, algorithm, Direction::Inverse);
        for text in texts() {
            let Some(stream) = oracle::compress(algorithm, &text) else { continue };
            let request = Request::new(Operation::Decompress).session(session).source(&stream).room(text.len());
            let reply = rig.run(request);
            if checked(&rig, &reply.outcome) {
                assert_eq!(reply.outcome.consumed, stream.len() as u64, "{algorithm}");
                assert!(reply.output() == text, "{algorithm}, {} bytes", text.len());
            }
        }
    }
}

/// What is compressed, another library decompresses.
pub fn compresses_for_other_decoders(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for algorithm in rig.algorithms(Family::Compression) {
        let mut levels = vec![None];
        levels.extend(algorithm.levels().into_iter().flat_map(|levels| [Some(levels.min), Some(levels.max)]));
        for level in levels {
            let spec =
                SessionSpec::compression(algorithm, Direction::Forward, level).expect("a level of the algorithm");
            let session = rig.session(&spec);
            for text in texts() {
                let room = text.len() + text.len() / 8 + 200;
                let request = Request::new(Operation::Compress).session(session).source(&text).room(room);
                let reply = rig.run(request);
                if checked(&rig, &reply.outcome) {
                    assert_eq!(reply.outcome.consumed, text.len() as u64);
                    assert!(
                        oracle::decompress(algorithm, reply.output()) == text,
                        "{algorithm} {level:?}, {} bytes",
                        text.len()
                    );
                }
            }
        }
    }
}

/// A room that is too small is told as such.
pub fn reports_small_rooms(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    let text = noise(9, 10_000);
    for algorithm in rig.algorithms(Family::Compression) {
        let session = open(&mut rig, algorithm, Direction::Forward);
        for room in [0, 10, 5000] {
            let reply = rig.run(Request::new(Operation::Compress).session(session).source(&text).room(room));
            reply.expect(Status::OutputTooSmall);
            assert!(
                reply.outcome.produced == 0 || reply.outcome.produced > room as u64,
                "{algorithm}: {:?}",
                reply.outcome
            );
        }
        let Some(stream) = oracle::compress(algorithm, &text) else { continue };
        let session = open(&mut rig, algorithm, Direction::Inverse);
        for room in [0, 1, 9999] {
            let reply = rig.run(Request::new(Operation::Decompress).session(session).source(&stream).room(room));
            assert!(matches!(reply.outcome.status, Status::OutputTooSmall), "{algorithm}, {room}: {:?}", reply.outcome);
        }
    }
}

/// A stream that is broken or cut is told as such, and the queue goes on.
pub fn reports_broken_streams(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    let text = prose(5, 3000);
    for algorithm in rig.algorithms(Family::Compression) {
        let Some(stream) = oracle::compress(algorithm, &text) else { continue };
        let session = open(&mut rig, algorithm, Direction::Inverse);
        let decompress = |source: &[u8]| Request::new(Operation::Decompress).session(session).source(source).room(4000);
        // An LZ4 block has no end mark: cut between two sequences it is a shorter block. Cut within literals it is not.
        for cut in [1, stream.len() / 2, stream.len() - 1] {
            let reply = rig.run(decompress(&stream[..cut]));
            let told = matches!(reply.outcome.status, Status::Truncated | Status::Corrupt);
            assert!(told, "{algorithm} cut at {cut}: {:?}", reply.outcome);
        }
        if algorithm != Algorithm::Lz4Block {
            let reply = rig.run(decompress(&[0xff; 64]));
            assert!(
                matches!(reply.outcome.status, Status::Corrupt | Status::Truncated),
                "{algorithm}: {:?}",
                reply.outcome
            );
        }
        assert!(rig.run(decompress(&stream)).output() == text, "{algorithm} after broken streams");
    }
}
