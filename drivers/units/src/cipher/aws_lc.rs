//! The fast engine: AWS-LC.

use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use uaccel_queue::{Algorithm, Direction};

use crate::UnitError;

pub(super) enum Key {
    Encrypt(EncryptingKey),
    Decrypt(DecryptingKey),
}

impl Key {
    pub(super) fn new(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Result<Self, UnitError> {
        let cipher = match algorithm {
            Algorithm::Aes128Cbc | Algorithm::Aes128Ctr => &AES_128,
            Algorithm::Aes256Cbc | Algorithm::Aes256Ctr => &AES_256,
            _ => return Err(UnitError::Unsupported(algorithm)),
        };
        let counter = matches!(algorithm, Algorithm::Aes128Ctr | Algorithm::Aes256Ctr);
        let key = UnboundCipherKey::new(cipher, key).map_err(|_| UnitError::Key(algorithm))?;
        let key = match (direction, counter) {
            (Direction::Forward, false) => EncryptingKey::cbc(key).map(Self::Encrypt),
            (Direction::Forward, true) => EncryptingKey::ctr(key).map(Self::Encrypt),
            (Direction::Inverse, false) => DecryptingKey::cbc(key).map(Self::Decrypt),
            (Direction::Inverse, true) => DecryptingKey::ctr(key).map(Self::Decrypt),
        };
        key.map_err(|_| UnitError::Key(algorithm))
    }

    /// Encrypts or decrypts in place. `false` if the library refuses.
    pub(super) fn transform(&self, text: &mut [u8], iv: [u8; 16]) -> bool {
        let iv = FixedLength::from(iv);
        match self {
            // "Less safe" because the caller answers for the IV, which is what a job's contract says.
            Self::Encrypt(key) => key.less_safe_encrypt(text, EncryptionContext::Iv128(iv)).is_ok(),
            Self::Decrypt(key) => key.decrypt(text, DecryptionContext::Iv128(iv)).is_ok(),
        }
    }
}
