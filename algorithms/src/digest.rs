//! Digests of whole buffers.

use uaccel_runtime::{Algorithm, Error, Runtime, Session, SessionSpec, Work};

use crate::member::written;
use crate::{DigestValue, Hasher};

/// A digest without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// SHA-256, FIPS 180-4: 32 bytes.
    Sha256,
    /// SHA-512, FIPS 180-4: 64 bytes.
    Sha512,
}

impl DigestAlgorithm {
    /// Every algorithm this version knows.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The algorithm, as sessions and capabilities name it.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha256 => Algorithm::Sha256,
            Self::Sha512 => Algorithm::Sha512,
        }
    }
}

impl From<DigestAlgorithm> for Algorithm {
    fn from(algorithm: DigestAlgorithm) -> Self {
        algorithm.algorithm()
    }
}

/// Digests of whole buffers. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::{Digest, DigestAlgorithm};
/// use uaccel_runtime::Runtime;
///
/// let sha256 = Digest::new(&Runtime::new()?, DigestAlgorithm::Sha256)?;
/// let whole = sha256.digest(b"abc")?;
/// assert_eq!(whole.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
///
/// let mut pieces = sha256.hasher();
/// pieces.update(b"a")?;
/// pieces.update(b"bc")?;
/// assert_eq!(pieces.finalize()?, whole);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Digest {
    runtime: Runtime,
    session: Session,
}

impl Digest {
    /// A digest.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`] if nothing offers the algorithm.
    pub fn new(runtime: &Runtime, algorithm: DigestAlgorithm) -> Result<Self, Error> {
        let session = runtime.session(SessionSpec::digest(algorithm.algorithm(), &[])?)?;
        Ok(Self { runtime: runtime.clone(), session })
    }

    /// The digest of `bytes`.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::TooLarge`] only with [`Fallback::Never`](uaccel_runtime::Fallback::Never).
    pub fn digest(&self, bytes: &[u8]) -> Result<DigestValue, Error> {
        run(&self.runtime, &self.session, bytes)
    }

    /// The digest of what is going to come in pieces.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        Hasher::new(&self.runtime, &self.session)
    }
}

/// One job of a digest or of a MAC.
pub(crate) fn run(runtime: &Runtime, session: &Session, bytes: &[u8]) -> Result<DigestValue, Error> {
    let mut value = [0; DigestValue::MOST];
    let outcome = runtime.run(Work::session(session, bytes, &mut value))?;
    Ok(DigestValue::new(value, written(&outcome)))
}
