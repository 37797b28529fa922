//! Deflate (RFC 1951) and its two wrappers, whole buffers.

mod gzip;
#[cfg(feature = "fast")]
mod libdeflate;
mod portable;

pub(crate) use portable::{PIECE, WINDOW_BITS, clamp, deflate_engine};

use uaccel_queue::{Algorithm, Outcome, SessionSpec};

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

/// What a compressor is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) format: Format,
    /// 0 (stored) to 9.
    pub(crate) level: u8,
    /// No distance is above two to this power; 9 to [`WINDOW_BITS`].
    pub(crate) window_bits: u8,
}

impl Settings {
    /// What a session asks for; `None` if it is none of these formats.
    pub(crate) fn of(spec: &SessionSpec) -> Option<Self> {
        let window_bits = spec.window().map_or(WINDOW_BITS, window_bits);
        Some(Self { format: Format::of(spec.algorithm())?, level: spec.level(), window_bits })
    }
}

/// The largest window that zlib-rs has and that is not above `window` bytes, which are at least 512.
pub(crate) fn window_bits(window: u32) -> u8 {
    window.checked_ilog2().and_then(|bits| u8::try_from(bits).ok()).unwrap_or(0).clamp(9, WINDOW_BITS)
}

/// A worker's compressors and decompressors.
#[derive(Default)]
pub(crate) struct Engines {
    #[cfg(feature = "fast")]
    fast: libdeflate::Engine,
    portable: portable::Engine,
}

/// One whole stream of all of `source`.
pub(crate) fn compress(engines: &mut Engines, settings: Settings, source: &[u8], destination: &mut [u8]) -> Outcome {
    // libdeflate knows of one window.
    #[cfg(feature = "fast")]
    if settings.window_bits == WINDOW_BITS {
        return engines.fast.compress(settings.format, settings.level, source, destination);
    }
    engines.portable.compress(settings, source, destination)
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
