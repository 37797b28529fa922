//! The completion (`hisi_acc_qm.h`: `struct qm_cqe`).

/// A completion of the queue manager: which entry is done. How it ended stands in the entry itself.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x0 | 4 | reserved |
/// | 0x4 | 2 | command |
/// | 0x6 | 2 | reserved |
/// | 0x8 | 2 | place of the entry in the submission ring |
/// | 0xa | 2 | queue |
/// | 0xc | 2 | reserved |
/// | 0xe | 2 | bit 0: phase, 1 in the first round |
///
/// All that is ever used lies in the second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueueCompletion {
    /// Place of the entry in the submission ring.
    pub entry: u16,
    /// The queue's number in the function.
    pub queue: u16,
    /// The phase of the round.
    pub phase: bool,
}

impl QueueCompletion {
    /// Bytes of a completion.
    pub const SIZE: usize = 16;
    /// Offset of the word that makes it valid.
    pub const CONTROL: usize = 8;

    /// The two words; the second makes the completion valid.
    #[inline]
    #[must_use]
    pub const fn encode(self) -> [u64; 2] {
        [0, self.entry as u64 | (self.queue as u64) << 16 | (self.phase as u64) << 48]
    }

    /// Reads the second word.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of the word by design")]
    pub const fn decode(control: u64) -> Self {
        Self { entry: control as u16, queue: (control >> 16) as u16, phase: control >> 48 & 1 != 0 }
    }
}
