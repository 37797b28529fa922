//! What a stream carries from job to job (UADK: `drv/hisi_comp.c`).
//!
//! The host gives the device a buffer, and carries five words from one entry to the next. Of the buffer, public sources show where the window is, and how much of
//! it is the host's own; of the words, the fields below. What else stands in the buffer is ours.

/// Bytes from the buffer's start, as the entry names it, that are the device's (UADK keeps a buffer of its own from 0x9800 on, 64 bytes before this start).
pub const LEN: usize = 0x97c0;
/// Where the device's own state stands in the buffer. Ours.
pub const STATE: usize = 0;
/// Where the window is in the buffer: the last bytes of the text so far, the last one last.
pub const WINDOW: usize = 0xc00;
/// The most bytes of a window.
pub const LARGEST_WINDOW: usize = 0x8000;

/// Where a stream that is decompressed stands: word 0 of the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Why it went no further.
    pub halt: Halt,
    /// Whether the last block has begun.
    pub last_block: bool,
    /// Bits that were taken and not used, below 64.
    pub bits: u8,
}

/// Why a stream that is decompressed went no further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Halt {
    /// For want of input, or it has ended.
    #[default]
    Input = 0,
    /// In the last block, for want of room.
    LastBlock = 1,
    /// In another block, for want of room.
    Block = 2,
    /// Before a block.
    Between = 3,
}

impl Halt {
    /// Why, by word 0 of the context; `None` if it says something else.
    #[must_use]
    pub const fn decode(word: u32) -> Option<Self> {
        Some(match word & 0xf {
            0 => Self::Input,
            1 => Self::LastBlock,
            2 => Self::Block,
            3 => Self::Between,
            _ => return None,
        })
    }
}

impl Progress {
    /// The word.
    #[must_use]
    pub const fn encode(self) -> u32 {
        self.halt as u32 | (self.last_block as u32) << 7 | (self.bits as u32 & 0x3f) << 10
    }
}

/// The running checksum of gzip as entries carry it: the register of a device that takes bits in the other order (UADK finishes an empty last piece by itself, and
/// writes the complement of this word, bits reversed).
#[must_use]
pub const fn gzip_register(crc: u32) -> u32 {
    !crc.reverse_bits()
}

/// The other way.
#[must_use]
pub const fn gzip_crc(register: u32) -> u32 {
    (!register).reverse_bits()
}

const _: () = assert!(WINDOW + LARGEST_WINDOW <= LEN);
