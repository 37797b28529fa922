//! What the engine is asked for.

/// What the engine is asked for: bits 7:0 of an entry's dword 9. The direction is not among it: a queue has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Request {
    /// Raw deflate, RFC 1951.
    Deflate = 1,
    /// Deflate and the trailer of zlib, RFC 1950; the header is the host's.
    Zlib = 2,
    /// Deflate and the trailer of gzip, RFC 1952; the header is the host's.
    Gzip = 3,
    /// An LZ4 block.
    Lz4 = 4,
    /// Literals and sequences as Zstandard has them.
    Lz77Only = 0x40,
    /// The same, for a smaller result.
    Lz77OnlyPrice = 0x41,
    /// Literals and sequences for a Zstandard block, for a smaller result.
    Lz77ZstdPrice = 0x42,
    /// Literals and sequences for a Zstandard block.
    Lz77Zstd = 0x43,
}

impl Request {
    /// The request with this number.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Deflate,
            2 => Self::Zlib,
            3 => Self::Gzip,
            4 => Self::Lz4,
            0x40 => Self::Lz77Only,
            0x41 => Self::Lz77OnlyPrice,
            0x42 => Self::Lz77ZstdPrice,
            0x43 => Self::Lz77Zstd,
            _ => return None,
        })
    }
}
