//! Streams: the same result however the input is cut and however small the room.

mod support;

use support::{compress, decompress, noise, prose, texts};
use uaccel_queue::{Algorithm, Direction, SessionSpec, Status};
use uaccel_units::UnitError;
use uaccel_units::stream::{DeflateStream, InflateStream, State, Step, StreamError};

const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

fn spec(algorithm: Algorithm, direction: Direction, level: Option<u8>) -> SessionSpec {
    SessionSpec::compression(algorithm, direction, level).expect("valid")
}

/// Feeds `input` in pieces into a room that is handed out in pieces; the output, and how much of the input was used.
fn pump(
    mut process: impl FnMut(&[u8], &mut [u8], bool) -> Result<Step, StreamError>,
    input: &[u8],
    piece: usize,
    room: usize,
) -> Result<(Vec<u8>, usize), StreamError> {
    let (mut output, mut buffer, mut at, mut given) = (Vec::new(), vec![0; room], 0, piece.min(input.len()));
    let mut idle = 0;
    loop {
        let finish = given == input.len();
        let step = process(&input[at..given], &mut buffer, finish)?;
        assert!(step.consumed <= given - at && step.produced <= room);
        at += step.consumed;
        output.extend_from_slice(&buffer[..step.produced]);
        match step.state {
            State::End => return Ok((output, at)),
            State::More => {
                assert_eq!(at, given, "wants more and left some");
                assert!(!finish, "wants more though it was told that there is none");
                given = (given + piece).min(input.len());
            }
            State::NeedOutput => assert_eq!(step.produced, room, "wants room and left some"),
        }
        idle = if step.consumed == 0 && step.produced == 0 { idle + 1 } else { 0 };
        assert!(idle < 3, "no progress");
    }
}

fn deflate(algorithm: Algorithm, level: u8, text: &[u8], piece: usize, room: usize) -> Vec<u8> {
    let mut stream = DeflateStream::new(&spec(algorithm, Direction::Forward, Some(level))).expect("supported");
    let (output, used) = pump(|i, o, f| stream.process(i, o, f), text, piece, room).expect("compresses");
    assert_eq!(used, text.len());
    output
}

fn inflate(algorithm: Algorithm, stream: &[u8], piece: usize, room: usize) -> Result<(Vec<u8>, usize), StreamError> {
    let mut engine = InflateStream::new(&spec(algorithm, Direction::Inverse, None)).expect("supported");
    pump(|i, o, f| engine.process(i, o, f), stream, piece, room)
}

#[test]
fn input_may_be_cut_anywhere() {
    let text = [prose(500), noise(100)].concat();
    for algorithm in FORMATS {
        let stream = compress(algorithm, None, &text);
        for piece in 1..=stream.len() {
            assert_eq!(
                inflate(algorithm, &stream, piece, 64),
                Ok((text.clone(), stream.len())),
                "{algorithm} by {piece}"
            );
        }
        for piece in 1..=text.len() {
            let stream = deflate(algorithm, 6, &text, piece, 64);
            assert_eq!(decompress(algorithm, &stream, text.len()).1, text, "{algorithm} by {piece}");
        }
    }
}

#[test]
fn output_may_be_taken_byte_by_byte() {
    let text = prose(3000);
    for algorithm in FORMATS {
        for room in [1, 2, 3, 7, 100] {
            let stream = deflate(algorithm, 6, &text, 1000, room);
            let (outcome, back) = decompress(algorithm, &stream, text.len());
            assert_eq!((outcome.status, &back), (Status::Ok, &text));
            assert_eq!(inflate(algorithm, &stream, 50, room), Ok((text.clone(), stream.len())));
        }
    }
}

#[test]
fn every_level_and_text_comes_back() {
    for algorithm in FORMATS {
        for level in 0..=9 {
            for text in texts() {
                let stream = deflate(algorithm, level, text, 10_000, 4_096);
                let (outcome, back) = decompress(algorithm, &stream, text.len());
                assert_eq!((outcome.status, &back), (Status::Ok, text), "{algorithm} at {level}, {} bytes", text.len());
                assert_eq!(inflate(algorithm, &stream, 10_000, 4_096).as_ref().map(|(text, _)| text), Ok(text));
            }
        }
    }
}

