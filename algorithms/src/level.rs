//! How hard to compress.

use uaccel_runtime::{Direction, SessionSpec, SpecError};

use crate::Format;

/// How hard to compress: a number of the format's own scale, or a name for one.
///
/// | format | scale | `Fast` | `Default` | `Best` |
/// | --- | --- | --- | --- | --- |
/// | deflate, zlib, gzip | 0 (stored) to 9 | 1 | 6 | 9 |
/// | Zstandard | 1 to 19 | 1 | 3 | 19 |
/// | LZ4 block | none | – | – | – |
///
/// Functions take `impl Into<Level>`: a `u8`, an `Option<u8>` and a `Level` will all do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Level {
    /// The format's default.
    #[default]
    Default,
    /// The fastest that compresses at all.
    Fast,
    /// The smallest output.
    Best,
    /// This one of the format's scale.
    Exact(u8),
}

impl From<u8> for Level {
    fn from(level: u8) -> Self {
        Self::Exact(level)
    }
}

/// `None` is the default.
impl From<Option<u8>> for Level {
    fn from(level: Option<u8>) -> Self {
        level.map_or(Self::Default, Self::Exact)
    }
}

impl Level {
    /// A compression session of `format` at this level.
    pub(crate) fn session(self, format: Format) -> Result<SessionSpec, SpecError> {
        let algorithm = format.algorithm();
        let level = match (self, algorithm.levels()) {
            // A session without levels ignores the number; a caller who gives one should know.
            (Self::Exact(level), None) => return Err(SpecError::Level { algorithm, level, min: 0, max: 0 }),
            (Self::Default, _) | (_, None) => None,
            (Self::Fast, Some(levels)) => Some(levels.min.max(1)),
            (Self::Best, Some(levels)) => Some(levels.max),
            (Self::Exact(level), Some(_)) => Some(level),
        };
        SessionSpec::compression(algorithm, Direction::Forward, level)
    }
}
