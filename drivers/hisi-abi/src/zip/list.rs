//! Lists of pieces (`sgl.c`: `struct hisi_acc_hw_sgl`, `struct acc_hw_sge`).

use crate::field::{get16, get32, get64, put};

/// The head of a list, followed by its entries. Aligned to 64 bytes.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00 | 8 | address of the next list; 0 if this is the last |
/// | 0x08 | 2 | entries of the whole chain |
/// | 0x0a | 2 | entries of this list that count |
/// | 0x0c | 2 | entries this list has room for |
/// | 0x30 | 16 | the host's own |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListHead {
    /// Address of the next list; 0 if this is the last.
    pub next: u64,
    /// Entries of the whole chain.
    pub chain: u16,
    /// Entries of this list that count.
    pub entries: u16,
    /// Entries this list has room for.
    pub room: u16,
}

impl ListHead {
    /// Bytes of a head; the entries follow.
    pub const SIZE: usize = 0x40;
    /// What lists are aligned to.
    pub const ALIGN: u64 = 64;
    /// The most entries a list may have.
    pub const MOST: u16 = 255;

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, 0x00, &self.next.to_le_bytes());
        put(&mut bytes, 0x08, &self.chain.to_le_bytes());
        put(&mut bytes, 0x0a, &self.entries.to_le_bytes());
        put(&mut bytes, 0x0c, &self.room.to_le_bytes());
        bytes
    }

    /// Reads a head.
    #[must_use]
    pub const fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        Self {
            next: get64(bytes, 0x00),
            chain: get16(bytes, 0x08),
            entries: get16(bytes, 0x0a),
            room: get16(bytes, 0x0c),
        }
    }
}

/// One piece of a list.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00 | 8 | address |
/// | 0x08 | 8 | page control |
/// | 0x10 | 4 | bytes |
/// | 0x14 | 12 | the host's own |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListEntry {
    /// Where the piece is.
    pub address: u64,
    /// Its bytes.
    pub len: u32,
}

impl ListEntry {
    /// Bytes of an entry.
    pub const SIZE: usize = 0x20;

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        put(&mut bytes, 0x00, &self.address.to_le_bytes());
        put(&mut bytes, 0x10, &self.len.to_le_bytes());
        bytes
    }

    /// Reads an entry.
    #[must_use]
    pub const fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        Self { address: get64(bytes, 0x00), len: get32(bytes, 0x10) }
    }
}
