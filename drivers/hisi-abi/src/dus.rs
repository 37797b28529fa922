//! The memory that device, kernel and user share for one queue (`qm.c`: `qm_qp_ctx_cfg`, `hisi_qp_alloc_memory`, `QM_V2_DOORBELL…`; the region `UACCE_QFRT_DUS`).

use crate::QueueCompletion;

/// Where things are in a queue's shared memory: submission ring, completion ring, stop words in the last eight bytes.
///
/// | offset | what |
/// | --- | --- |
/// | 0 | submission ring: `submissions` entries of `entry` bytes |
/// | `submissions` × `entry` | completion ring: `completions` × 16 bytes |
/// | length − 8 | receive-stop word, 32 bits |
/// | length − 4 | transmit-stop word, 32 bits |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dus {
    /// Bytes of a submission entry.
    pub entry: u32,
    /// Places of the submission ring.
    pub submissions: u16,
    /// Places of the completion ring.
    pub completions: u16,
}

impl Dus {
    /// The depth of both rings where the kernel does not say.
    pub const DEPTH: u16 = 1024;
    /// The deepest ring: a context has twelve bits for the depth less one ([`SubmissionContext`](crate::SubmissionContext)).
    pub const DEEPEST: u16 = 4096;

    /// Offset of a submission entry.
    #[inline]
    #[must_use]
    pub const fn submission(&self, place: u16) -> usize {
        place as usize * self.entry as usize
    }

    /// Offset of a completion.
    #[inline]
    #[must_use]
    pub const fn completion(&self, place: u16) -> usize {
        self.submission(self.submissions) + place as usize * QueueCompletion::SIZE
    }

    /// Bytes of both rings.
    #[must_use]
    pub const fn rings(&self) -> usize {
        self.completion(self.completions)
    }

    /// Bytes of the whole memory as the kernel makes it, where pages have `page` bytes: the rings, rounded up, and one page more
    /// (`qm.c`: `hisi_qp_memory_init`, `PAGE_ALIGN` and `qp->qdma.size`).
    #[must_use]
    pub const fn size(&self, page: usize) -> usize {
        (page - 1 + self.rings() + page) / page * page
    }
}

/// The two words by which the kernel stops a queue's user before it resets the device: transmit first, then receive (`qm.c`: `qm_set_qp_disable`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StopWords {
    /// Nothing more is to be submitted.
    pub transmit: bool,
    /// Nothing more will be answered.
    pub receive: bool,
}

impl StopWords {
    /// How far before the end of the memory they are.
    pub const FROM_END: usize = 8;

    /// Both, as one word of 64 bits.
    #[must_use]
    pub const fn encode(self) -> u64 {
        self.receive as u64 | (self.transmit as u64) << 32
    }

    /// Reads both. Anything but 0 is a stop.
    #[inline]
    #[must_use]
    pub const fn decode(word: u64) -> Self {
        Self { transmit: word >> 32 != 0, receive: word & 0xffff_ffff != 0 }
    }
}
