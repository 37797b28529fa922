//! The engine proper: bytes become bytes.

use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Request};
use uaccel_queue::{Algorithm, Direction, Outcome, SessionSpec, Status};
use uaccel_units::{Input, Unit, plain};

use super::stream;
use crate::{Compute, Scratch, Task};

/// The level of the unit that stands for the engine, which has none of its own.
const LEVEL: u8 = 6;

/// What the engine does for one request, in one direction.
#[derive(Debug)]
pub(super) struct Engine {
    unit: Unit,
    trailer: Trailer,
    direction: Direction,
    /// No reference of what is compressed points farther back, in bytes.
    window: u32,
}

/// What stands behind the blocks. The header before them is the host's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trailer {
    None,
    /// RFC 1950: Adler-32, big endian.
    Zlib,
    /// RFC 1952: CRC-32 and length, little endian.
    Gzip,
}

impl Trailer {
    pub(super) const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Zlib => 4,
            Self::Gzip => 8,
        }
    }
}

/// The checksum of a text, as its trailer has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum {
    trailer: Trailer,
    sum: u32,
}

impl Checksum {
    /// The checksum of nothing.
    pub(super) const fn new(trailer: Trailer) -> Self {
        Self { trailer, sum: if matches!(trailer, Trailer::Zlib) { 1 } else { 0 } }
    }

    /// The checksum that an entry carries.
    pub(super) fn carried(trailer: Trailer, register: u32) -> Self {
        Self { trailer, sum: stream::sum(trailer, register) }
    }

    /// As an entry carries it.
    pub(super) fn register(&self) -> u32 {
        stream::register(self.trailer, self.sum)
    }

    /// More of the text.
    pub(super) fn update(&mut self, text: &[u8]) {
        match self.trailer {
            Trailer::None => {}
            Trailer::Zlib => self.sum = plain::adler32(self.sum, text),
            Trailer::Gzip => self.sum = plain::crc32(self.sum, text),
        }
    }

    /// Writes the trailer of a text of this length, modulo 2³², to `room`, which is as long as it.
    pub(super) fn write(&self, len: u32, room: &mut [u8]) {
        match self.trailer {
            Trailer::None => {}
            Trailer::Zlib => room.copy_from_slice(&self.sum.to_be_bytes()),
            Trailer::Gzip => {
                let (crc, end) = room.split_at_mut(4);
                crc.copy_from_slice(&self.sum.to_le_bytes());
                end.copy_from_slice(&len.to_le_bytes());
            }
        }
    }

    /// Writes the trailer of `text`, which is all of it and shorter than 4 GiB. The checksum.
    fn of(trailer: Trailer, text: &[u8], room: &mut [u8]) -> Self {
        let mut checksum = Self::new(trailer);
        checksum.update(text);
        checksum.write(u32::try_from(text.len()).unwrap_or(0), room);
        checksum
    }
}

impl Engine {
    /// The engine for a request in queues of a kind, with a window of so many bytes; `None` if there is no such work. Whether the engine's own decompressor keeps to the window is not known; here
    /// it does not.
    pub(super) fn new(request: Request, kind: u16, window: u32) -> Option<Self> {
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
        let deflates = direction == Direction::Forward && algorithm == Algorithm::Deflate;
        let mut spec = SessionSpec::compression(algorithm, direction, deflates.then_some(LEVEL)).ok()?;
        if deflates {
            spec = spec.with_window(window).ok()?;
        }
        Some(Self { unit: Unit::new(&spec).ok()?, trailer, direction, window })
    }

    pub(super) const fn trailer(&self) -> Trailer {
        self.trailer
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    pub(super) const fn window(&self) -> u32 {
        self.window
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
        let checksum = Checksum::of(self.trailer, source, &mut destination[body..end]);
        Outcome::ok(source.len() as u64, end as u64).with_checksum(checksum.register())
    }

    fn decompress(&self, source: &[u8], scratch: &mut Scratch, destination: &mut [u8]) -> Outcome {
        let outcome = self.unit.run(scratch, &Input::new(source), destination);
        if outcome.status != Status::Ok {
            return Outcome::failed(outcome.status);
        }
        let body = usize::try_from(outcome.consumed).map_or(source.len(), |consumed| consumed.min(source.len()));
        let text = usize::try_from(outcome.produced).map_or(destination.len(), |made| made.min(destination.len()));
        let Some(trailer) = source[body..].get(..self.trailer.len()) else {
            return Outcome::failed(Status::Truncated);
        };
        let mut expected = [0; 8];
        let expected = &mut expected[..trailer.len()];
        let checksum = Checksum::of(self.trailer, &destination[..text], expected);
        if expected != trailer {
            return Outcome::failed(Status::Corrupt);
        }
        Outcome::ok((body + trailer.len()) as u64, text as u64).with_checksum(checksum.register())
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
