//! Every format both ways on real data, against other libraries.

use std::io::{Read, Write};

use flate2::Compression;
use uaccel_runtime::{Algorithm, Direction, Runtime, Session, SessionSpec, Work};

use crate::bench::{noise, runtime};

pub(crate) const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

pub(crate) fn session(runtime: &Runtime, format: Algorithm, direction: Direction) -> Session {
    leveled(runtime, format, direction, None)
}

fn leveled(runtime: &Runtime, format: Algorithm, direction: Direction, level: Option<u8>) -> Session {
    let spec = SessionSpec::compression(format, direction, level).expect("there is such a session");
    runtime.session(spec).expect("the device has it")
}

/// The text in a stream, as another library reads it. The stream must end where its bytes do.
#[track_caller]
pub(crate) fn unpacked(format: Algorithm, stream: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::new(), Vec::new());
    let left = match format {
        Algorithm::Deflate => {
            let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
            decoder.read_to_end(&mut text).expect("a stream");
            decoder.into_inner()
        }
        Algorithm::Zlib => {
            let mut decoder = flate2::bufread::ZlibDecoder::new(stream);
            decoder.read_to_end(&mut text).expect("a stream");
            decoder.into_inner()
        }
        _ => {
            let mut decoder = flate2::bufread::GzDecoder::new(stream);
            decoder.read_to_end(&mut text).expect("a stream");
            decoder.into_inner()
        }
    }
    .read_to_end(&mut rest);
    assert_eq!((left.expect("bytes"), rest.len()), (0, 0), "nothing follows the stream");
    text
}

/// A stream by another library.
pub(crate) fn packed(format: Algorithm, text: &[u8], level: u32) -> Vec<u8> {
    let level = Compression::new(level);
    let stream = match format {
        Algorithm::Deflate => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        Algorithm::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        _ => {
            // A header with everything in it.
            let builder = flate2::GzBuilder::new().filename("a name").comment("a comment").extra([1, 2, 3]).mtime(7);
            let mut encoder = builder.write(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
    };
    stream.expect("memory")
}

/// Files that are there: the program itself, what the kernel says of itself, and data that is not to be compressed.
pub(crate) fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let mut program = std::fs::read("/proc/self/exe").expect("this program");
    program.truncate(300_000);
    let symbols = std::fs::read("/proc/kallsyms").expect("the kernel's symbols");
    vec![
        ("one byte", b"a".to_vec()),
        ("a line", b"the quick brown fox jumps over the lazy dog\n".to_vec()),
        ("the program", program),
        ("the kernel's symbols", symbols[..symbols.len().min(300_000)].to_vec()),
        ("zeros", vec![0; 1 << 20]),
        ("noise", noise(1, 100_001)),
        ("nothing", Vec::new()),
    ]
}

#[test]
fn what_the_device_packs_another_library_unpacks() {
    let runtime = runtime();
    for format in FORMATS {
        let session = session(&runtime, format, Direction::Forward);
        for (name, text) in texts() {
            let mut stream = vec![0; text.len() + text.len() / 8 + 200];
            let outcome = runtime.run(Work::session(&session, &text, &mut stream)).unwrap();
            assert_eq!(outcome.consumed, text.len() as u64, "{format}, {name}");
            stream.truncate(outcome.produced as usize);
            assert!(unpacked(format, &stream) == text, "{format}, {name}");
            let compressible = text.len() > 1000 && name != "noise";
            assert!(!compressible || stream.len() < text.len(), "{format}, {name}: {}", stream.len());
        }
    }
}

#[test]
fn what_another_library_packs_the_device_unpacks() {
    let runtime = runtime();
    for format in FORMATS {
        let session = session(&runtime, format, Direction::Inverse);
        for (name, text) in texts() {
            for level in [0, 1, 9] {
                let stream = packed(format, &text, level);
                // What follows a stream is not the device's business.
                let mut source = stream.clone();
                source.extend(b"behind it");
                let mut back = vec![0; text.len()];
                let outcome = runtime.run(Work::session(&session, &source, &mut back)).unwrap();
                assert_eq!(outcome.consumed, stream.len() as u64, "{format}, {name}, level {level}");
                assert_eq!(outcome.produced, text.len() as u64, "{format}, {name}, level {level}");
                assert!(back == text, "{format}, {name}, level {level}");
            }
        }
    }
}

#[test]
fn every_level_is_taken() {
    let runtime = runtime();
    let text = noise(2, 10_000).repeat(3);
    for level in 0..=9 {
        let session = leveled(&runtime, Algorithm::Zlib, Direction::Forward, Some(level));
        let mut stream = vec![0; 2 * text.len()];
        let outcome = runtime.run(Work::session(&session, &text, &mut stream)).unwrap();
        assert!(unpacked(Algorithm::Zlib, &stream[..outcome.produced as usize]) == text, "level {level}");
    }
}
