//! The fast engine: AWS-LC.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use uaccel_queue::Algorithm;

use super::TAG_LEN;
use crate::{Input, UnitError};

/// "Less safe" because the caller answers for the nonces, which is what a job's contract says.
pub(super) struct Key(LessSafeKey);

impl Key {
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, UnitError> {
        let cipher = match algorithm {
            Algorithm::Aes128Gcm => &AES_128_GCM,
            Algorithm::Aes256Gcm => &AES_256_GCM,
            Algorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            _ => return Err(UnitError::Unsupported(algorithm)),
        };
        let key = UnboundKey::new(cipher, key).map_err(|_| UnitError::Key(algorithm))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts the input's source into `room`, which is as long. `false` if the engine refuses.
    pub(super) fn seal(&self, input: &Input<'_>, room: &mut [u8], tag: &mut [u8; TAG_LEN]) -> bool {
        let nonce = Nonce::assume_unique_for_key(input.nonce());
        self.0.seal_out_of_place_scatter(nonce, Aad::from(input.aux), input.source, room, &[], tag).is_ok()
    }

    /// Decrypts `text` into `room`, which is as long. Whether the tag matches.
    pub(super) fn open(&self, input: &Input<'_>, text: &[u8], tag: &[u8; TAG_LEN], room: &mut [u8]) -> bool {
        let nonce = Nonce::assume_unique_for_key(input.nonce());
        self.0.open_separate_gather(nonce, Aad::from(input.aux), text, tag, room).is_ok()
    }
}
