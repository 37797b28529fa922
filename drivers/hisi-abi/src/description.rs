//! What the kernel says of a queue (`uapi/misc/uacce/hisi_qm.h`: `struct hisi_qp_info`, `struct hisi_qp_ctx`).

use crate::Dus;
use crate::field::{get16, get32, put};

/// What the kernel says of a queue when it gives it.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00 | 4 | `hisi_qp_info`: bytes of a submission entry |
/// | 0x04 | 2 | places of the submission ring |
/// | 0x06 | 2 | places of the completion ring |
/// | 0x08 | 8 | reserved |
/// | 0x10 | 2 | `hisi_qp_ctx`: the queue's number in the function |
/// | 0x12 | 2 | kind: what the queue is for; ZIP: 0 compresses, 1 decompresses |
/// | 0x14 | 4 | none of the kernel's: 0 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Description {
    /// The rings.
    pub dus: Dus,
    /// The queue's number in the function.
    pub queue: u16,
    /// What the queue is for.
    pub kind: u16,
}

/// A description is shorter than it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the description of a queue has {0} bytes instead of {size}", size = Description::SIZE)]
pub struct Truncated(pub usize);

impl Description {
    /// Bytes of a description.
    pub const SIZE: usize = 24;

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, 0x00, &self.dus.entry.to_le_bytes());
        put(&mut bytes, 0x04, &self.dus.submissions.to_le_bytes());
        put(&mut bytes, 0x06, &self.dus.completions.to_le_bytes());
        put(&mut bytes, 0x10, &self.queue.to_le_bytes());
        put(&mut bytes, 0x12, &self.kind.to_le_bytes());
        bytes
    }

    /// Reads a description. Whether its numbers make sense is for the caller to see.
    ///
    /// # Errors
    /// [`Truncated`].
    pub const fn decode(bytes: &[u8]) -> Result<Self, Truncated> {
        if bytes.len() < Self::SIZE {
            return Err(Truncated(bytes.len()));
        }
        let dus = Dus { entry: get32(bytes, 0x00), submissions: get16(bytes, 0x04), completions: get16(bytes, 0x06) };
        Ok(Self { dus, queue: get16(bytes, 0x10), kind: get16(bytes, 0x12) })
    }
}
