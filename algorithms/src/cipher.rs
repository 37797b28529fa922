//! Encryption without authentication.

use uaccel_runtime::{
    Algorithm, Direction, Error, Outcome, OwnedWork, ReadBuf, Runtime, Session, SessionSpec, Submitted, TextBuf, Work,
    WriteBuf,
};
use zeroize::Zeroize;

use crate::batch::{self, Item};
use crate::detour::max_transfer;
use crate::member::written;

/// An algorithm for encryption without authentication. Initialisation vectors have 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherAlgorithm {
    /// AES-CBC with a key of 16 bytes, NIST SP 800-38A. Whole blocks of 16 bytes; padding is the caller's.
    Aes128Cbc,
    /// AES-CBC with a key of 32 bytes.
    Aes256Cbc,
    /// AES-CTR with a key of 16 bytes, NIST SP 800-38A. Any length; the IV is the first counter, a big-endian number of 128 bits.
    Aes128Ctr,
    /// AES-CTR with a key of 32 bytes.
    Aes256Ctr,
    /// XTS-AES-128, IEEE 1619: two different keys of 16 bytes, one behind the other. 16 bytes to 16 MiB; the IV is the tweak, as a rule the
    /// little-endian number of a sector.
    Aes128Xts,
    /// XTS-AES-256, with two different keys of 32 bytes.
    Aes256Xts,
}

impl CipherAlgorithm {
    /// Every algorithm this version knows.
    pub const ALL: [Self; 6] =
        [Self::Aes128Cbc, Self::Aes256Cbc, Self::Aes128Ctr, Self::Aes256Ctr, Self::Aes128Xts, Self::Aes256Xts];

    /// The algorithm, as sessions and capabilities name it.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Aes128Cbc => Algorithm::Aes128Cbc,
            Self::Aes256Cbc => Algorithm::Aes256Cbc,
            Self::Aes128Ctr => Algorithm::Aes128Ctr,
            Self::Aes256Ctr => Algorithm::Aes256Ctr,
            Self::Aes128Xts => Algorithm::Aes128Xts,
            Self::Aes256Xts => Algorithm::Aes256Xts,
        }
    }
}

impl From<CipherAlgorithm> for Algorithm {
    fn from(algorithm: CipherAlgorithm) -> Self {
        algorithm.algorithm()
    }
}

/// Encryption under one key, without authentication. Cheap to clone.
///
/// This is for formats that ask for it: disks, old protocols, or layers that authenticate by themselves. Whoever can alter the
/// ciphertext alters the text, unnoticed; [`Aead`](crate::Aead) does not allow that. In counter mode two messages under one key must
/// never share a counter, in CBC an IV must not be predictable.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::{Cipher, CipherAlgorithm};
/// use uaccel_runtime::Runtime;
///
/// let keys: Vec<u8> = (0..64).collect();
/// let disk = Cipher::new(&Runtime::new()?, CipherAlgorithm::Aes256Xts, &keys)?;
/// let mut sector = [7; 512];
/// let tweak = 1234_u128.to_le_bytes();
/// disk.encrypt_in_place(tweak, &mut sector)?;
/// assert_ne!(sector, [7; 512]);
/// assert_eq!(disk.decrypt(tweak, &sector)?, [7; 512]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cipher {
    runtime: Runtime,
    encrypt: Session,
    decrypt: Session,
    mode: Mode,
}

/// What the IV of the next piece depends on, where a text can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// On the ciphertext before it.
    Chained,
    /// On its place.
    Counted,
    /// A text is one piece.
    Whole,
}

impl Cipher {
    /// The length of an initialisation vector, and of a block, in bytes.
    pub const IV_LEN: usize = 16;

    /// A key, ready for use. The bytes are copied; the copies are wiped after use.
    ///
    /// # Errors
    /// [`Error::Session`] if the key has the wrong length or is one key twice, [`Error::UnsupportedAlgorithm`] if nothing offers the algorithm.
    pub fn new(runtime: &Runtime, algorithm: CipherAlgorithm, key: &[u8]) -> Result<Self, Error> {
        let session = |direction| runtime.session(SessionSpec::keyed(algorithm.algorithm(), direction, key)?);
        let mode = match algorithm {
            CipherAlgorithm::Aes128Cbc | CipherAlgorithm::Aes256Cbc => Mode::Chained,
            CipherAlgorithm::Aes128Ctr | CipherAlgorithm::Aes256Ctr => Mode::Counted,
            CipherAlgorithm::Aes128Xts | CipherAlgorithm::Aes256Xts => Mode::Whole,
        };
        let (encrypt, decrypt) = (session(Direction::Forward)?, session(Direction::Inverse)?);
        Ok(Self { encrypt, decrypt, mode, runtime: runtime.clone() })
    }

