//! Authenticated encryption: AES-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439). The tag follows the ciphertext (RFC 5116
//! section 5).

#[cfg(feature = "fast")]
mod aws_lc;
#[cfg(not(feature = "fast"))]
mod portable;

#[cfg(feature = "fast")]
use aws_lc as engine;
#[cfg(not(feature = "fast"))]
use portable as engine;
use uaccel_queue::{Algorithm, Outcome, Status};

use crate::unit::too_small;
use crate::{Input, UnitError};

/// The length of a tag, in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// An expanded key.
pub(crate) struct AeadKey {
    key: engine::Key,
    /// The most bytes of text one nonce is good for.
    limit: u64,
}

impl AeadKey {
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, UnitError> {
        let limit = match algorithm {
            // A 32-bit block counter that starts at 2: SP 800-38D section 5.2.1.1.
            Algorithm::Aes128Gcm | Algorithm::Aes256Gcm => (1 << 36) - 32,
            // A 32-bit counter of 64-byte blocks, the first of them for the authenticator: RFC 8439 section 2.8.
            Algorithm::ChaCha20Poly1305 => (1 << 38) - 64,
            _ => return Err(UnitError::Unsupported(algorithm)),
        };
        Ok(Self { key: engine::Key::new(algorithm, key)?, limit })
    }

    pub(crate) fn seal(&self, input: &Input<'_>, destination: &mut [u8]) -> Outcome {
        let len = input.source.len();
        if len as u64 > self.limit {
            return Outcome::failed(Status::InvalidJob);
        }
        let sealed_len = len as u64 + TAG_LEN as u64;
        let Some((text, tag)) =
            destination.split_at_mut_checked(len).and_then(|(text, rest)| Some((text, rest.first_chunk_mut()?)))
        else {
            return too_small(sealed_len);
        };
        if self.key.seal(input, text, tag) {
            Outcome::ok(len as u64, sealed_len)
        } else {
            Outcome::failed(Status::InvalidJob)
        }
    }

    pub(crate) fn open(&self, input: &Input<'_>, destination: &mut [u8]) -> Outcome {
        let Some((text, tag)) = input.source.split_last_chunk() else {
            return Outcome::failed(Status::TagMismatch);
        };
        if text.len() as u64 > self.limit {
            return Outcome::failed(Status::InvalidJob);
        }
        let Some(room) = destination.get_mut(..text.len()) else {
            return too_small(text.len() as u64);
        };
        if self.key.open(input, text, tag, room) {
            Outcome::ok(input.source.len() as u64, text.len() as u64)
        } else {
            // Not left to the engine: decrypting before the tag is known is a legitimate way to be fast.
            room.fill(0);
            Outcome::failed(Status::TagMismatch)
        }
    }
}
