//! Compression, encryption, checksums and copies on accelerators that work on plain pointers, from one crate.
//!
//! ```
//! use uaccel::{Aead, AeadAlgorithm, Compressor, Decompressor, Format, Level, Runtime};
//!
//! fn main() -> Result<(), uaccel::Error> {
//!     let runtime = Runtime::new()?;
//!     let text = b"Plain pointers, no pools, no root. ".repeat(1000);
//!
//!     let packed = Compressor::new(&runtime, Format::Gzip, Level::Default)?.compress(&text)?;
//!     let sealed = Aead::new(&runtime, AeadAlgorithm::Aes256Gcm, &[7; 32])?.seal([0; 12], b"", &packed)?;
//!     println!("{} bytes, packed {}, sealed {}, by {}", text.len(), packed.len(), sealed.len(), runtime.device());
//!
//!     assert_eq!(Decompressor::new(&runtime, Format::Gzip)?.decompress(&packed, 1 << 20)?, text);
//!     Ok(())
//! }
//! ```
//!
//! **Without hardware** the same program does the same on the CPU, with the fastest library for each algorithm. [`Runtime::report`] says what was found, what was
//! chosen, and what would have to be done for the rest. With hardware, whatever a device cannot do is still done by the CPU, unless that is
//! [ruled out](Fallback::Never), and [counted](Runtime::counters).
//!
//! # Where to go on
//!
//! - Whole buffers: [`Compressor`], [`Decompressor`], [`Aead`], [`Cipher`], [`Digest`], [`Mac`], [`Checksum`], [`Memory`].
//! - [`std::io`]: [`read`] and [`mod@write`], with the names of flate2.
//! - Many jobs in flight, or one without blocking: methods called `submit` return a [`JobFuture`], which any executor can poll, or a thread can
//!   [wait](JobFuture::wait) for.
//! - The hot path: a [`Lease`] is a queue for one thread, with a [`Scope`] in which jobs borrow their memory. [`Work`] is any job.
//! - Which device, how long, and when the CPU: [`Builder`], and the environment variable `UACCEL_DEVICE`.
//! - One device for many processes: [`devd`], and the environment variable `UACCEL_DEVD`.
//! - A driver for another device: [`driver`].
//!
//! # Features
//!
//! - `sim`: a simulated accelerator, used only under its name, `sim`. For tests and for taking the framework's measure.
#![forbid(unsafe_code)]

#[doc(inline)]
pub use uaccel_algorithms::{
    Aead, AeadAlgorithm, Checksum, Cipher, CipherAlgorithm, Compressor, Decompressor, Digest, DigestAlgorithm,
    DigestValue, Format, Hasher, Level, Mac, MacAlgorithm, Memory, Progress, read, write,
};
#[doc(inline)]
pub use uaccel_runtime::{
    AddressMode, Algorithm, AlgorithmSet, Answer, Builder, Capabilities, Counters, DEVICE_VARIABLE, Direction, Entry,
    Error, Fallback, Family, Fault, FaultHandling, FaultKind, Finished, JobFuture, Lease, OnLost, Operation,
    OperationSet, Order, Outcome, OwnedWork, Pieces, RawWork, ReadBuf, Refused, Rejected, Report, Room, Runtime, Scope,
    Session, SessionSpec, SharedBuffer, SpecError, Status, Step, Stream, Submitted, TextBuf, TextLengths, Ticket,
    Verdict, Work, WriteBuf, devd,
};

#[cfg(feature = "sim")]
#[doc(inline)]
pub use uaccel_runtime::{HISI_ZIP_SIMULATOR, SIMULATOR, SimulatorBus};

/// What the author of a driver or of a bus meets: the contract, as the crate `uaccel-queue` has it.
pub use uaccel_queue as driver;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
