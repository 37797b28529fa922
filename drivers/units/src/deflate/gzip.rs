//! The header and trailer of a gzip member: RFC 1952 section 2.3.

use uaccel_queue::{Outcome, Status};

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

const TRAILER: usize = 8;

/// Decodes one member: `inflate` decodes the raw deflate stream between header and trailer.
pub(super) fn member(
    source: &[u8],
    destination: &mut [u8],
    inflate: impl FnOnce(&[u8], &mut [u8]) -> Outcome,
) -> Outcome {
    let (body, header_len) = match header(source) {
        Ok(parsed) => parsed,
        Err(status) => return Outcome::failed(status),
    };
    let outcome = inflate(body, destination);
    if outcome.status != Status::Ok {
        return outcome;
    }
    let Some((text, trailer)) = split(&outcome, body, destination) else {
        return Outcome::failed(Status::Truncated);
    };
    let mut expected = [0; TRAILER];
    expected[..4].copy_from_slice(&crc32fast::hash(text).to_le_bytes());
    // ISIZE is the length modulo 2³²: the low half of the 64-bit length.
    expected[4..].copy_from_slice(&outcome.produced.to_le_bytes()[..4]);
    if trailer == expected {
        Outcome::ok(outcome.consumed + (header_len + TRAILER) as u64, outcome.produced)
    } else {
        Outcome::failed(Status::Corrupt)
    }
}

/// The decoded text and the trailer's bytes, if they are all there.
fn split<'a>(outcome: &Outcome, body: &'a [u8], destination: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let end = usize::try_from(outcome.consumed).ok()?;
    let text = destination.get(..usize::try_from(outcome.produced).ok()?)?;
    let trailer = body.get(end..)?.get(..TRAILER)?;
    Some((text, trailer))
}

/// What follows the header, and the header's length.
fn header(source: &[u8]) -> Result<(&[u8], usize), Status> {
    let mut cursor = Cursor { rest: source };
    for expected in [0x1f, 0x8b, 8] {
        if cursor.byte()? != expected {
            return Err(Status::Corrupt);
        }
    }
    let flags = cursor.byte()?;
    // Section 2.3.1.2: a reserved bit may announce a field this code would take for data.
    if flags & RESERVED != 0 {
        return Err(Status::Corrupt);
    }
    // Time, extra flags and operating system: nothing to check.
    cursor.skip(6)?;
    if flags & FEXTRA != 0 {
        let len = u16::from_le_bytes([cursor.byte()?, cursor.byte()?]);
        cursor.skip(usize::from(len))?;
    }
    if flags & FNAME != 0 {
        cursor.string()?;
    }
    if flags & FCOMMENT != 0 {
        cursor.string()?;
    }
    if flags & FHCRC != 0 {
        let crc = crc32fast::hash(&source[..source.len() - cursor.rest.len()]).to_le_bytes();
        if [cursor.byte()?, cursor.byte()?] != crc[..2] {
            return Err(Status::Corrupt);
        }
    }
    Ok((cursor.rest, source.len() - cursor.rest.len()))
}

/// Reads a header; whatever is missing at the end means that the member is truncated.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn byte(&mut self) -> Result<u8, Status> {
        let (&byte, rest) = self.rest.split_first().ok_or(Status::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    fn skip(&mut self, len: usize) -> Result<(), Status> {
        self.rest = self.rest.get(len..).ok_or(Status::Truncated)?;
        Ok(())
    }

    /// A zero-terminated string.
    fn string(&mut self) -> Result<(), Status> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or(Status::Truncated)?;
        self.skip(end + 1)
    }
}
