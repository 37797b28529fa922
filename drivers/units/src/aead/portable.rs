//! The engine in Rust: RustCrypto.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use uaccel_queue::Algorithm;

use super::TAG_LEN;
use crate::{Input, UnitError};

pub(super) enum Key {
    Aes128(Aes128Gcm),
    Aes256(Aes256Gcm),
    ChaCha20(ChaCha20Poly1305),
}

impl Key {
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, UnitError> {
        let expanded = match algorithm {
            Algorithm::Aes128Gcm => Aes128Gcm::new_from_slice(key).map(Self::Aes128),
            Algorithm::Aes256Gcm => Aes256Gcm::new_from_slice(key).map(Self::Aes256),
            Algorithm::ChaCha20Poly1305 => ChaCha20Poly1305::new_from_slice(key).map(Self::ChaCha20),
            _ => return Err(UnitError::Unsupported(algorithm)),
        };
        expanded.map_err(|_| UnitError::Key(algorithm))
    }

    /// Encrypts the input's source into `room`, which is as long. `false` if the engine refuses.
    pub(super) fn seal(&self, input: &Input<'_>, room: &mut [u8], tag: &mut [u8; TAG_LEN]) -> bool {
        let Ok(text) = InOutBuf::new(input.source, room) else {
            return false;
        };
        let nonce = &input.nonce().into();
        let computed = match self {
            Self::Aes128(key) => key.encrypt_inout_detached(nonce, input.aux, text),
            Self::Aes256(key) => key.encrypt_inout_detached(nonce, input.aux, text),
            Self::ChaCha20(key) => key.encrypt_inout_detached(nonce, input.aux, text),
        };
        match computed {
            Ok(computed) => {
                *tag = computed.into();
                true
            }
            Err(_) => false,
        }
    }

    /// Decrypts `text` into `room`, which is as long. Whether the tag matches.
    pub(super) fn open(&self, input: &Input<'_>, text: &[u8], tag: &[u8; TAG_LEN], room: &mut [u8]) -> bool {
        let Ok(text) = InOutBuf::new(text, room) else {
            return false;
        };
        let (nonce, tag) = (&input.nonce().into(), &(*tag).into());
        match self {
            Self::Aes128(key) => key.decrypt_inout_detached(nonce, input.aux, text, tag),
            Self::Aes256(key) => key.decrypt_inout_detached(nonce, input.aux, text, tag),
            Self::ChaCha20(key) => key.decrypt_inout_detached(nonce, input.aux, text, tag),
        }
        .is_ok()
    }
}
