//! Contexts: what the queue manager is told of a ring (`hisi_acc_qm.h`: `struct qm_sqc`, `qm_cqc`, `qm_eqc`, `qm_aeqc`). Written by the kernel, through the mailbox.

use crate::field::{get16, get32, get64, put};

/// Bit 6 of the half-word at 0x16: the tail is in an odd round.
const ODD_ROUND: u16 = 1 << 6;

/// The context of a submission ring, 32 bytes.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00, 0x02 | 2 | head, tail |
/// | 0x04 | 8 | where the ring is |
/// | 0x0c | 4 | 11:0 places − 1; 15:12 log2 of the bytes of an entry |
/// | 0x10 | 2 | guard of doorbells |
/// | 0x14 | 2 | PASID |
/// | 0x16 | 2 | bit 6: the tail is in an odd round; bit 7: jobs' accesses carry the PASID |
/// | 0x18 | 2 | the completion ring's number |
/// | 0x1a | 2 | 3:0 priority; 7:4 order, 1; 11:8 kind |
///
/// Where the ring is, is always an address of the function's own address space: only what jobs name goes by the PASID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubmissionContext {
    /// The next entry the device takes.
    pub head: u16,
    /// One past the last entry that was announced.
    pub tail: u16,
    /// Where the ring is.
    pub base: u64,
    /// Places of the ring, 1 to 4096.
    pub depth: u16,
    /// Log2 of the bytes of an entry, below 16.
    pub entry_shift: u8,
    /// The PASID of jobs' accesses, if they carry one.
    pub pasid: Option<u16>,
    /// The completion ring's number.
    pub completions: u16,
    /// What the queue is for, below 16.
    pub kind: u16,
}

impl SubmissionContext {
    /// Bytes of a context.
    pub const SIZE: usize = 32;
    const WITH_PASID: u16 = 1 << 7;

    /// The bytes, of a ring in its first round.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        self.encode_in_round(false)
    }

    /// The bytes, with the tail in an odd round or not: so the device tells how far it is. The kernel compares both rings' (`qm.c`: `QM_SQ_TAIL_IDX`).
    #[must_use]
    pub fn encode_in_round(&self, odd: bool) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, 0x00, &self.head.to_le_bytes());
        put(&mut bytes, 0x02, &self.tail.to_le_bytes());
        put(&mut bytes, 0x04, &self.base.to_le_bytes());
        let shape = u32::from(self.depth.wrapping_sub(1) & 0xfff) | u32::from(self.entry_shift & 0xf) << 12;
        put(&mut bytes, 0x0c, &shape.to_le_bytes());
        put(&mut bytes, 0x14, &self.pasid.unwrap_or(0).to_le_bytes());
        let flags = self.pasid.map_or(0, |_| Self::WITH_PASID) | if odd { ODD_ROUND } else { 0 };
        put(&mut bytes, 0x16, &flags.to_le_bytes());
        put(&mut bytes, 0x18, &self.completions.to_le_bytes());
        put(&mut bytes, 0x1a, &(1 << 4 | (self.kind & 0xf) << 8).to_le_bytes());
        bytes
    }

    /// Reads a context.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    pub const fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let shape = get32(bytes, 0x0c);
        Self {
            head: get16(bytes, 0x00),
            tail: get16(bytes, 0x02),
            base: get64(bytes, 0x04),
            depth: (shape & 0xfff) as u16 + 1,
            entry_shift: (shape >> 12 & 0xf) as u8,
            pasid: if get16(bytes, 0x16) & Self::WITH_PASID != 0 { Some(get16(bytes, 0x14)) } else { None },
            completions: get16(bytes, 0x18),
            kind: get16(bytes, 0x1a) >> 8 & 0xf,
        }
    }
}

