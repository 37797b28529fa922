//! SHA-256 and SHA-512 (FIPS 180-4), HMAC (RFC 2104).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use uaccel_queue::{Algorithm, Outcome};

use crate::UnitError;
use crate::unit::too_small;

/// A digest before its first byte; for a MAC, with the key already in it.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
    HmacSha256(Hmac<Sha256>),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, UnitError> {
        match algorithm {
            Algorithm::Sha256 => Ok(Self::Sha256(Sha256::new())),
            Algorithm::Sha512 => Ok(Self::Sha512(Sha512::new())),
            // Hashes the two padded keys now; a job starts from a copy of the state.
            Algorithm::HmacSha256 => {
                Hmac::new_from_slice(key).map(Self::HmacSha256).map_err(|_| UnitError::Key(algorithm))
            }
            _ => Err(UnitError::Unsupported(algorithm)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sha256(_) | Self::HmacSha256(_) => 32,
            Self::Sha512(_) => 64,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => Digest::update(hasher, bytes),
            Self::Sha512(hasher) => Digest::update(hasher, bytes),
            Self::HmacSha256(hasher) => Mac::update(hasher, bytes),
        }
    }

    /// Writes the digest; `room` is [`len`](Self::len) bytes.
    pub(crate) fn finish(self, room: &mut [u8]) {
        match self {
            Self::Sha256(hasher) => room.copy_from_slice(&hasher.finalize()),
            Self::Sha512(hasher) => room.copy_from_slice(&hasher.finalize()),
            Self::HmacSha256(hasher) => room.copy_from_slice(&hasher.finalize().into_bytes()),
        }
    }

    pub(crate) fn digest(&self, source: &[u8], destination: &mut [u8]) -> Outcome {
        let len = self.len();
        let Some(room) = destination.get_mut(..len) else {
            return too_small(len as u64);
        };
        let mut hasher = self.clone();
        hasher.update(source);
        hasher.finish(room);
        Outcome::ok(source.len() as u64, len as u64)
    }
}
