//! Compute units: bytes in, bytes out, on well-kept libraries.
//!
//! The `software` driver runs jobs on them, and so do the simulated engines: whatever a device is to compute, it computes here. There is
//! no queue in this crate, no operating system and no address: a [`Unit`] is one session, ready to run; a [`Scratch`] is what a worker
//! keeps between jobs; an [`Input`] is one job. Operations without a session are in [`plain`], inputs too large for one job in [`stream`].
//!
//! | algorithm | with feature `fast` (default) | without |
//! | --- | --- | --- |
//! | deflate, zlib, gzip; streams, or a window below 32 KiB | libdeflate; zlib-rs | zlib-rs |
//! | LZ4 block | lz4_flex | same |
//! | Zstandard (feature `zstd`, default) | zstd | same |
//! | AES-GCM, ChaCha20-Poly1305 | AWS-LC | RustCrypto |
//! | AES-CBC, AES-CTR | AWS-LC | RustCrypto |
//! | AES-XTS | the mode here, AES of RustCrypto | same |
//! | SHA-2, HMAC | RustCrypto | same |
//! | CRC-32C; CRC-32 | crc-fast; crc32fast | same |
//!
//! Without default features all code is compatible with GPLv2. Behaviour is the same in all builds; compressed bytes are not.
//!
//! ```
//! use uaccel_queue::{Algorithm, Direction, SessionSpec, Status};
//! use uaccel_units::{Input, Scratch, Unit, bound};
//!
//! let text = b"to be, or not to be, or to be";
//! let mut scratch = Scratch::new();
//!
//! let spec = SessionSpec::compression(Algorithm::Zlib, Direction::Forward, Some(9))?;
//! let mut stream = vec![0; usize::try_from(bound(Algorithm::Zlib, text.len() as u64).unwrap())?];
//! let outcome = Unit::new(&spec)?.run(&mut scratch, &Input::new(text), &mut stream);
//! assert_eq!(outcome.status, Status::Ok);
//! stream.truncate(usize::try_from(outcome.produced)?);
//!
//! let spec = SessionSpec::compression(Algorithm::Zlib, Direction::Inverse, None)?;
//! let mut back = [0; 29];
//! let outcome = Unit::new(&spec)?.run(&mut scratch, &Input::new(&stream), &mut back);
//! assert_eq!((outcome.status, &back), (Status::Ok, text));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs, unsafe_code)]

mod aead;
mod bound;
mod cipher;
mod deflate;
mod digest;
mod error;
mod input;
mod lz4;
pub mod plain;
mod scratch;
pub mod stream;
mod unit;
#[cfg(feature = "zstd")]
mod zstd;

pub use bound::bound;
pub use error::UnitError;
pub use input::Input;
pub use scratch::Scratch;
pub use unit::Unit;

/// Whether a GPLv2 work can take this build: it has none of the libraries that feature `fast` brings. For whoever must be such a work, and is built together
/// with others that need not be.
pub const GPLV2_COMPATIBLE: bool = !cfg!(feature = "fast");