#[test]
fn the_stream_stops_at_its_end() {
    for algorithm in FORMATS {
        let text = prose(200);
        let mut input = compress(algorithm, None, &text);
        let end = input.len();
        input.extend_from_slice(&[0xEE; 30]);
        let mut stream = InflateStream::new(&spec(algorithm, Direction::Inverse, None)).expect("supported");
        let mut room = [0; 300];
        let step = stream.process(&input, &mut room, false).expect("decodes");
        assert_eq!(step, Step { consumed: end, produced: 200, state: State::End }, "{algorithm}");
        let step = stream.process(&input[end..], &mut room, true).expect("stays at its end");
        assert_eq!(step, Step { consumed: 0, produced: 0, state: State::End });
    }
}

#[test]
fn a_reset_stream_decodes_the_next_member() {
    for algorithm in FORMATS {
        let (first, second) = (prose(300), noise(300));
        let mut input = compress(algorithm, None, &first);
        let border = input.len();
        input.extend(compress(algorithm, None, &second));
        let mut stream = InflateStream::new(&spec(algorithm, Direction::Inverse, None)).expect("supported");
        assert_eq!(pump(|i, o, f| stream.process(i, o, f), &input, 10, 50), Ok((first, border)), "{algorithm}");
        stream.reset();
        assert_eq!(pump(|i, o, f| stream.process(i, o, f), &input[border..], 10, 50).map(|(text, _)| text), Ok(second));
    }
}

#[test]
fn a_reset_compressor_forgets_and_keeps_its_level() {
    for algorithm in FORMATS {
        let mut stream = DeflateStream::new(&spec(algorithm, Direction::Forward, Some(9))).expect("supported");
        stream.process(b"something to forget", &mut [0; 5], false).expect("compresses");
        stream.reset();
        let text = prose(20_000);
        let again = pump(|i, o, f| stream.process(i, o, f), &text, 20_000, 30_000).expect("compresses").0;
        assert_eq!(again, deflate(algorithm, 9, &text, 20_000, 30_000), "{algorithm}");
    }
}

#[test]
fn every_prefix_is_truncated_and_a_failed_stream_stays_failed() {
    let text = [prose(100), noise(40)].concat();
    for algorithm in FORMATS {
        let input = compress(algorithm, None, &text);
        for end in 0..input.len() {
            assert_eq!(
                inflate(algorithm, &input[..end], 7, 16),
                Err(StreamError::Truncated),
                "{algorithm}: {end} bytes"
            );
        }
        let mut damaged = input.clone();
        // The type of the first block becomes the reserved one: RFC 1951 section 3.2.3.
        let first = match algorithm {
            Algorithm::Deflate => 0,
            Algorithm::Zlib => 2,
            _ => 10,
        };
        damaged[first] |= 0b110;
        let mut stream = InflateStream::new(&spec(algorithm, Direction::Inverse, None)).expect("supported");
        assert_eq!(stream.process(&damaged, &mut [0; 300], true), Err(StreamError::Corrupt), "{algorithm}");
        assert_eq!(stream.process(&input, &mut [0; 300], true), Err(StreamError::Corrupt), "{algorithm}");
        stream.reset();
        assert_eq!(
            stream.process(&input, &mut [0; 300], true).map(|step| step.produced),
            Ok(text.len()),
            "{algorithm}"
        );
    }
}

#[test]
fn a_wrong_checksum_is_corrupt() {
    for algorithm in [Algorithm::Zlib, Algorithm::Gzip] {
        let mut input = compress(algorithm, None, &prose(100));
        let at = input.len() - 5 + usize::from(algorithm == Algorithm::Zlib);
        input[at] ^= 1;
        assert_eq!(inflate(algorithm, &input, 9, 64), Err(StreamError::Corrupt), "{algorithm}");
    }
}

#[test]
fn a_stream_takes_only_sessions_of_its_kind() {
    for algorithm in FORMATS {
        let (forward, inverse) = (spec(algorithm, Direction::Forward, None), spec(algorithm, Direction::Inverse, None));
        assert_eq!(DeflateStream::new(&inverse).err(), Some(UnitError::Unsupported(algorithm)));
        assert_eq!(InflateStream::new(&forward).err(), Some(UnitError::Unsupported(algorithm)));
    }
    let lz4 = spec(Algorithm::Lz4Block, Direction::Forward, None);
    assert_eq!(DeflateStream::new(&lz4).err(), Some(UnitError::Unsupported(Algorithm::Lz4Block)));
}

#[test]
fn units_are_shared_and_workers_state_moves() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<uaccel_units::Unit>();
    moved::<uaccel_units::Scratch>();
    moved::<DeflateStream>();
    moved::<InflateStream>();
}
