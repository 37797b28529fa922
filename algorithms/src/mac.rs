//! Message authentication codes of whole buffers.

use std::hint;

use uaccel_runtime::{Algorithm, Error, Runtime, Session, SessionSpec};

use crate::{DigestValue, Hasher, digest};

/// A message authentication code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MacAlgorithm {
    /// HMAC over SHA-256, RFC 2104: 32 bytes; keys of any length.
    HmacSha256,
}

impl MacAlgorithm {
    /// Every algorithm this version knows.
    pub const ALL: [Self; 1] = [Self::HmacSha256];

    /// The algorithm, as sessions and capabilities name it.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::HmacSha256 => Algorithm::HmacSha256,
        }
    }
}

impl From<MacAlgorithm> for Algorithm {
    fn from(algorithm: MacAlgorithm) -> Self {
        algorithm.algorithm()
    }
}

/// Message authentication codes under one key. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::{Error, Mac, MacAlgorithm};
/// use uaccel_runtime::Runtime;
///
/// let mac = Mac::new(&Runtime::new()?, MacAlgorithm::HmacSha256, b"key")?;
/// let code = mac.code(b"message")?;
/// mac.verify(b"message", code.as_bytes())?;
/// assert!(matches!(mac.verify(b"massage", code.as_bytes()), Err(Error::TagMismatch(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mac {
    runtime: Runtime,
    session: Session,
}

impl Mac {
    /// A key, ready for use. The bytes are copied; the copies are wiped after use.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`] if nothing offers the algorithm.
    pub fn new(runtime: &Runtime, algorithm: MacAlgorithm, key: &[u8]) -> Result<Self, Error> {
        let session = runtime.session(SessionSpec::digest(algorithm.algorithm(), key)?)?;
        Ok(Self { runtime: runtime.clone(), session })
    }

    /// The code of `message`.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::TooLarge`] only with [`Fallback::Never`](uaccel_runtime::Fallback::Never).
    pub fn code(&self, message: &[u8]) -> Result<DigestValue, Error> {
        digest::run(&self.runtime, &self.session, message)
    }

    /// Checks a code that came with a message, in a time that says nothing about where it is wrong.
    ///
    /// # Errors
    /// [`Error::TagMismatch`] if it is not the code of `message`; else as [`code`](Self::code).
    pub fn verify(&self, message: &[u8], code: &[u8]) -> Result<(), Error> {
        let right = self.code(message)?;
        // No early end, and nothing for the optimiser to know.
        let differences = right.as_bytes().iter().zip(code).fold(0, |all, (a, b)| hint::black_box(all | (a ^ b)));
        if right.as_bytes().len() == code.len() && differences == 0 {
            return Ok(());
        }
        Err(Error::TagMismatch(self.session.operation()))
    }

    /// The code of what is going to come in pieces.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        Hasher::new(&self.runtime, &self.session)
    }
}
