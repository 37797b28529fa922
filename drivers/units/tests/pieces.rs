//! Streams in pieces whose state is a few bytes: against other libraries, cut at every place.

use std::io::{Read as _, Write as _};

use proptest::prelude::*;
use uaccel_queue::{Algorithm, Direction, SessionSpec};
use uaccel_units::Scratch;
use uaccel_units::stream::pieces::{InflateState, WINDOW, deflate};
use uaccel_units::stream::{InflateStream, State, StreamError};

fn text(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(|n| format!("{n} {}\n", n.wrapping_mul(40_503) % 601).into_bytes()).take(len).collect()
}

/// Another library's stream: dynamic, fixed or stored blocks by level and length.
fn theirs(text: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Decodes in pieces of these sizes, the state being bytes between them, and what follows the stream being none of it.
fn decode(stream: &[u8], sources: &[usize], rooms: &[usize]) -> Result<Vec<u8>, StreamError> {
    let mut text = Vec::new();
    let mut bytes = InflateState::new().encode();
    let (mut used, mut rest) = (0, [stream, b"what follows"].concat());
    for turn in 0.. {
        let mut state = InflateState::decode(&bytes).expect("our own state");
        assert_eq!(state.encode(), bytes);
        let source = &rest[..rest.len().min(sources[turn % sources.len()])];
        let mut room = vec![0; rooms[turn % rooms.len()]];
        let window = &text[text.len().saturating_sub(WINDOW)..];
        let step = state.process(window, source, &mut room)?;
        text.extend_from_slice(&room[..step.produced]);
        used += step.consumed;
        if step.state == State::More {
            assert_eq!(step.consumed, source.len());
        }
        rest.drain(..step.consumed);
        bytes = state.encode();
        if step.state == State::End {
            assert_eq!(used, stream.len());
            return Ok(text);
        }
        if rest.is_empty() && step.state == State::More {
            return Err(StreamError::Truncated);
        }
    }
    unreachable!()
}

#[test]
fn streams_of_all_kinds_of_blocks_are_decoded_whatever_the_pieces() {
    for (len, level) in [(0, 6), (1, 6), (10, 0), (70_000, 0), (300, 6), (200_000, 1), (200_000, 9)] {
        let text = text(len);
        let stream = theirs(&text, level);
        for (sources, rooms) in [(&[usize::MAX][..], &[300_000][..]), (&[1], &[1]), (&[1, 0, 7, 500], &[3, 0, 1000])] {
            assert!(decode(&stream, sources, rooms).unwrap() == text, "{len} at level {level}");
        }
    }
}

#[test]
fn blocks_of_other_kinds_follow_each_other() {
    let (long, short) = (text(20_000), b"hi");
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    // A flush ends a block: one with codes of its own, an empty one that is stored, one with the fixed codes, and so on.
    for part in [&long[..], short, &long, &[], short] {
        encoder.write_all(part).unwrap();
        encoder.flush().unwrap();
    }
    let stream = encoder.finish().unwrap();
    let text = [&long[..], short, &long, short].concat();
    for (sources, rooms) in [(&[usize::MAX][..], &[100_000][..]), (&[1], &[1]), (&[3, 1, 500], &[1, 1000])] {
        assert!(decode(&stream, sources, rooms).unwrap() == text, "{sources:?}");
    }
}

#[test]
fn a_text_that_just_fits_shows_its_end() {
    let text = text(5000);
    let stream = theirs(&text, 6);
    let mut room = vec![0; 5000];
    let step = InflateState::new().process(&[], &stream, &mut room).unwrap();
    assert_eq!((step.state, step.consumed, step.produced), (State::End, stream.len(), 5000));
}

#[test]
fn pieces_that_were_compressed_apart_are_one_stream() {
    let text = text(150_000);
    let mut scratch = Scratch::new();
    for size in [1000, 40_000, 150_000] {
        let mut stream = Vec::new();
        let mut done = 0;
        while done < text.len() {
            let next = (done + size).min(text.len());
            let mut room = vec![0; 2 * size + 100];
            let window = &text[done.saturating_sub(WINDOW)..done];
            let made =
                deflate(&mut scratch, 1 << 15, window, &text[done..next], &mut room, next == text.len()).unwrap();
            stream.extend_from_slice(&room[..made]);
            done = next;
        }
        let mut back = Vec::new();
        flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut back).unwrap();
        assert!(back == text);
    }
    // What came before is of use, as far back as it is told.
    let before = &theirs(&text, 9)[..20_000];
    let again = deflate(&mut scratch, 1 << 15, before, before, &mut [0; 100_000], false).unwrap();
    assert!(again < before.len() / 50, "{again} of {}", before.len());
    assert_eq!(deflate(&mut scratch, 1 << 15, &[], &text, &mut [0; 1000], true), None);
    assert_eq!(deflate(&mut scratch, 1 << 15, &[], &text, &mut [0; 1000], false), None);
}

