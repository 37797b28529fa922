//! The formats, as far as they are the host's business.

use uaccel_hisi_abi::zip::Request;
use uaccel_queue::{Algorithm, Direction};

use super::window::Window;

/// A format that the engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Raw deflate, RFC 1951.
    Deflate,
    /// RFC 1950.
    Zlib,
    /// RFC 1952.
    Gzip,
    /// An LZ4 block.
    Lz4,
}

impl Format {
    pub(super) const ALL: [Self; 4] = [Self::Deflate, Self::Zlib, Self::Gzip, Self::Lz4];

    /// What the kernel takes an engine of version 3 to have that does not tell (`zip_main.c`: `ZIP_DEV_ALG_BITMAP` in `zip_basic_cap_info`, 0x3f).
    pub(super) const CERTAIN: [Self; 3] = [Self::Deflate, Self::Zlib, Self::Gzip];

    /// Which way the engine works on it: LZ4 is only compressed to (UADK: `check_lz4_msg`).
    pub(super) const fn directions(self) -> &'static [Direction] {
        match self {
            Self::Deflate | Self::Zlib | Self::Gzip => &[Direction::Forward, Direction::Inverse],
            Self::Lz4 => &[Direction::Forward],
        }
    }

    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Deflate => Algorithm::Deflate,
            Self::Zlib => Algorithm::Zlib,
            Self::Gzip => Algorithm::Gzip,
            Self::Lz4 => Algorithm::Lz4Block,
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
            Self::Lz4 => "lz4",
        }
    }

    /// What the engine is asked for.
    #[inline]
    pub(super) const fn request(self) -> Request {
        match self {
            Self::Deflate => Request::Deflate,
            Self::Zlib => Request::Zlib,
            Self::Gzip => Request::Gzip,
            Self::Lz4 => Request::Lz4,
        }
    }

    /// Whether the engine has streams with state of it (UADK: `check_lz4_msg`).
    pub(super) const fn has_streams(self) -> bool {
        !matches!(self, Self::Lz4)
    }

    /// The header in front of what the engine writes, with this window.
    #[inline]
    pub(super) fn header(self, window: Window) -> &'static [u8] {
        const ZLIB: [[u8; 2]; Window::ALL.len()] = headers();
        match self {
            Self::Deflate | Self::Lz4 => &[],
            Self::Zlib => &ZLIB[usize::from(window.code())],
            // No flags, no time, no word on the level, made on Unix (2.3.1).
            Self::Gzip => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        }
    }

    /// What stands behind the header in the stream of an empty text: a last block without anything (RFC 1951, 3.2.6), trailer; or a sequence without literals.
    pub(super) const fn empty(self) -> &'static [u8] {
        match self {
            Self::Deflate => &[3, 0],
            Self::Zlib => &[3, 0, 0, 0, 0, 1],
            Self::Gzip => &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Self::Lz4 => &[0],
        }
    }
}

/// The headers of zlib, by window.
const fn headers() -> [[u8; 2]; Window::ALL.len()] {
    let mut headers = [[0; 2]; Window::ALL.len()];
    let mut at = 0;
    while at < headers.len() {
        headers[at] = Window::ALL[at].zlib_header();
        at += 1;
    }
    headers
}
