//! The engine proper: bytes become bytes.

use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Request};
use uaccel_queue::{Algorithm, Direction, Outcome, SessionSpec, Status};
use uaccel_units::{Input, Unit, plain};

use crate::{Compute, Scratch, Task};

/// The level of the unit that stands for the engine, which has none of its own.
const LEVEL: u8 = 6;

/// What the engine does for one request, in one direction.
#[derive(Debug)]
pub(super) struct Engine {
    unit: Unit,
    trailer: Trailer,
    direction: Direction,
}

/// What stands behind the blocks. The header before them is the host's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trailer {
    None,
    /// RFC 1950: Adler-32, big endian.
    Zlib,
    /// RFC 1952: CRC-32 and length, little endian.
    Gzip,
}

impl Trailer {
    const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Zlib => 4,
            Self::Gzip => 8,
        }
    }

    /// Writes the trailer of `text` to `room`, which is as long.
    fn write(self, text: &[u8], room: &mut [u8]) {
        match self {
            Self::None => {}
            Self::Zlib => room.copy_from_slice(&plain::adler32(1, text).to_be_bytes()),
            Self::Gzip => {
                let (crc, len) = room.split_at_mut(4);
                crc.copy_from_slice(&plain::crc32(0, text).to_le_bytes());
                // The length modulo 2³²: the low half of the wider one.
                len.copy_from_slice(&(text.len() as u64).to_le_bytes()[..4]);
            }
        }
    }

    /// Whether `trailer` is that of `text`.
    fn matches(self, text: &[u8], trailer: &[u8]) -> bool {
        let mut expected = [0; 8];
        let expected = &mut expected[..self.len()];
        self.write(text, expected);
        expected == trailer
    }
}

impl Engine {
    /// The engine for a request in queues of a kind; `None` if there is no such work.
    pub(super) fn new(request: Request, kind: u16) -> Option<Self> {
        let direction = match kind {
            COMPRESS => Direction::Forward,
            DECOMPRESS => Direction::Inverse,
            _ => return None,
        };
        let (algorithm, trailer) = match request {
            Request::Deflate => (Algorithm::Deflate, Trailer::None),
            Request::Zlib => (Algorithm::Deflate, Trailer::Zlib),
            Request::Gzip => (Algorithm::Deflate, Trailer::Gzip),
            Request::Lz4 if direction == Direction::Forward => (Algorithm::Lz4Block, Trailer::None),
            _ => return None,
        };
        let level = (direction == Direction::Forward && algorithm == Algorithm::Deflate).then_some(LEVEL);
        let spec = SessionSpec::compression(algorithm, direction, level).ok()?;
        Some(Self { unit: Unit::new(&spec).ok()?, trailer, direction })
    }

    fn compress(&self, source: &[u8], scratch: &mut Scratch, destination: &mut [u8]) -> Outcome {
        let Some(room) = destination.len().checked_sub(self.trailer.len()) else {
            return Outcome::failed(Status::OutputTooSmall);
        };
        let outcome = self.unit.run(scratch, &Input::new(source), &mut destination[..room]);
        if outcome.status != Status::Ok {
            return Outcome::failed(outcome.status);
        }
        let body = usize::try_from(outcome.produced).map_or(room, |produced| produced.min(room));
        let end = body + self.trailer.len();
        self.trailer.write(source, &mut destination[body..end]);
        Outcome::ok(source.len() as u64, end as u64)
    }

    fn decompress(&self, source: &[u8], scratch: &mut Scratch, destination: &mut [u8]) -> Outcome {
        let outcome = self.unit.run(scratch, &Input::new(source), destination);
        if outcome.status != Status::Ok {
            return Outcome::failed(outcome.status);
        }
        let body = usize::try_from(outcome.consumed).map_or(source.len(), |consumed| consumed.min(source.len()));
        let text = usize::try_from(outcome.produced).map_or(destination.len(), |made| made.min(destination.len()));
        match source[body..].get(..self.trailer.len()) {
            None => Outcome::failed(Status::Truncated),
            Some(trailer) if self.trailer.matches(&destination[..text], trailer) => {
                Outcome::ok((body + trailer.len()) as u64, text as u64)
            }
            Some(_) => Outcome::failed(Status::Corrupt),
        }
    }
}

impl Compute for Engine {
    fn compute(&self, task: &Task<'_>, scratch: &mut Scratch, destination: &mut [u8]) -> Outcome {
        match self.direction {
            Direction::Forward => self.compress(task.source, scratch, destination),
            Direction::Inverse => self.decompress(task.source, scratch, destination),
        }
    }

    fn cost(&self, bytes: u64) -> u64 {
        2000 + bytes * 4
    }
}
