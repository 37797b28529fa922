//! How ring memory is divided (section 2.3).

use crate::{Completion, Descriptor, SessionEntry};

/// Where completions are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// In a completion ring of their own, in groups: best when many jobs are in flight.
    Ring,
    /// In the job's own line: one cache line crosses instead of two, best when few jobs are in flight.
    Mailbox,
}

/// The division of a queue's ring memory, the same on both sides.
///
/// | part | offset | size |
/// | --- | --- | --- |
/// | state word | 0x00 | 8 |
/// | need-wake-up word | 0x40 | 8 |
/// | submission ring | 0x100 | entries × 64 |
/// | completion ring | behind | entries × 16 |
/// | session entries | behind | sessions × 256 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    log2_entries: u8,
    sessions: u16,
    mode: Mode,
    /// Entries less one, kept because every access to a ring needs it.
    mask: u32,
}

/// Why a geometry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The ring is too small or too large.
    #[error("a ring of 2^{0} entries is not possible")]
    Entries(u8),
    /// More sessions than a descriptor can name.
    #[error("{0} sessions are more than a descriptor can name")]
    Sessions(u16),
    /// Reserved bits are set.
    #[error("geometry {0:#x} has reserved bits set")]
    Reserved(u64),
}

impl Geometry {
    /// Offset of the state word.
    pub const STATE: usize = 0x00;
    /// Offset of the need-wake-up word: 1 while the device sleeps and wants a doorbell.
    pub const NEED_WAKEUP: usize = 0x40;
    /// Offset of the submission ring.
    pub const SUBMISSIONS: usize = 0x100;
    /// Logarithms of the smallest and the largest ring.
    pub const LOG2_ENTRIES: std::ops::RangeInclusive<u8> = 1..=13;

    /// A division for 2^`log2_entries` entries and `sessions` sessions.
    ///
    /// # Errors
    /// [`GeometryError`] if a number is out of range.
    pub fn new(log2_entries: u8, sessions: u16, mode: Mode) -> Result<Self, GeometryError> {
        if !Self::LOG2_ENTRIES.contains(&log2_entries) {
            return Err(GeometryError::Entries(log2_entries));
        }
        if sessions > Descriptor::MAX_SESSIONS {
            return Err(GeometryError::Sessions(sessions));
        }
        Ok(Self { log2_entries, sessions, mode, mask: (1 << log2_entries) - 1 })
    }

    /// The value of the geometry register: log2 entries 7:0, mode 8 (1 = mailbox), sessions 31:16.
    #[must_use]
    pub const fn register(self) -> u64 {
        self.log2_entries as u64 | (matches!(self.mode, Mode::Mailbox) as u64) << 8 | (self.sessions as u64) << 16
    }

    /// Reads the geometry register.
    ///
    /// # Errors
    /// [`GeometryError`] if a number is out of range.
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub fn from_register(value: u64) -> Result<Self, GeometryError> {
        if value & !0xffff_01ff != 0 {
            return Err(GeometryError::Reserved(value));
        }
        let mode = if value & 1 << 8 != 0 { Mode::Mailbox } else { Mode::Ring };
        Self::new(value as u8, (value >> 16) as u16, mode)
    }

    /// Entries of either ring.
    #[inline]
    #[must_use]
    pub const fn entries(self) -> usize {
        self.mask as usize + 1
    }

    /// Sessions.
    #[must_use]
    pub const fn sessions(self) -> u16 {
        self.sessions
    }

    /// Where completions are put.
    #[must_use]
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// Offset of the line of submission number `index`, counted from the start of the queue.
    #[inline]
    #[must_use]
    pub const fn submission(self, index: u64) -> usize {
        Self::SUBMISSIONS + self.place(index) * Descriptor::SIZE
    }

    /// Offset of completion number `index`, counted from the start of the queue.
    #[inline]
    #[must_use]
    pub const fn completion(self, index: u64) -> usize {
        Self::SUBMISSIONS + self.entries() * Descriptor::SIZE + self.place(index) * Completion::SIZE
    }

    /// Offset of a session entry.
    #[must_use]
    pub const fn session(self, id: u16) -> usize {
        Self::SUBMISSIONS + self.entries() * (Descriptor::SIZE + Completion::SIZE) + id as usize * SessionEntry::SIZE
    }

    /// Bytes of the whole.
    #[must_use]
    pub const fn size(self) -> usize {
        self.session(self.sessions)
    }

    /// The phase that makes entry number `index` valid: 1 in the first round, then alternating.
    #[inline]
    #[must_use]
    pub const fn phase(self, index: u64) -> bool {
        index >> self.log2_entries & 1 == 0
    }

    /// The place in its ring of entry number `index`, counted from the start of the queue.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "masked to the ring")]
    pub const fn place(self, index: u64) -> usize {
        index as usize & self.mask as usize
    }
}

/// Nothing straddles a cache line, and what the device writes while the host runs stands apart from what the host
/// writes.
const _: () = {
    assert!(Geometry::SUBMISSIONS.is_multiple_of(Descriptor::SIZE));
    assert!(Geometry::NEED_WAKEUP - Geometry::STATE >= 64 && Geometry::SUBMISSIONS - Geometry::NEED_WAKEUP >= 64);
    assert!(Descriptor::SIZE == 64 && 64_usize.is_multiple_of(Completion::SIZE));
    assert!(SessionEntry::WORDS * 8 == SessionEntry::SIZE && 8 + SessionEntry::MAX_KEY == SessionEntry::SIZE);
};
