//! One session, ready to run.

use core::fmt;

use uaccel_queue::{Algorithm, Direction, Family, Operation, Outcome, SessionSpec, Status};

use crate::aead::AeadKey;
use crate::cipher::CipherKey;
use crate::deflate::{self, Format, Settings};
use crate::digest::Hasher;
use crate::{Input, Scratch, UnitError, lz4};

/// One session in expanded form: the key schedule is computed, the parameters are resolved.
///
/// Immutable, hence shared by all workers; what changes from job to job is in each worker's [`Scratch`]. Key material is wiped
/// when the unit is dropped.
pub struct Unit {
    algorithm: Algorithm,
    operation: Operation,
    kind: Kind,
}

enum Kind {
    Compress(Settings),
    Decompress {
        format: Format,
    },
    Lz4Compress,
    Lz4Decompress,
    #[cfg(feature = "zstd")]
    ZstdCompress {
        level: u8,
    },
    #[cfg(feature = "zstd")]
    ZstdDecompress,
    // Boxed: the expanded keys are hundreds of bytes, the rest of the enumeration two.
    Seal(Box<AeadKey>),
    Open(Box<AeadKey>),
    /// In the one direction the session has.
    Cipher(Box<CipherKey>),
    Digest(Box<Hasher>),
}

impl Unit {
    /// Whether this build has a unit for `algorithm` in `direction`.
    #[must_use]
    pub fn supports(algorithm: Algorithm, direction: Direction) -> bool {
        match algorithm {
            Algorithm::Deflate | Algorithm::Zlib | Algorithm::Gzip | Algorithm::Lz4Block => true,
            Algorithm::Zstd => cfg!(feature = "zstd"),
            Algorithm::Aes128Gcm | Algorithm::Aes256Gcm | Algorithm::ChaCha20Poly1305 => true,
            Algorithm::Aes128Cbc
            | Algorithm::Aes256Cbc
            | Algorithm::Aes128Ctr
            | Algorithm::Aes256Ctr
            | Algorithm::Aes128Xts
            | Algorithm::Aes256Xts => true,
            Algorithm::Sha256 | Algorithm::Sha512 | Algorithm::HmacSha256 => direction == Direction::Forward,
            _ => false,
        }
    }

    /// Expands a session. This is where the costly part of a key is paid, once.
    ///
    /// # Errors
    /// [`UnitError::Unsupported`] where [`supports`](Self::supports) says no.
    pub fn new(spec: &SessionSpec) -> Result<Self, UnitError> {
        let algorithm = spec.algorithm();
        let direction = spec.direction();
        if !Self::supports(algorithm, direction) {
            return Err(UnitError::Unsupported(algorithm));
        }
        let kind = match (algorithm, direction) {
            #[cfg(feature = "zstd")]
            (Algorithm::Zstd, Direction::Forward) => Kind::ZstdCompress { level: spec.level() },
            #[cfg(feature = "zstd")]
            (Algorithm::Zstd, Direction::Inverse) => Kind::ZstdDecompress,
            (Algorithm::Lz4Block, Direction::Forward) => Kind::Lz4Compress,
            (Algorithm::Lz4Block, Direction::Inverse) => Kind::Lz4Decompress,
            _ => match (algorithm.family(), direction) {
                (Family::Compression, _) => {
                    let settings = Settings::of(spec).ok_or(UnitError::Unsupported(algorithm))?;
                    match direction {
                        Direction::Forward => Kind::Compress(settings),
                        Direction::Inverse => Kind::Decompress { format: settings.format },
                    }
                }
                (Family::Aead, Direction::Forward) => Kind::Seal(Box::new(AeadKey::new(algorithm, spec.key())?)),
                (Family::Aead, Direction::Inverse) => Kind::Open(Box::new(AeadKey::new(algorithm, spec.key())?)),
                (Family::Cipher, _) => Kind::Cipher(Box::new(CipherKey::new(algorithm, direction, spec.key())?)),
                (Family::Digest, _) => Kind::Digest(Box::new(Hasher::new(algorithm, spec.key())?)),
                _ => return Err(UnitError::Unsupported(algorithm)),
            },
        };
        Ok(Self { algorithm, operation: spec.operation(), kind })
    }

