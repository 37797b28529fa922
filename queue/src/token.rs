//! The name of a job in flight.

use core::fmt;

/// Bits of a [`Token`] that hold the slot.
const SLOT_BITS: u32 = 12;

/// The bits of a raw token that are the slot.
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// The bit that every job's token has.
const JOB: u32 = 1 << 31;

/// The most jobs one queue can have in flight.
pub const MAX_DEPTH: usize = 1 << SLOT_BITS;

/// The name of a job in flight: slot in the queue's table, and generation of that slot.
///
/// 32 bits, so that every device's tag field can carry it: slot 11:0, generation 30:12, bit 31 set. A generation repeats after
/// 2^19 uses of the slot, so a completion that arrives late does not match the job that has the slot by then. Numbers without
/// bit 31 are no job's: a driver may give them to commands of its own.
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
        Self(JOB | slot as u32)
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
        (self.0 & !JOB) >> SLOT_BITS
    }

    /// Whether this can be a job's token.
    #[inline]
    #[must_use]
    pub const fn is_job(self) -> bool {
        self.0 & JOB != 0
    }

    /// The token of the slot's next use.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        // Two steps, since this is done for every job: the generation counts up, and the bit comes back when it runs over.
        Self(self.0.wrapping_add(1 << SLOT_BITS) | JOB)
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
    fn generations_wrap_and_keep_the_slot_and_the_mark_of_a_job() {
        let last = Token::from_raw(!SLOT_MASK | 77);
        assert_eq!((last.slot(), last.generation(), last.is_job()), (77, (1 << 19) - 1, true));
        let token = last.next();
        assert_eq!((token.slot(), token.generation(), token.is_job()), (77, 0, true));
        assert_eq!(token, Token::first(77));
        assert_ne!(token.next(), token);
        assert!(!Token::from_raw(77).is_job());
    }
}
