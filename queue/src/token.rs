//! The name of a job in flight.

use core::fmt;

/// Bits of a [`Token`] that hold the slot.
const SLOT_BITS: u32 = 12;

/// The bits of a raw token that are the slot.
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// The most jobs one queue can have in flight.
pub const MAX_DEPTH: usize = 1 << SLOT_BITS;

/// The name of a job in flight: slot in the queue's table, and generation of that slot.
///
/// 32 bits, so that every device's tag field can carry it. The generation is never 0 and repeats after 2^20 − 1 uses of the
/// slot, so a completion that arrives late does not match the job that has the slot by then.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Token(u32);

impl Token {
    /// The first token of a slot.
    ///
    /// # Panics
    /// If `slot` is not below [`MAX_DEPTH`]; a table never has more slots.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "checked against MAX_DEPTH first")]
    pub fn first(slot: usize) -> Self {
        assert!(slot < MAX_DEPTH, "slot {slot} of a table that can have {MAX_DEPTH}");
        Self((1 << SLOT_BITS) | slot as u32)
    }

    /// A token as a device returned it, not yet believed.
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The 32 bits that go to the device.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The slot.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> usize {
        (self.0 & SLOT_MASK) as usize
    }

    /// The generation.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 >> SLOT_BITS
    }

    /// The token of the slot's next use.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        let (next, wrapped) = self.0.overflowing_add(1 << SLOT_BITS);
        // No branch: this is done for every job. After the wrap the generation is 0, and has to be 1.
        Self(next | (wrapped as u32) << SLOT_BITS)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}#{})", self.slot(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_wrap_past_zero_and_keep_the_slot() {
        let mut token = Token::from_raw(!SLOT_MASK | 77);
        token = token.next();
        assert_eq!((token.slot(), token.generation()), (77, 1));
        assert_eq!(token, Token::first(77));
        assert_ne!(token.next(), token);
    }
}
