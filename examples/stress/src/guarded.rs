//! Destinations with bytes on either side that are nobody's, and that say when they were written to.

use uaccel_runtime::{Room, WriteBuf};

/// Bytes on either side of the room, at least.
const GUARD: usize = 64;

/// A destination: room for a result, between guard bytes. Made, and refilled, with a pattern throughout.
#[derive(Debug)]
pub struct Guarded {
    bytes: Box<[u8]>,
    start: usize,
    len: usize,
    seed: u8,
}

impl Guarded {
    /// Room of `len` bytes that starts at some place within a line.
    #[must_use]
    pub fn new(len: usize, chance: u64) -> Self {
        let seed = chance.to_le_bytes()[0];
        let start = GUARD + usize::from(chance.to_le_bytes()[1]) % GUARD;
        let bytes = (0..start + len + GUARD).map(|at| pattern(seed, at)).collect();
        Self { bytes, start, len, seed }
    }

    /// The room.
    pub fn room_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }

    /// The room, to look at.
    #[must_use]
    pub fn room(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// Bytes of the room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all bytes outside of the room are as they were.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        let end = self.start + self.len;
        self.is_pattern(0, self.start) && self.is_pattern(end, self.bytes.len())
    }

    /// Fills everything with the pattern of another seed, so that the next write is seen.
    pub fn refill(&mut self) {
        self.seed = self.seed.wrapping_add(101);
        let seed = self.seed;
        self.bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(seed, at));
    }

    /// Whether nothing was written since it was made or refilled.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.is_pattern(0, self.bytes.len())
    }

    fn is_pattern(&self, from: usize, to: usize) -> bool {
        self.bytes[from..to].iter().zip(from..).all(|(byte, at)| *byte == pattern(self.seed, at))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low byte of a place")]
fn pattern(seed: u8, at: usize) -> u8 {
    seed ^ (at as u8).wrapping_mul(167)
}

/// The room; the guards are no part of it.
// SAFETY: the bytes are on the heap, and nobody else has them.
unsafe impl WriteBuf for Guarded {
    fn room(&mut self) -> Room {
        let room = self.room_mut();
        Room { start: room.as_mut_ptr(), len: room.len(), initialised: true }
    }

    unsafe fn set_written(&mut self, _written: usize) {}

    fn wipe(&mut self) {
        self.room_mut().fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_outside_is_guarded_and_every_byte_is_watched() {
        for chance in [0, 0xffff, 0x1234] {
            let mut buffer = Guarded::new(100, chance);
            buffer.room_mut().fill(1);
            assert!(buffer.is_guarded() && !buffer.is_untouched());
            buffer.refill();
            let (len, room) = (buffer.bytes.len(), buffer.start..buffer.start + 100);
            for at in 0..len {
                buffer.bytes[at] ^= 0x80;
                assert!(!buffer.is_untouched(), "byte {at}");
                assert_eq!(buffer.is_guarded(), room.contains(&at), "byte {at}");
                buffer.bytes[at] ^= 0x80;
            }
            assert!(buffer.is_untouched());
        }
    }
}
