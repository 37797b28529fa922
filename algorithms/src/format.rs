//! Compression formats.

use std::fmt;

use uaccel_runtime::Algorithm;

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Raw deflate, RFC 1951.
    Deflate,
    /// Deflate in a zlib wrapper, RFC 1950.
    Zlib,
    /// Deflate in gzip members, RFC 1952.
    Gzip,
    /// One LZ4 block, without a size prefix.
    Lz4Block,
    /// Zstandard frames, RFC 8878.
    Zstd,
}

impl Format {
    /// Every format this version knows.
    pub const ALL: [Self; 5] = [Self::Deflate, Self::Zlib, Self::Gzip, Self::Lz4Block, Self::Zstd];

    /// The algorithm, as sessions and capabilities name it.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Deflate => Algorithm::Deflate,
            Self::Zlib => Algorithm::Zlib,
            Self::Gzip => Algorithm::Gzip,
            Self::Lz4Block => Algorithm::Lz4Block,
            Self::Zstd => Algorithm::Zstd,
        }
    }

    /// The format of this algorithm, if it compresses.
    #[must_use]
    pub fn of(algorithm: Algorithm) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.algorithm() == algorithm)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.algorithm().name())
    }
}

impl From<Format> for Algorithm {
    fn from(format: Format) -> Self {
        format.algorithm()
    }
}