    /// Encrypts `text`; the result is as long.
    ///
    /// # Errors
    /// [`Error::TextLength`] if the algorithm does not take a text of that length. See [`Error`] for others.
    /// [`Error::TooLarge`] only for XTS with [`Fallback::Never`](uaccel_runtime::Fallback::Never).
    pub fn encrypt(&self, iv: [u8; 16], text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut ciphertext = vec![0; text.len()];
        self.encrypt_into(iv, text, &mut ciphertext)?;
        Ok(ciphertext)
    }

    /// As [`encrypt`](Self::encrypt), to the start of `destination`; says how many bytes were written: as many as `text` has.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt), and [`Error::OutputTooSmall`]. After other errors the content of `destination` is unspecified.
    pub fn encrypt_into(&self, iv: [u8; 16], text: &[u8], destination: &mut [u8]) -> Result<usize, Error> {
        self.transform(&self.encrypt, iv, text, destination)
    }

    /// Encrypts `text` where it stands.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt). If the device fails, the text may be lost; [`Error::TextLength`], [`Error::Forked`] and
    /// [`Error::TooLarge`] leave it as it was.
    pub fn encrypt_in_place(&self, iv: [u8; 16], text: &mut [u8]) -> Result<(), Error> {
        self.transform_in_place(&self.encrypt, iv, text)
    }

    /// Decrypts `ciphertext`; the result is as long.
    ///
    /// # Errors
    /// As [`encrypt`](Self::encrypt).
    pub fn decrypt(&self, iv: [u8; 16], ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
        let mut text = vec![0; ciphertext.len()];
        match self.decrypt_into(iv, ciphertext, &mut text) {
            Ok(_) => Ok(text),
            Err(error) => {
                text.zeroize();
                Err(error)
            }
        }
    }

    /// As [`decrypt`](Self::decrypt), to the start of `destination`; says how many bytes were written: as many as `ciphertext` has.
    ///
    /// # Errors
    /// As [`encrypt_into`](Self::encrypt_into).
    pub fn decrypt_into(&self, iv: [u8; 16], ciphertext: &[u8], destination: &mut [u8]) -> Result<usize, Error> {
        self.transform(&self.decrypt, iv, ciphertext, destination)
    }

    /// Decrypts `ciphertext` where it stands.
    ///
    /// # Errors
    /// As [`encrypt_in_place`](Self::encrypt_in_place).
    pub fn decrypt_in_place(&self, iv: [u8; 16], ciphertext: &mut [u8]) -> Result<(), Error> {
        self.transform_in_place(&self.decrypt, iv, ciphertext)
    }

    /// Submits a text that is encrypted while the caller goes on; both buffers come back with the result. The room of a `Vec<u8>` is
    /// its capacity, and has to be as long as the text. A text above the device's limit is not cut: it goes to the CPU.
    ///
    /// # Errors
    /// [`Rejected`](uaccel_runtime::Rejected) with the buffers. [`Error::QueueFull`] passes: await earlier jobs, then give `rejected.work` to [`Runtime::submit`].
    pub fn submit_encrypt<S: ReadBuf, D: WriteBuf>(&self, iv: [u8; 16], text: S, room: D) -> Submitted<S, D> {
        self.runtime.submit(OwnedWork::session(&self.encrypt, text, room).with_iv(iv))
    }

    /// Submits a ciphertext that is decrypted while the caller goes on. Nobody finds the text in a room that was not fetched.
    ///
    /// # Errors
    /// As [`submit_encrypt`](Self::submit_encrypt).
    pub fn submit_decrypt<S: ReadBuf, D: WriteBuf>(&self, iv: [u8; 16], ciphertext: S, room: D) -> Submitted<S, D> {
        self.runtime.submit(OwnedWork::session(&self.decrypt, ciphertext, room).with_iv(iv))
    }

    /// Submits a text that is encrypted where it stands while the caller goes on. If that fails the buffer comes back wiped.
    ///
    /// # Errors
    /// As [`submit_encrypt`](Self::submit_encrypt).
    pub fn submit_encrypt_in_place<D: TextBuf>(&self, iv: [u8; 16], text: D) -> Submitted<(), D> {
        self.runtime.submit(OwnedWork::session_in_place(&self.encrypt, text).with_iv(iv))
    }

