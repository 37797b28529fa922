//! Authenticated encryption.

use uaccel_runtime::{
    Algorithm, Direction, Error, OwnedWork, ReadBuf, Runtime, Session, SessionSpec, Submitted, Work, WriteBuf,
};
use zeroize::Zeroize;

use crate::member::written;

/// An algorithm for authenticated encryption with associated data. Nonces have 12 bytes, tags 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AeadAlgorithm {
    /// AES-GCM with a key of 16 bytes, NIST SP 800-38D.
    Aes128Gcm,
    /// AES-GCM with a key of 32 bytes, NIST SP 800-38D.
    Aes256Gcm,
    /// ChaCha20-Poly1305 with a key of 32 bytes, RFC 8439.
    ChaCha20Poly1305,
}

impl AeadAlgorithm {
    /// Every algorithm this version knows.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The algorithm, as sessions and capabilities name it.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Aes128Gcm => Algorithm::Aes128Gcm,
            Self::Aes256Gcm => Algorithm::Aes256Gcm,
            Self::ChaCha20Poly1305 => Algorithm::ChaCha20Poly1305,
        }
    }
}

impl From<AeadAlgorithm> for Algorithm {
    fn from(algorithm: AeadAlgorithm) -> Self {
        algorithm.algorithm()
    }
}

/// Authenticated encryption under one key, in the form of RFC 5116: what is sealed is the ciphertext and then the tag. Cheap to clone.
///
/// Never seal two messages under one key with the same nonce: that gives away both, and with AES-GCM the authentication as well.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::{Aead, AeadAlgorithm, Error};
/// use uaccel_runtime::Runtime;
///
/// let runtime = Runtime::new()?;
/// let aead = Aead::new(&runtime, AeadAlgorithm::Aes256Gcm, &[7; 32])?;
/// let nonce = [1; 12];
/// let mut sealed = aead.seal(nonce, b"header", b"message")?;
/// assert_eq!(aead.open(nonce, b"header", &sealed)?, b"message");
///
/// sealed[0] ^= 1;
/// assert!(matches!(aead.open(nonce, b"header", &sealed), Err(Error::TagMismatch(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Aead {
    runtime: Runtime,
    seal: Session,
    open: Session,
}

impl Aead {
    /// The length of a nonce, in bytes.
    pub const NONCE_LEN: usize = 12;

    /// How much longer than its message a sealed message is.
    pub const TAG_LEN: usize = 16;

    /// A key, ready for use. The bytes are copied; the copies are wiped after use.
    ///
    /// # Errors
    /// [`Error::Session`] if the key has the wrong length, [`Error::UnsupportedAlgorithm`] if nothing offers the algorithm.
    pub fn new(runtime: &Runtime, algorithm: AeadAlgorithm, key: &[u8]) -> Result<Self, Error> {
        let session = |direction| runtime.session(SessionSpec::keyed(algorithm.algorithm(), direction, key)?);
        Ok(Self { seal: session(Direction::Forward)?, open: session(Direction::Inverse)?, runtime: runtime.clone() })
    }

    /// Encrypts `message`, and authenticates it together with `associated_data`, which is not encrypted.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::TooLarge`] only with [`Fallback::Never`](uaccel_runtime::Fallback::Never).
    pub fn seal(&self, nonce: [u8; 12], associated_data: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut sealed = vec![0; message.len() + Self::TAG_LEN];
        self.seal_into(nonce, associated_data, message, &mut sealed)?;
        Ok(sealed)
    }

    /// As [`seal`](Self::seal), to the start of `destination`; says how many bytes were written: 16 more than the message has.
    ///
    /// # Errors
    /// As [`seal`](Self::seal), and [`Error::OutputTooSmall`].
    pub fn seal_into(
        &self,
        nonce: [u8; 12],
        associated_data: &[u8],
        message: &[u8],
        destination: &mut [u8],
    ) -> Result<usize, Error> {
        let work = Work::session(&self.seal, message, destination).with_nonce(nonce, associated_data);
        self.runtime.run(work).map(|outcome| written(&outcome))
    }

    /// Verifies and decrypts what was sealed with the same nonce and associated data.
    ///
    /// # Errors
    /// [`Error::TagMismatch`] if anything was altered; no plaintext is left anywhere then. [`Error::InvalidInput`] if `sealed` is shorter
    /// than a tag. See [`Error`] for others.
    pub fn open(&self, nonce: [u8; 12], associated_data: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut message = vec![0; sealed.len().saturating_sub(Self::TAG_LEN)];
        self.open_into(nonce, associated_data, sealed, &mut message)?;
        Ok(message)
    }

    /// As [`open`](Self::open), to the start of `destination`; says how many bytes were written: 16 fewer than `sealed` has.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::OutputTooSmall`]. After any error the part of `destination` where the message would stand is zero, or as it was.
    pub fn open_into(
        &self,
        nonce: [u8; 12],
        associated_data: &[u8],
        sealed: &[u8],
        destination: &mut [u8],
    ) -> Result<usize, Error> {
        let work = Work::session(&self.open, sealed, destination).with_nonce(nonce, associated_data);
        self.runtime.run(work).map(|outcome| written(&outcome)).inspect_err(|error| {
            // A device that failed on the way may have decrypted some of it, unverified. Requests that were never begun wrote nothing.
            if !matches!(error, Error::InvalidInput { .. } | Error::OutputTooSmall { .. }) {
                let len = destination.len().min(sealed.len().saturating_sub(Self::TAG_LEN));
                destination[..len].zeroize();
            }
        })
    }

    /// Submits a message that is sealed while the caller goes on; buffers and associated data come back with the result. The room of a `Vec<u8>` is its capacity, and has to be 16
    /// bytes more than the message.
    ///
    /// # Errors
    /// [`Rejected`](uaccel_runtime::Rejected) with the buffers. [`Error::QueueFull`] passes: await earlier jobs, then give `rejected.work` to [`Runtime::submit`].
    pub fn submit_seal<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
        &self,
        nonce: [u8; 12],
        associated_data: A,
        message: S,
        room: D,
    ) -> Submitted<S, D, A> {
        self.runtime.submit(OwnedWork::session(&self.seal, message, room).with_nonce(nonce, associated_data))
    }

    /// Submits a sealed message that is verified and decrypted while the caller goes on. The room has to be 16 bytes less than `sealed`. After a failure it is wiped.
    ///
    /// # Errors
    /// As [`submit_seal`](Self::submit_seal).
    pub fn submit_open<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
        &self,
        nonce: [u8; 12],
        associated_data: A,
        sealed: S,
        room: D,
    ) -> Submitted<S, D, A> {
        self.runtime.submit(OwnedWork::session(&self.open, sealed, room).with_nonce(nonce, associated_data))
    }
}