/// The context of a completion ring, 32 bytes.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00, 0x02 | 2 | head, tail |
/// | 0x04 | 8 | where the ring is, as for a submission ring |
/// | 0x0c | 4 | 11:0 places − 1; 15:12 log2 of the bytes of a completion, 4 |
/// | 0x10 | 2 | guard of doorbells |
/// | 0x14 | 2 | PASID |
/// | 0x16 | 2 | bit 0: with PASID; bit 6: the tail is in an odd round |
/// | 0x18 | 4 | bit 0: phase of the first round; bit 1: an event is demanded for the next completion |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CompletionContext {
    /// The next completion that was not taken.
    pub head: u16,
    /// Where the next completion goes.
    pub tail: u16,
    /// Where the ring is.
    pub base: u64,
    /// Places of the ring, 1 to 4096.
    pub depth: u16,
    /// The PASID, if there is one. What for is not known: the ring does not go by it.
    pub pasid: Option<u16>,
    /// The phase of the first round.
    pub phase: bool,
    /// Whether an event is demanded for the next completion.
    pub armed: bool,
}

impl CompletionContext {
    /// Bytes of a context.
    pub const SIZE: usize = 32;
    const WITH_PASID: u16 = 1 << 0;

    /// The bytes, of a ring in its first round.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        self.encode_in_round(false)
    }

    /// The bytes, with the tail in an odd round or not.
    #[must_use]
    pub fn encode_in_round(&self, odd: bool) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, 0x00, &self.head.to_le_bytes());
        put(&mut bytes, 0x02, &self.tail.to_le_bytes());
        put(&mut bytes, 0x04, &self.base.to_le_bytes());
        put(&mut bytes, 0x0c, &(u32::from(self.depth.wrapping_sub(1) & 0xfff) | 4 << 12).to_le_bytes());
        put(&mut bytes, 0x14, &self.pasid.unwrap_or(0).to_le_bytes());
        let flags = self.pasid.map_or(0, |_| Self::WITH_PASID) | if odd { ODD_ROUND } else { 0 };
        put(&mut bytes, 0x16, &flags.to_le_bytes());
        put(&mut bytes, 0x18, &(u32::from(self.phase) | u32::from(self.armed) << 1).to_le_bytes());
        bytes
    }

    /// Reads a context.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "masked")]
    pub const fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let flags = get32(bytes, 0x18);
        Self {
            head: get16(bytes, 0x00),
            tail: get16(bytes, 0x02),
            base: get64(bytes, 0x04),
            depth: (get32(bytes, 0x0c) & 0xfff) as u16 + 1,
            pasid: if get16(bytes, 0x16) & Self::WITH_PASID != 0 { Some(get16(bytes, 0x14)) } else { None },
            phase: flags & 1 != 0,
            armed: flags & 2 != 0,
        }
    }
}

/// The context of a ring of events, or of asynchronous events, 28 bytes.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00, 0x02 | 2 | head, tail |
/// | 0x04 | 8 | where the ring is |
/// | 0x18 | 4 | 15:0 places − 1; bit 16: phase of the first round |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventContext {
    /// The next event that was not taken.
    pub head: u16,
    /// Where the next event goes.
    pub tail: u16,
    /// Where the ring is.
    pub base: u64,
    /// Places of the ring, 1 to 65536.
    pub depth: u32,
    /// The phase of the first round.
    pub phase: bool,
}

impl EventContext {
    /// Bytes of a context.
    pub const SIZE: usize = 28;

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, 0x00, &self.head.to_le_bytes());
        put(&mut bytes, 0x02, &self.tail.to_le_bytes());
        put(&mut bytes, 0x04, &self.base.to_le_bytes());
        let shape = self.depth.wrapping_sub(1) & 0xffff | u32::from(self.phase) << 16;
        put(&mut bytes, 0x18, &shape.to_le_bytes());
        bytes
    }

    /// Reads a context.
    #[must_use]
    pub const fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let shape = get32(bytes, 0x18);
        Self {
            head: get16(bytes, 0x00),
            tail: get16(bytes, 0x02),
            base: get64(bytes, 0x04),
            depth: (shape & 0xffff) + 1,
            phase: shape >> 16 & 1 != 0,
        }
    }
}