    /// Submits a ciphertext that is decrypted where it stands while the caller goes on. If that fails the buffer comes back wiped.
    ///
    /// # Errors
    /// As [`submit_encrypt`](Self::submit_encrypt).
    pub fn submit_decrypt_in_place<D: TextBuf>(&self, iv: [u8; 16], ciphertext: D) -> Submitted<(), D> {
        self.runtime.submit(OwnedWork::session_in_place(&self.decrypt, ciphertext).with_iv(iv))
    }

    /// The length of the pieces a text of `len` bytes has to be cut into, if that has to be and can be.
    fn piece_len(&self, len: usize) -> Option<usize> {
        let limit = max_transfer(&self.runtime);
        let piece = limit / Self::IV_LEN * Self::IV_LEN;
        (len > limit && piece != 0 && self.mode != Mode::Whole).then_some(piece)
    }

    fn transform(
        &self,
        session: &Session,
        iv: [u8; 16],
        source: &[u8],
        destination: &mut [u8],
    ) -> Result<usize, Error> {
        check(session, source.len())?;
        let Some(piece) = self.piece_len(source.len()).filter(|_| source.len() <= destination.len()) else {
            return self.runtime.run(Work::session(session, source, destination).with_iv(iv)).map(|o| written(&o));
        };
        if self.mode == Mode::Chained && session.direction() == Direction::Forward {
            let mut iv = iv;
            for (source, destination) in source.chunks(piece).zip(destination.chunks_mut(piece)) {
                self.runtime.run(Work::session(session, source, &mut *destination).with_iv(iv))?;
                iv = last_block(&destination[..source.len()]).unwrap_or(iv);
            }
            return Ok(source.len());
        }
        let starts = (0..source.len()).step_by(piece);
        let places = starts.zip(source.chunks(piece)).zip(destination.chunks_mut(piece));
        let mut pieces: Vec<_> = places
            .map(|((start, text), destination)| {
                let iv = match self.mode {
                    Mode::Counted => counted(iv, start),
                    _ => last_block(&source[..start]).unwrap_or(iv),
                };
                Piece { session, iv, source: text, destination }
            })
            .collect();
        let outcomes: Result<Vec<Outcome>, Error> = batch::run_all(&self.runtime, &mut pieces).into_iter().collect();
        outcomes.map(|_| source.len())
    }

    /// Piece by piece: a piece that failed may have lost its source, so it is not for a batch, which does such pieces again.
    fn transform_in_place(&self, session: &Session, iv: [u8; 16], text: &mut [u8]) -> Result<(), Error> {
        check(session, text.len())?;
        let piece = self.piece_len(text.len()).unwrap_or(text.len().max(1));
        let mut iv = iv;
        for text in text.chunks_mut(piece) {
            let before = last_block(text);
            self.runtime.run(Work::session_in_place(session, text).with_iv(iv))?;
            iv = match (self.mode, session.direction()) {
                (Mode::Counted, _) => counted(iv, text.len()),
                (_, Direction::Forward) => last_block(text).unwrap_or(iv),
                (_, Direction::Inverse) => before.unwrap_or(iv),
            };
        }
        Ok(())
    }
}

/// Whether the algorithm takes a text of this length: of the whole, before it is cut.
fn check(session: &Session, len: usize) -> Result<(), Error> {
    let (algorithm, len) = (session.spec().algorithm(), len as u64);
    match algorithm.text_lengths() {
        Some(lengths) if !lengths.contains(len) => Err(Error::TextLength { algorithm, len }),
        _ => Ok(()),
    }
}

fn last_block(bytes: &[u8]) -> Option<[u8; 16]> {
    bytes.last_chunk().copied()
}

/// The counter of the block `offset` bytes behind the one of `iv`.
fn counted(iv: [u8; 16], offset: usize) -> [u8; 16] {
    u128::from_be_bytes(iv).wrapping_add((offset / Cipher::IV_LEN) as u128).to_be_bytes()
}

/// A part of a text that is independent of the others.
struct Piece<'a> {
    session: &'a Session,
    iv: [u8; 16],
    source: &'a [u8],
    destination: &'a mut [u8],
}

impl Item for Piece<'_> {
    fn work(&mut self) -> Work<'_> {
        Work::session(self.session, self.source, self.destination).with_iv(self.iv)
    }

    fn len(&self) -> usize {
        self.source.len()
    }
}
