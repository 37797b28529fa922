//! What applications call: compression, encryption, digests, checksums and copies, on an accelerator where there is one.
//!
//! ```
//! # fn main() -> Result<(), uaccel_algorithms::Error> {
//! use uaccel_algorithms::{Compressor, Decompressor, Format, Level};
//! use uaccel_runtime::Runtime;
//!
//! let runtime = Runtime::new()?;
//! let text = b"to be, or not to be, or to be".repeat(100);
//!
//! let packed = Compressor::new(&runtime, Format::Gzip, Level::Default)?.compress(&text)?;
//! assert!(packed.len() < 100);
//! assert_eq!(Decompressor::new(&runtime, Format::Gzip)?.decompress(&packed, 1 << 20)?, text);
//! # Ok(())
//! # }
//! ```
//!
//! | to | use |
//! | --- | --- |
//! | compress, decompress | [`Compressor`], [`Decompressor`] |
//! | the same through [`std::io`] | [`read`], [`mod@write`]: names and shapes of flate2 |
//! | encrypt and authenticate | [`Aead`] |
//! | encrypt without authentication, in place too | [`Cipher`] |
//! | hash, authenticate | [`Digest`], [`Mac`]; in pieces [`Hasher`] |
//! | checksum | [`Checksum`] |
//! | copy, fill, compare | [`Memory`] |
//!
//! All of them hold a [`Runtime`](uaccel_runtime::Runtime), are cheap to clone and can be called from any thread. What takes slices blocks until the work is
//! done. What is called `submit` takes buffers it may keep until the work is done, and returns a plain [`Future`].
//!
//! # Inputs that are larger than the device takes
//!
//! A device takes a limited number of bytes per job ([`Capabilities::max_transfer`](uaccel_runtime::Capabilities::max_transfer)). Callers
//! need not care:
//!
//! - Copies, fills, comparisons and checksums are split.
//! - CBC and counter mode are cut into pieces; an XTS data unit is not.
//! - Compression to gzip makes several members, which every gzip reader joins.
//! - One zlib or deflate stream, and a gzip member that is decompressed, goes piece by piece where the device keeps a [state between jobs](uaccel_runtime::Stream): HiSilicon's engine does.
//!   A device that fails is waited for and asked again; one that has failed for good in the middle of a text is told of by an adaptor of [`read`] or [`mod@write`], while what takes a whole text begins anew on the CPU, if
//!   the policy allows that.
//! - What else would need a state between two jobs (such a stream on another device, one Zstandard stream, one LZ4 block, one sealed message, one XTS data unit, one digest) is
//!   done by the CPU, and counted in [`Counters::fallbacks`](uaccel_runtime::Counters::fallbacks). With
//!   [`Fallback::Never`](uaccel_runtime::Fallback::Never) it is [`Error::TooLarge`].
#![forbid(unsafe_code)]

mod aead;
mod batch;
mod checksum;
mod cipher;
mod compressor;
mod decompressor;
mod detour;
mod digest;
mod digest_value;
mod format;
mod growth;
mod hasher;
mod inflate;
mod level;
mod mac;
mod member;
mod memory;
mod passage;
pub mod read;
mod sink;
mod stream;
pub mod write;

pub use aead::{Aead, AeadAlgorithm};
pub use checksum::Checksum;
pub use cipher::{Cipher, CipherAlgorithm};
pub use compressor::Compressor;
pub use decompressor::{Decompressor, Progress};
pub use digest::{Digest, DigestAlgorithm};
pub use digest_value::DigestValue;
pub use format::Format;
pub use hasher::Hasher;
pub use level::Level;
pub use mac::{Mac, MacAlgorithm};
pub use memory::Memory;

pub use uaccel_runtime::Error;

/// The text of one gzip member of the adaptors, unless they are told otherwise.
const GZIP_CHUNK: usize = 1 << 20;
