//! Sessions: what jobs of one kind have in common, validated once.

use core::fmt;

use zeroize::Zeroizing;

use crate::{Algorithm, Family, Operation};

/// Which way a session transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Compress, seal, encrypt, digest.
    Forward = 0,
    /// Decompress, open, decrypt.
    Inverse = 1,
}

/// The parameters of a session: algorithm, direction, level and key.
///
/// Immutable and checked when built, so that neither the runtime nor a driver checks them again per job. The key is wiped
/// when the value is dropped and never printed.
#[derive(Clone)]
pub struct SessionSpec {
    algorithm: Algorithm,
    direction: Direction,
    level: u8,
    window: Option<u32>,
    key: Zeroizing<Box<[u8]>>,
}

/// Why a [`SessionSpec`] cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The algorithm has no such level.
    #[error("{algorithm} has no level {level}; it takes {min} to {max}")]
    Level {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The refused level.
        level: u8,
        /// The lowest level it takes.
        min: u8,
        /// The highest level it takes.
        max: u8,
    },
    /// The algorithm has no such window, or none to choose.
    #[error("{algorithm} has no window of {window} bytes; it takes {}", Windows(*.algorithm))]
    Window {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The refused window, in bytes.
        window: u32,
    },
    /// The key has the wrong length.
    #[error("{algorithm} takes a key of {expected} bytes, not {actual}")]
    KeyLength {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The length it takes.
        expected: usize,
        /// The length that was given.
        actual: usize,
    },
    /// The two keys of XTS are the same, which defeats the tweak.
    #[error("{0} takes two different keys, not one twice")]
    EqualKeys(Algorithm),
    /// The algorithm cannot be run backwards.
    #[error("{0} has no inverse")]
    NoInverse(Algorithm),
}

/// The windows an algorithm has, for people.
struct Windows(Algorithm);

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.windows() {
            Some(windows) => write!(f, "{} to {}", windows.start(), windows.end()),
            None => f.write_str("none"),
        }
    }
}

impl SessionSpec {
    /// A session for a compression format.
    ///
    /// `level` counts only for [`Direction::Forward`]; `None` takes the format's default.
    ///
    /// # Errors
    /// [`SpecError::Level`] if the format has levels and `level` is outside them; [`SpecError::KeyLength`] if `algorithm` needs a key.
    pub fn compression(algorithm: Algorithm, direction: Direction, level: Option<u8>) -> Result<Self, SpecError> {
        let level = match algorithm.levels() {
            Some(levels) => {
                let level = level.unwrap_or(levels.default);
                if !levels.contains(level) {
                    return Err(SpecError::Level { algorithm, level, min: levels.min, max: levels.max });
                }
                level
            }
            None => 0,
        };
        Self::build(algorithm, direction, level, &[])
    }

    /// A session for a cipher with a key, authenticated or not.
    ///
    /// # Errors
    /// [`SpecError::KeyLength`] if `key` has another length than the algorithm takes; [`SpecError::EqualKeys`] for XTS under one key twice
    /// (FIPS 140-3 Implementation Guidance C.I).
    pub fn keyed(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Result<Self, SpecError> {
        Self::build(algorithm, direction, 0, key)
    }

    /// A session for a digest; `key` is empty unless the algorithm is a MAC.
    ///
    /// # Errors
    /// [`SpecError::KeyLength`] if a key is given to a plain digest.
    pub fn digest(algorithm: Algorithm, key: &[u8]) -> Result<Self, SpecError> {
        Self::build(algorithm, Direction::Forward, 0, key)
    }

    fn build(algorithm: Algorithm, direction: Direction, level: u8, key: &[u8]) -> Result<Self, SpecError> {
        if let Some(expected) = algorithm.key_len().filter(|expected| *expected != key.len()) {
            return Err(SpecError::KeyLength { algorithm, expected, actual: key.len() });
        }
        if algorithm.family() == Family::Digest && direction == Direction::Inverse {
            return Err(SpecError::NoInverse(algorithm));
        }
        if matches!(algorithm, Algorithm::Aes128Xts | Algorithm::Aes256Xts) {
            let (data, tweak) = key.split_at(key.len() / 2);
            // Over all bytes, whatever they are: the time says nothing about the key but this answer.
            if data.iter().zip(tweak).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0 {
                return Err(SpecError::EqualKeys(algorithm));
            }
        }
        Ok(Self { algorithm, direction, level, window: None, key: Zeroizing::new(key.into()) })
    }

    /// The same with a window of so many bytes: no reference in what is compressed points farther back, so that a decompressor can make do with a history of that length. Devices
    /// have windows in steps; the next smaller one is taken. Where a format's header tells of the window, it tells of a power of two that is large enough.
    ///
    /// # Errors
    /// [`SpecError::Window`] if the algorithm has no such [window](Algorithm::windows), or the session decompresses: then the stream says how far it reaches.
    pub fn with_window(self, window: u32) -> Result<Self, SpecError> {
        let algorithm = self.algorithm;
        let fits = algorithm.windows().is_some_and(|windows| windows.contains(&window));
        if !fits || self.direction == Direction::Inverse {
            return Err(SpecError::Window { algorithm, window });
        }
        Ok(Self { window: Some(window), ..self })
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The direction.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The compression level; 0 where the algorithm has none.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The window, in bytes, if it was [chosen](Self::with_window).
    #[must_use]
    pub fn window(&self) -> Option<u32> {
        self.window
    }

    /// The key; empty where the algorithm has none.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The one operation that jobs of this session perform.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match (self.algorithm.family(), self.direction) {
            (Family::Compression, Direction::Forward) => Operation::Compress,
            (Family::Compression, Direction::Inverse) => Operation::Decompress,
            (Family::Aead, Direction::Forward) => Operation::Seal,
            (Family::Aead, Direction::Inverse) => Operation::Open,
            (Family::Cipher, Direction::Forward) => Operation::Encrypt,
            (Family::Cipher, Direction::Inverse) => Operation::Decrypt,
            (Family::Digest, _) => Operation::Digest,
        }
    }
}

impl fmt::Debug for SessionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSpec")
            .field("algorithm", &self.algorithm)
            .field("direction", &self.direction)
            .field("level", &self.level)
            .field("window", &self.window)
            .field("key", &format_args!("{} bytes", self.key.len()))
            .finish()
    }
}
