//! Digests in pieces.

use core::fmt;

use uaccel_queue::{Algorithm, SessionSpec};

use crate::UnitError;
use crate::digest::Hasher;

/// A digest or MAC over an input that comes in pieces: SHA-256, SHA-512 (FIPS 180-4), HMAC-SHA-256 (RFC 2104).
///
/// A clone goes on from where the original is.
#[derive(Clone)]
pub struct DigestStream {
    algorithm: Algorithm,
    hasher: Hasher,
}

impl DigestStream {
    /// A digest of nothing yet.
    ///
    /// # Errors
    /// [`UnitError::Unsupported`] unless the session is one of a digest.
    pub fn new(spec: &SessionSpec) -> Result<Self, UnitError> {
        let algorithm = spec.algorithm();
        Ok(Self { algorithm, hasher: Hasher::new(algorithm, spec.key())? })
    }

    /// Takes the next piece.
    pub fn update(&mut self, input: &[u8]) {
        self.hasher.update(input);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finalize(self) -> DigestValue {
        let len = self.hasher.len();
        let mut bytes = [0; 64];
        self.hasher.finish(&mut bytes[..len]);
        DigestValue { bytes, len }
    }
}

impl fmt::Debug for DigestStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestStream").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A digest or MAC. As bytes: 32 for SHA-256 and HMAC-SHA-256, 64 for SHA-512.
///
/// Compares in a time that depends on where two values differ; to check a MAC against one from outside, use a comparison that does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigestValue {
    bytes: [u8; 64],
    len: usize,
}

impl AsRef<[u8]> for DigestValue {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Debug for DigestValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