    /// The one operation this unit performs.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The algorithm it was made for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Runs one job.
    ///
    /// Reads `input` as the table at [`Operation`] says, writes to the start of `destination`, and never beyond it: a decompression
    /// bomb stops there. Empty slices are fine. Does not panic, whatever the bytes.
    ///
    /// | operation | `consumed`, `produced` on success |
    /// | --- | --- |
    /// | Compress | the whole source; the length of the stream |
    /// | Decompress | the length of the one stream, member or frame at the start of the source (an LZ4 block has no end mark and is the whole source); the length of the text |
    /// | Seal | the whole source; as much and the 16 bytes of the tag, which follow the ciphertext |
    /// | Open | the whole source, tag included; 16 bytes less |
    /// | Encrypt, Decrypt | the whole source; as much |
    /// | Digest | the whole source; the length of the digest |
    ///
    /// The other ends, all with `consumed` 0:
    ///
    /// - [`Status::OutputTooSmall`]: `produced` is, for Compress, [`bound`](crate::bound()), which is enough though seldom needed;
    ///   for Seal, Open, Encrypt, Decrypt and Digest, the exact length; for Decompress of a Zstandard frame, the length its header states, if it
    ///   states one that the frame could hold; for Decompress of all else, 0: the formats do not say, or not in a way to be trusted.
    /// - [`Status::Corrupt`]: the stream breaks a rule of its format, a checksum does not match, or it asks for a preset dictionary.
    /// - [`Status::Truncated`]: the source ends before the stream does. An empty source is a truncated stream in every format.
    ///   When the destination is full as well, `OutputTooSmall` is told only if the next byte of the text could be decoded.
    /// - [`Status::TagMismatch`]: the bytes of the destination where the plaintext would stand are zero. A source shorter than a tag ends
    ///   this way as well: it comes from whoever sent the message, and is no fault of the job.
    /// - [`Status::InvalidJob`]: a cipher does not take texts of that length ([`Algorithm::text_lengths`]), or the text is longer than the algorithm's limit (64 GiB for AES-GCM, 256 GiB for
    ///   ChaCha20-Poly1305, 2 113 929 216 bytes for an LZ4 block).
    /// - [`Status::DeviceError`]: no memory for the state the job needs.
    ///
    /// The content of the destination after a failure is unspecified unless said otherwise. A failed decompression of the deflate family
    /// may take a few times as long as a good one: the fast engine's refusal is looked into by the other.
    ///
    /// Of the deflate family's windows it takes the largest power of two that is not above the session's [window](SessionSpec::window).
    ///
    /// Compressed bytes depend on the source, the level, the window and the build; not on the room, nor on what ran before. Zstandard frames state
    /// their content's size and carry no checksum; a skippable frame (RFC 8878 section 3.1.2) decodes to nothing.
    #[must_use]
    pub fn run(&self, scratch: &mut Scratch, input: &Input<'_>, destination: &mut [u8]) -> Outcome {
        let source = input.source;
        match &self.kind {
            Kind::Compress(settings) => deflate::compress(&mut scratch.deflate, *settings, source, destination),
            Kind::Decompress { format } => deflate::decompress(&mut scratch.deflate, *format, source, destination),
            Kind::Lz4Compress => lz4::compress(scratch, source, destination),
            Kind::Lz4Decompress => lz4::decompress(source, destination),
            #[cfg(feature = "zstd")]
            Kind::ZstdCompress { level } => crate::zstd::compress(scratch, *level, source, destination),
            #[cfg(feature = "zstd")]
            Kind::ZstdDecompress => crate::zstd::decompress(&mut scratch.zstd, source, destination),
            Kind::Seal(key) => key.seal(input, destination),
            Kind::Open(key) => key.open(input, destination),
            Kind::Cipher(key) => key.run(input, destination),
            Kind::Digest(hasher) => hasher.digest(source, destination),
        }
    }

    /// Runs one job of a cipher on the text where it stands. Other units change nothing and end with [`Status::InvalidJob`]; see
    /// [`run`](Self::run) for the rest.
    #[must_use]
    pub fn run_in_place(&self, text: &mut [u8], iv: [u8; 16]) -> Outcome {
        match &self.kind {
            Kind::Cipher(key) => key.run_in_place(text, iv),
            _ => Outcome::failed(Status::InvalidJob),
        }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit")
            .field("algorithm", &self.algorithm)
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// The outcome of a job whose destination has no room for `needed` bytes.
pub(crate) fn too_small(needed: u64) -> Outcome {
    Outcome { produced: needed, ..Outcome::failed(Status::OutputTooSmall) }
}

/// The outcome of a compression whose stream did not fit.
pub(crate) fn too_small_for(algorithm: Algorithm, source: &[u8]) -> Outcome {
    too_small(crate::bound(algorithm, source.len() as u64).unwrap_or(0))
}
