//! How a job ended.

/// A status that means something. Which ones the hardware has besides is not known from public sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Ok = 0x00,
    /// Done; the result is longer than the source.
    Grown = 0x0d,
    /// The destination is too small.
    NoSpace = 0x0e,
    /// The checksum does not match. That a stream which breaks the rules of its format has this number as well is ours.
    Corrupt = 0x10,
    /// Done; the stream has ended.
    StreamEnd = 0x13,
    /// An address could not be translated. Seen in reports of UADK's users; which address, is not told.
    Translation = 0x41,
    /// The stream ends before its end. Ours: UADK would take it as it takes any unknown status.
    Truncated = 0x7e,
    /// The entry makes no sense. Ours.
    Malformed = 0x7f,
}

impl Status {
    /// The status with this number.
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0x00 => Self::Ok,
            0x0d => Self::Grown,
            0x0e => Self::NoSpace,
            0x10 => Self::Corrupt,
            0x13 => Self::StreamEnd,
            0x41 => Self::Translation,
            0x7e => Self::Truncated,
            0x7f => Self::Malformed,
            _ => return None,
        })
    }
}

/// How a job ended: the low nine bits of an entry's dword 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended {
    /// The status; not all are known, see [`Status`].
    pub status: u8,
    /// Whether the last block of the stream was reached.
    pub last_block: bool,
}

impl Ended {
    /// A known end.
    #[must_use]
    pub const fn new(status: Status, last_block: bool) -> Self {
        Self { status: status as u8, last_block }
    }

    /// The dword.
    #[must_use]
    pub const fn encode(self) -> u32 {
        self.status as u32 | (self.last_block as u32) << 8
    }

    /// Reads the dword.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the status is the lowest byte")]
    pub const fn decode(dword: u32) -> Self {
        Self { status: dword as u8, last_block: dword >> 8 & 1 != 0 }
    }
}
