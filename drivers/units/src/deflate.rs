//! Deflate (RFC 1951) and its two wrappers, whole buffers.

mod gzip;
#[cfg(feature = "fast")]
mod libdeflate;
mod portable;

pub(crate) use portable::{PIECE, WINDOW_BITS, clamp, deflate_engine};

use uaccel_queue::{Algorithm, Outcome};

/// What stands around the deflate blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Nothing: RFC 1951.
    Raw,
    /// RFC 1950.
    Zlib,
    /// One member: RFC 1952.
    Gzip,
}

impl Format {
    pub(crate) fn of(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Deflate => Some(Self::Raw),
            Algorithm::Zlib => Some(Self::Zlib),
            Algorithm::Gzip => Some(Self::Gzip),
            _ => None,
        }
    }

    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Raw => Algorithm::Deflate,
            Self::Zlib => Algorithm::Zlib,
            Self::Gzip => Algorithm::Gzip,
        }
    }
}

/// A worker's compressors and decompressors.
#[derive(Default)]
pub(crate) struct Engines {
    #[cfg(feature = "fast")]
    fast: libdeflate::Engine,
    portable: portable::Engine,
}

/// Levels 0 (stored) to 9.
pub(crate) fn compress(
    engines: &mut Engines,
    format: Format,
    level: u8,
    source: &[u8],
    destination: &mut [u8],
) -> Outcome {
    #[cfg(feature = "fast")]
    return engines.fast.compress(format, level, source, destination);
    #[cfg(not(feature = "fast"))]
    engines.portable.compress(format, level, source, destination)
}

/// One stream from the start of `source`.
pub(crate) fn decompress(engines: &mut Engines, format: Format, source: &[u8], destination: &mut [u8]) -> Outcome {
    match format {
        // The member's header is ours to read, so that both engines accept the same headers, and zlib-rs, which forgets the
        // format when it is reset, need not be made anew for each member.
        Format::Gzip => gzip::member(source, destination, |body, room| inflate(engines, Format::Raw, body, room)),
        Format::Raw | Format::Zlib => inflate(engines, format, source, destination),
    }
}

fn inflate(engines: &mut Engines, format: Format, source: &[u8], destination: &mut [u8]) -> Outcome {
    // libdeflate has one answer for a stream that is broken and for one that is short, and reads past the end of a short one as
    // if zeros followed, which may overflow the room first. zlib-rs tells the cases apart; a failed job has the time.
    #[cfg(feature = "fast")]
    if let Some(outcome) = engines.fast.inflate(format, source, destination) {
        return outcome;
    }
    engines.portable.inflate(format, source, destination)
}