proptest! {
    #[test]
    fn corrupt_streams_are_what_others_find_them_to_be(
        at in 0_usize..3000, flip in 1_u8.., sizes in prop::collection::vec(0_usize..300, 1..5), level in 0_u32..10,
    ) {
        prop_assume!(sizes.iter().any(|size| *size != 0));
        let mut stream = theirs(&text(9000), level);
        let at = at % stream.len();
        stream[at] ^= flip;
        let mut back = Vec::new();
        let theirs = flate2::read::DeflateDecoder::new(&stream[..]).take(1 << 20).read_to_end(&mut back);
        // A room for each piece, and one that is there anyway.
        let rooms = [&sizes[..], &[100]].concat();
        let sources = [&[50], &sizes[..]].concat();
        // One library says whether it is sound, the other, which is less strict, what it decodes to.
        let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Inverse, None).unwrap();
        let verdict = InflateStream::new(&spec).unwrap().process(&stream, &mut vec![0; 1 << 20], true);
        match decode_some(&stream, &sources, &rooms) {
            Ok(ours) => prop_assert!(theirs.is_ok() && verdict.is_ok() && ours == back),
            Err(error) => prop_assert_eq!(Err(error), verdict),
        }
    }

    #[test]
    fn states_that_others_wrote_do_no_harm(
        noise in prop::collection::vec(any::<u8>(), InflateState::SIZE), small in any::<bool>(),
        source in prop::collection::vec(any::<u8>(), 0..300), window in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes: [u8; InflateState::SIZE] = noise.try_into().unwrap();
        if small {
            bytes[0] %= 9;
            bytes[2] = 0;
            bytes[8..16].fill(0);
            for at in [17, 19, 21, 23] { bytes[at] = 0; }
            bytes[20] %= 31;
            bytes[22] %= 20;
            bytes[32..51].iter_mut().for_each(|len| *len %= 8);
            bytes[56..].iter_mut().for_each(|len| *len %= 16);
        }
        if let Some(mut state) = InflateState::decode(&bytes) {
            let mut room = [0; 500];
            if let Ok(step) = state.process(&window, &source, &mut room) {
                prop_assert!(step.consumed <= source.len() && step.produced <= 500);
                prop_assert_eq!(InflateState::decode(&state.encode()), Some(state));
            }
        }
    }
}

/// As [`decode`], of a stream that may end early or in the middle of the source.
fn decode_some(stream: &[u8], sources: &[usize], rooms: &[usize]) -> Result<Vec<u8>, StreamError> {
    let mut text = Vec::new();
    let mut state = InflateState::new();
    let mut used = 0;
    for turn in 0.. {
        let source = &stream[used..][..sources[turn % sources.len()].min(stream.len() - used)];
        let mut room = vec![0; rooms[turn % rooms.len()]];
        let window = &text[text.len().saturating_sub(WINDOW)..];
        let step = state.process(window, source, &mut room)?;
        text.extend_from_slice(&room[..step.produced]);
        used += step.consumed;
        match step.state {
            State::End => return Ok(text),
            State::More if used == stream.len() => return Err(StreamError::Truncated),
            _ => {}
        }
    }
    unreachable!()
}
