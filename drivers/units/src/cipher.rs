//! AES without authentication: CBC and CTR (NIST SP 800-38A), XTS (IEEE 1619, NIST SP 800-38E).

#[cfg(feature = "fast")]
mod aws_lc;
#[cfg(not(feature = "fast"))]
mod portable;
mod xts;

#[cfg(feature = "fast")]
use aws_lc as engine;
#[cfg(not(feature = "fast"))]
use portable as engine;
use uaccel_queue::{Algorithm, Direction, Outcome, Status, TextLengths};
use xts::XtsKey;

use crate::unit::too_small;
use crate::{Input, UnitError};

/// A key, expanded for one direction.
pub(crate) struct CipherKey {
    key: Key,
    lengths: TextLengths,
}

#[allow(clippy::large_enum_variant, reason = "it lies in a box with the unit's other expanded keys")]
enum Key {
    CbcOrCtr(engine::Key),
    Xts(XtsKey),
}

impl CipherKey {
    pub(crate) fn new(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Result<Self, UnitError> {
        let lengths = algorithm.text_lengths().ok_or(UnitError::Unsupported(algorithm))?;
        let key = match algorithm {
            Algorithm::Aes128Xts | Algorithm::Aes256Xts => Key::Xts(XtsKey::new(algorithm, direction, key)?),
            _ => Key::CbcOrCtr(engine::Key::new(algorithm, direction, key)?),
        };
        Ok(Self { key, lengths })
    }

    pub(crate) fn run(&self, input: &Input<'_>, destination: &mut [u8]) -> Outcome {
        let len = input.source.len();
        if !self.lengths.contains(len as u64) {
            return Outcome::failed(Status::InvalidJob);
        }
        let Some(text) = destination.get_mut(..len) else {
            return too_small(len as u64);
        };
        text.copy_from_slice(input.source);
        self.run_in_place(text, input.immediate)
    }

    pub(crate) fn run_in_place(&self, text: &mut [u8], iv: [u8; 16]) -> Outcome {
        let len = text.len() as u64;
        if !self.lengths.contains(len) {
            return Outcome::failed(Status::InvalidJob);
        }
        // What is left to refuse is the library's own business: every length it takes was let through above.
        let done = match &self.key {
            Key::CbcOrCtr(key) => key.transform(text, iv),
            Key::Xts(key) => key.transform(text, iv),
        };
        if done { Outcome::ok(len, len) } else { Outcome::failed(Status::DeviceError) }
    }
}
