//! The formats, as far as they are the host's business.

use uaccel_hisi_abi::zip::Request;
use uaccel_queue::Algorithm;

/// A format that the engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Raw deflate, RFC 1951.
    Deflate,
    /// RFC 1950.
    Zlib,
    /// RFC 1952.
    Gzip,
}

impl Format {
    pub(super) const ALL: [Self; 3] = [Self::Deflate, Self::Zlib, Self::Gzip];

    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Deflate => Algorithm::Deflate,
            Self::Zlib => Algorithm::Zlib,
            Self::Gzip => Algorithm::Gzip,
        }
    }

    pub(super) fn of(algorithm: Algorithm) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.algorithm() == algorithm)
    }

    /// Its line in the kernel's list of a device's algorithms (`zip_main.c`: `zip_dev_algs`).
    pub(super) const fn line(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Zlib => "zlib",
            Self::Gzip => "gzip",
        }
    }

    /// What the engine is asked for.
    #[inline]
    pub(super) const fn request(self) -> Request {
        match self {
            Self::Deflate => Request::Deflate,
            Self::Zlib => Request::Zlib,
            Self::Gzip => Request::Gzip,
        }
    }

    /// The header in front of what the engine writes.
    #[inline]
    pub(super) const fn header(self) -> &'static [u8] {
        match self {
            Self::Deflate => &[],
            // A window of 32 KiB, the default level (2.2).
            Self::Zlib => &[0x78, 0x9c],
            // No flags, no time, no word on the level, made on Unix (2.3.1).
            Self::Gzip => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        }
    }

    /// The stream of an empty text: header, a last block without anything (RFC 1951, 3.2.6), trailer.
    pub(super) const fn empty(self) -> &'static [u8] {
        match self {
            Self::Deflate => &[3, 0],
            Self::Zlib => &[0x78, 0x9c, 3, 0, 0, 0, 0, 1],
            Self::Gzip => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }
}
