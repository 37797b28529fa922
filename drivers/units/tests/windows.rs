//! Sessions with a window: nothing points farther back, whichever way it was compressed, and the header says so.
//!
//! The check is another library's decoder that has no more history than the window.

mod support;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use proptest::prelude::*;
use support::{compress, noise, prose, run, size};
use uaccel_queue::{Algorithm, Direction, SessionSpec, Status};
use uaccel_units::stream::{DeflateStream, State};
use uaccel_units::{Input, Unit, bound};

const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

/// The header and trailer of a gzip member without optional fields (RFC 1952, 2.3).
const GZIP: (usize, usize) = (10, 8);

/// Each of 200 to 30 000 bytes without structure that come again and again, so that every window has something to miss.
fn far_repeats() -> Vec<u8> {
    [200, 400, 900, 1_800, 3_600, 7_000, 14_000, 30_000]
        .into_iter()
        .flat_map(|period| noise(period).repeat(2))
        .collect()
}

fn spec(algorithm: Algorithm, level: u8, window: u32) -> SessionSpec {
    let spec = SessionSpec::compression(algorithm, Direction::Forward, Some(level)).expect("valid");
    spec.with_window(window).expect("valid")
}

/// The largest power of two that is not above the window.
fn kept(window: u32) -> usize {
    1 << window.ilog2()
}

/// Decodes with a history of so many bytes; why not, if it cannot be done.
fn decode(algorithm: Algorithm, stream: &[u8], history: usize) -> Result<Vec<u8>, TINFLStatus> {
    let (mut stream, flags) = match algorithm {
        Algorithm::Zlib => (stream, TINFL_FLAG_PARSE_ZLIB_HEADER),
        Algorithm::Gzip => (&stream[GZIP.0..stream.len() - GZIP.1], 0),
        _ => (stream, 0),
    };
    let (mut engine, mut room, mut at, mut text) = (DecompressorOxide::new(), vec![0; history], 0, Vec::new());
    loop {
        let (status, used, made) = decompress(&mut engine, stream, &mut room, at, flags | TINFL_FLAG_HAS_MORE_INPUT);
        text.extend_from_slice(&room[at..at + made]);
        stream = &stream[used..];
        at = (at + made) % history;
        match status {
            TINFLStatus::Done if stream.is_empty() => return Ok(text),
            TINFLStatus::HasMoreOutput => {}
            status => return Err(status),
        }
    }
}

fn whole(spec: &SessionSpec, text: &[u8]) -> Vec<u8> {
    let unit = Unit::new(spec).expect("supported");
    let room = size(bound(spec.algorithm(), text.len() as u64).expect("has a bound"));
    let (outcome, stream) = run(&unit, &Input::new(text), room);
    assert_eq!((outcome.status, size(outcome.consumed)), (Status::Ok, text.len()), "{spec:?}, {} bytes", text.len());
    stream
}

fn by_pieces(spec: &SessionSpec, text: &[u8]) -> Vec<u8> {
    let mut engine = DeflateStream::new(spec).expect("supported");
    let (mut rest, mut stream, mut room) = (text, Vec::new(), [0; 777]);
    loop {
        let piece = &rest[..rest.len().min(1_000)];
        let step = engine.process(piece, &mut room, piece.len() == rest.len()).expect("compresses");
        rest = &rest[step.consumed..];
        stream.extend_from_slice(&room[..step.produced]);
        if step.state == State::End {
            return stream;
        }
    }
}

#[test]
fn a_decoder_with_no_more_history_than_the_window_is_enough() {
    let text = far_repeats();
    for window in [512, 1_023, 1_024, 2_048, 4_096, 8_192, 24_576, 32_768] {
        for level in 0..=9 {
            let algorithm = FORMATS[usize::from(level) % 3];
            let spec = spec(algorithm, level, window);
            for stream in [whole(&spec, &text), by_pieces(&spec, &text)] {
                let back = decode(algorithm, &stream, kept(window));
                assert!(back.as_ref() == Ok(&text), "{spec:?}: {:?}", back.map(|text| text.len()));
            }
        }
    }
}

#[test]
fn the_decoder_with_little_history_would_notice() {
    let text = far_repeats();
    for algorithm in FORMATS {
        for window in [512, 4_096, 16_384] {
            let twice = whole(&spec(algorithm, 6, 2 * window), &text);
            for stream in [compress(algorithm, Some(6), &text), twice] {
                assert_eq!(decode(algorithm, &stream, kept(window)), Err(TINFLStatus::Failed), "{algorithm}, {window}");
            }
        }
        assert_eq!(decode(algorithm, &compress(algorithm, Some(6), &text), 1 << 15), Ok(text.clone()));
    }
}

#[test]
fn a_larger_window_finds_more() {
    let text = far_repeats();
    for level in 1..=9 {
        let lens = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768]
            .map(|window| whole(&spec(Algorithm::Deflate, level, window), &text).len());
        assert!(lens.is_sorted_by(|smaller, larger| smaller > larger), "level {level}: {lens:?}");
    }
}

#[test]
fn the_header_of_zlib_tells_of_the_window() {
    for window in [512, 1_000, 4_096, 24_576, 32_768] {
        for level in 0..=9 {
            let spec = spec(Algorithm::Zlib, level, window);
            for stream in [whole(&spec, &prose(3_000)), by_pieces(&spec, &prose(3_000))] {
                // RFC 1950, 2.2: CINFO is the logarithm less eight, and the two bytes are a multiple of 31.
                assert_eq!(stream[0] & 0xF, 8);
                assert_eq!(256 << (stream[0] >> 4), kept(window));
                assert_eq!(u16::from_be_bytes([stream[0], stream[1]]) % 31, 0);
            }
        }
    }
}

#[test]
fn sessions_of_one_worker_keep_their_own_windows() {
    let text = far_repeats();
    let mut scratch = uaccel_units::Scratch::new();
    // More than a worker keeps compressors for, twice.
    for _ in 0..2 {
        for window in [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768] {
            for level in [0, 1, 2, 6, 8, 9] {
                let spec = spec(Algorithm::Gzip, level, window);
                let room = size(bound(Algorithm::Gzip, text.len() as u64).expect("has a bound"));
                let unit = Unit::new(&spec).expect("supported");
                let (outcome, stream) = support::run_with(&mut scratch, &unit, &Input::new(&text), room);
                assert_eq!(outcome.status, Status::Ok);
                assert_eq!(stream, whole(&spec, &text), "{spec:?} is served by somebody else's compressor");
            }
        }
    }
}

proptest! {
    #[test]
    fn the_bound_holds_for_every_window(
        (window, level) in (512_u32..=32_768, 0_u8..=9),
        (len, high) in (0_usize..70_000, 0_u8..=255),
        period in 1_usize..5_000,
    ) {
        // Bytes that cost nine bits in the fixed codes, mixed with some that come again.
        let mut text: Vec<u8> = noise(len).into_iter().map(|byte| byte | high & 0x90).collect();
        for at in (period..len).step_by(97) {
            text[at] = text[at - period];
        }
        for algorithm in FORMATS {
            let stream = whole(&spec(algorithm, level, window), &text);
            prop_assert!(decode(algorithm, &stream, kept(window)).as_ref() == Ok(&text));
        }
    }
}
