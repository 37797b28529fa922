//! Headers of compressed streams: how long they are, and whether they are sound. References are to RFC 1950 and RFC 1952.

use uaccel_queue::{Outcome, Status};
use uaccel_units::plain::crc32;

use super::memory::{JobMemory, uncopied};

/// The header of a zlib stream: its length.
///
/// # Errors
/// How the job ends that begins so.
pub(super) fn zlib(memory: JobMemory<'_>) -> Result<usize, Outcome> {
    let [method, flags] = Walk::new(memory).next()?;
    let (deflate, window) = (method & 0xf == 8, method >> 4 <= 7);
    // 2.2: both bytes together are a multiple of 31. A dictionary (bit 5) would have to be agreed on, and there is no way to.
    let sound = u16::from_be_bytes([method, flags]).is_multiple_of(31);
    if deflate && window && sound && flags & 1 << 5 == 0 { Ok(2) } else { corrupt() }
}

/// The header of a gzip member: its length.
///
/// # Errors
/// How the job ends that begins so.
pub(super) fn gzip(memory: JobMemory<'_>) -> Result<usize, Outcome> {
    /// 2.3.1. Bit 0 says that it is probably text, which changes nothing; bits 5 to 7 are reserved.
    const CHECKSUM: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0xe0;
    /// Two bytes that say gzip, and deflate.
    const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
    /// What every header has.
    const HEAD: usize = 10;

    let mut walk = Walk::new(memory);
    if memory.source_len() < HEAD {
        return Err(cut_short(memory, &MAGIC));
    }
    // Magic, method, flags, and time (4), extra flags, system, which are not looked at.
    let [first, second, method, flags, ..] = walk.next::<HEAD>()?;
    if [first, second, method] != MAGIC || flags & RESERVED != 0 {
        return corrupt();
    }
    if flags & EXTRA != 0 {
        let len = u16::from_le_bytes(walk.next()?);
        walk.skip(len.into())?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            walk.text()?;
        }
    }
    if flags & CHECKSUM != 0 {
        let [low, high, ..] = walk.checksum.to_le_bytes();
        if walk.next()? != [low, high] {
            return corrupt();
        }
    }
    Ok(walk.at)
}

/// How a job ends whose source is shorter than any header that begins with `magic`: more of it does not help if it begins otherwise.
#[cold]
fn cut_short(memory: JobMemory<'_>, magic: &[u8; 3]) -> Outcome {
    let mut bytes = *magic;
    let len = memory.source_len().min(bytes.len());
    if let Err(outcome) = memory.read(0, &mut bytes[..len]).map_err(uncopied) {
        return outcome;
    }
    Outcome::failed(if bytes == *magic { Status::Truncated } else { Status::Corrupt })
}

fn corrupt<T>() -> Result<T, Outcome> {
    Err(Outcome::failed(Status::Corrupt))
}

/// A walk through a header, from its beginning.
struct Walk<'a> {
    memory: JobMemory<'a>,
    at: usize,
    /// The CRC-32 of what lies behind.
    checksum: u32,
}

impl<'a> Walk<'a> {
    /// Bytes that are looked at in one piece.
    const PIECE: usize = 256;

    fn new(memory: JobMemory<'a>) -> Self {
        Self { memory, at: 0, checksum: 0 }
    }

    /// Looks at the next bytes, without a step.
    fn peek(&self, into: &mut [u8]) -> Result<(), Outcome> {
        if into.len() > self.memory.source_len() - self.at {
            return Err(Outcome::failed(Status::Truncated));
        }
        self.memory.read(self.at, into).map_err(uncopied)
    }

    fn step(&mut self, bytes: &[u8]) {
        self.at += bytes.len();
        self.checksum = crc32(self.checksum, bytes);
    }

    fn next<const LEN: usize>(&mut self) -> Result<[u8; LEN], Outcome> {
        let mut bytes = [0; LEN];
        self.peek(&mut bytes)?;
        self.step(&bytes);
        Ok(bytes)
    }

    fn skip(&mut self, mut len: usize) -> Result<(), Outcome> {
        let mut piece = [0; Self::PIECE];
        while len > 0 {
            let piece = &mut piece[..len.min(Self::PIECE)];
            self.peek(piece)?;
            self.step(piece);
            len -= piece.len();
        }
        Ok(())
    }

    /// A text with a zero behind it.
    fn text(&mut self) -> Result<(), Outcome> {
        let mut piece = [0; Self::PIECE];
        loop {
            // At least one byte: where there is none, the stream ends early.
            let left = self.memory.source_len() - self.at;
            let piece = &mut piece[..left.clamp(1, Self::PIECE)];
            self.peek(piece)?;
            match piece.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    self.step(&piece[..=end]);
                    return Ok(());
                }
                None => self.step(piece),
            }
        }
    }
}
