//! What the tests of this folder share: running one job, and texts to run it on.
#![allow(dead_code, reason = "every test file is a program of its own and uses a part")]

use std::sync::OnceLock;

use uaccel_queue::{Algorithm, Direction, Outcome, SessionSpec, Status};
use uaccel_units::{Input, Scratch, Unit, bound};

/// Behind every destination: must be as it was when the job is done.
const GUARD: [u8; 64] = [0xA5; 64];

pub(crate) fn size(len: u64) -> usize {
    usize::try_from(len).expect("fits")
}

/// Runs one job with exactly `room` bytes of destination, and sees to it that nothing beyond is touched.
pub(crate) fn run_with(scratch: &mut Scratch, unit: &Unit, input: &Input<'_>, room: usize) -> (Outcome, Vec<u8>) {
    let mut buffer = vec![0x5A; room];
    buffer.extend_from_slice(&GUARD);
    let outcome = unit.run(scratch, input, &mut buffer[..room]);
    assert_eq!(&buffer[room..], GUARD, "wrote beyond the destination");
    buffer.truncate(room);
    if outcome.status == Status::Ok {
        assert!(size(outcome.produced) <= room);
        buffer.truncate(size(outcome.produced));
    }
    (outcome, buffer)
}

pub(crate) fn run(unit: &Unit, input: &Input<'_>, room: usize) -> (Outcome, Vec<u8>) {
    run_with(&mut Scratch::new(), unit, input, room)
}

pub(crate) fn compressor(algorithm: Algorithm, level: Option<u8>) -> Unit {
    Unit::new(&SessionSpec::compression(algorithm, Direction::Forward, level).expect("valid")).expect("supported")
}

pub(crate) fn decompressor(algorithm: Algorithm) -> Unit {
    Unit::new(&SessionSpec::compression(algorithm, Direction::Inverse, None).expect("valid")).expect("supported")
}

/// Compresses into the room that `bound` promises to be enough.
pub(crate) fn compress(algorithm: Algorithm, level: Option<u8>, text: &[u8]) -> Vec<u8> {
    let room = size(bound(algorithm, text.len() as u64).expect("has a bound"));
    let (outcome, stream) = run(&compressor(algorithm, level), &Input::new(text), room);
    assert_eq!(outcome.status, Status::Ok, "{algorithm} at {level:?}, {} bytes", text.len());
    assert_eq!(size(outcome.consumed), text.len());
    stream
}

/// Decompresses into a room of exactly `room` bytes.
pub(crate) fn decompress(algorithm: Algorithm, stream: &[u8], room: usize) -> (Outcome, Vec<u8>) {
    run(&decompressor(algorithm), &Input::new(stream), room)
}

/// Every compression format of this build.
pub(crate) fn formats() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|algorithm| {
        algorithm.family() == uaccel_queue::Family::Compression && Unit::supports(*algorithm, Direction::Forward)
    })
}

/// Every level of `algorithm`; one `None` if it has no levels.
pub(crate) fn levels(algorithm: Algorithm) -> Vec<Option<u8>> {
    algorithm.levels().map_or(vec![None], |levels| (levels.min..=levels.max).map(Some).collect())
}

/// Bytes without any structure, the same in every run.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(len)
    .collect()
}

/// Words in an order without any structure.
pub(crate) fn prose(len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the ",
        "queue ",
        "of ",
        "an ",
        "engine ",
        "completes ",
        "when ",
        "memory ",
        "is ",
        "written, ",
        "and ",
        "not ",
        "before; ",
        "doorbell ",
        "descriptor ",
        "ring.\n",
    ];
    let mut text = noise(len).into_iter().flat_map(|byte| WORDS[usize::from(byte & 15)].bytes()).collect::<Vec<_>>();
    text.truncate(len);
    text
}

/// Texts that between them reach every kind of block: none, one byte, all alike, prose, noise, a mixture.
pub(crate) fn texts() -> &'static [Vec<u8>] {
    static TEXTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let mut mixture = prose(90_000);
        mixture.extend(noise(70_000));
        mixture.extend(vec![0; 140_000]);
        vec![vec![], vec![b'x'], vec![b'y'; 5_000], prose(4_096), noise(4_096), noise(65_535), mixture]
    })
}
