//! Streams from nowhere through the units: nothing is written beyond the room, nothing panics, and for the formats that can be
//! decoded in pieces, pieces of any size come to the same end as the whole.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use uaccel_fuzz::text::{Damage, Pieces, Text};
use uaccel_queue::{Algorithm, Direction, Outcome, SessionSpec, Status};
use uaccel_units::stream::{InflateStream, State, StreamError};
use uaccel_units::{Input, Scratch, Unit, bound};

const FORMATS: [Algorithm; 5] =
    [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip, Algorithm::Lz4Block, Algorithm::Zstd];

/// The longest text that is packed.
const MOST: usize = 1 << 17;

#[derive(Debug)]
struct Case {
    format: Algorithm,
    stream: Vec<u8>,
    /// The text, if the stream is whole.
    text: Option<Vec<u8>>,
    room: usize,
    pieces: Pieces,
    rooms: Pieces,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let format = *u.choose(&FORMATS)?;
        let (pieces, rooms) = (u.arbitrary()?, u.arbitrary()?);
        if u.ratio(1, 2)? {
            let room = u.int_in_range(0..=0xffff)?;
            let mut stream = prefix(format, u.arbitrary()?);
            stream.extend_from_slice(u.bytes(u.len())?);
            return Ok(Self { format, stream, text: None, room, pieces, rooms });
        }
        let level = format.levels().map(|levels| u.int_in_range(levels.min..=levels.max)).transpose()?;
        let (damage, short) = (Damage::rarely(u)?, u.int_in_range(-3..=3_isize)?);
        let text = u.arbitrary::<Text>()?.bytes(MOST);
        let whole = pack(format, level, &text);
        let mut stream = whole.clone();
        damage.strike(&mut stream);
        let room = text.len().saturating_add_signed(short);
        Ok(Self { format, text: (stream == whole).then_some(text), stream, room, pieces, rooms })
    }
}

/// The beginning that a stream of this format must have, so that the rest is looked at.
fn prefix(format: Algorithm, wanted: bool) -> Vec<u8> {
    match format {
        _ if !wanted => Vec::new(),
        Algorithm::Zlib => vec![0x78, 0x9c],
        Algorithm::Gzip => vec![0x1f, 0x8b, 8],
        Algorithm::Zstd => vec![0x28, 0xb5, 0x2f, 0xfd],
        _ => Vec::new(),
    }
}

fn pack(format: Algorithm, level: Option<u8>, text: &[u8]) -> Vec<u8> {
    let spec = SessionSpec::compression(format, Direction::Forward, level).expect("a level it has");
    let room = bound(format, text.len() as u64).and_then(|room| usize::try_from(room).ok()).expect("a short text");
    let mut stream = vec![0; room];
    let unit = Unit::new(&spec).expect("every format is built in");
    let outcome = unit.run(&mut Scratch::new(), &Input::new(text), &mut stream);
    assert_eq!((outcome.status, outcome.consumed), (Status::Ok, text.len() as u64), "the bound is enough");
    stream.truncate(usize::try_from(outcome.produced).expect("within the room"));
    stream
}

/// The whole in one step, with room for so many bytes.
fn at_once(case: &Case, room: usize) -> (Outcome, Vec<u8>) {
    const GUARD: [u8; 64] = [0xa5; 64];

    let spec = SessionSpec::compression(case.format, Direction::Inverse, None).expect("no level");
    let unit = Unit::new(&spec).expect("every format is built in");
    let mut out = vec![0; room];
    out.extend_from_slice(&GUARD);
    let outcome = unit.run(&mut Scratch::new(), &Input::new(&case.stream), &mut out[..room]);
    assert_eq!(out.split_off(room), GUARD, "bytes beyond the room were written");
    if outcome.status == Status::Ok {
        assert!(outcome.consumed <= case.stream.len() as u64 && outcome.produced <= room as u64, "{outcome:?}");
        out.truncate(usize::try_from(outcome.produced).expect("within the room"));
    } else {
        assert_eq!(outcome.consumed, 0, "{outcome:?}");
    }
    (outcome, out)
}

/// How a stream ended that was decoded in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At its end, after so many bytes.
    Whole(usize),
    /// In the middle, for want of room.
    Full,
    Failed(StreamError),
}

/// The same in pieces. What is decoded beyond the room is one byte at most: it tells that there was more.
fn in_pieces(case: &mut Case, room: usize) -> (End, Vec<u8>) {
    let spec = SessionSpec::compression(case.format, Direction::Inverse, None).expect("no level");
    let mut inflate = InflateStream::new(&spec).expect("a format that can be decoded in pieces");
    let (mut used, mut given) = (0, case.pieces.advance().min(case.stream.len()));
    let mut out = vec![0; room + 1];
    let mut made = 0;
    loop {
        let space = case.rooms.advance().min(out.len() - made);
        let last = given == case.stream.len();
        let step = match inflate.process(&case.stream[used..given], &mut out[made..made + space], last) {
            Ok(step) => step,
            Err(error) => {
                assert_eq!(inflate.process(&[], &mut [], true), Err(error), "what failed stays failed");
                return (End::Failed(error), Vec::new());
            }
        };
        assert!(step.consumed <= given - used && step.produced <= space, "{step:?}");
        used += step.consumed;
        made += step.produced;
        if made > room {
            return (End::Full, Vec::new());
        }
        match step.state {
            State::End => {
                out.truncate(made);
                return (End::Whole(used), out);
            }
            State::More => {
                assert!(used == given && !last, "it asks for more, and has not used what it had");
                given += case.pieces.advance().min(case.stream.len() - given);
            }
            State::NeedOutput => assert_eq!(step.produced, space, "it asks for room, and has some left"),
        }
    }
}

fuzz_target!(|case: Case| {
    let mut case = case;
    let room = case.room;
    let (outcome, out) = at_once(&case, room);
    if let Some(text) = &case.text {
        let expected = if text.len() <= room { Status::Ok } else { Status::OutputTooSmall };
        assert_eq!(outcome.status, expected, "a whole stream of {} bytes, room for {room}", text.len());
        assert!(outcome.status != Status::Ok || out == *text, "another text came out");
    }
    if matches!(case.format, Algorithm::Lz4Block | Algorithm::Zstd) {
        return;
    }
    let (end, pieces) = in_pieces(&mut case, room);
    let same = match end {
        End::Whole(used) => outcome.status == Status::Ok && outcome.consumed == used as u64 && out == pieces,
        // Damage right behind the room is seen by whoever decodes one symbol more than fits.
        End::Full => matches!(outcome.status, Status::OutputTooSmall | Status::Corrupt),
        // Which of the two it is may depend on the pieces: of a header that is wrong and short, the one may read less than the other
        // before it judges.
        End::Failed(StreamError::Corrupt | StreamError::Truncated) => {
            matches!(outcome.status, Status::Corrupt | Status::Truncated)
        }
        End::Failed(error) => panic!("{error}"),
    };
    assert!(same, "at once {outcome:?}, in pieces {end:?}");
});
