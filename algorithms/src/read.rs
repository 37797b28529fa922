//! Adaptors that read: from a reader of text, or of packed bytes, they make one of the other. Names and shapes are those of flate2's `read`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::io::Read;
//!
//! use uaccel_algorithms::{Level, read};
//!
//! let runtime = uaccel_runtime::Runtime::new()?;
//! let mut packed = Vec::new();
//! read::GzEncoder::new(&runtime, &b"some text"[..], Level::Best)?.read_to_end(&mut packed)?;
//!
//! let mut text = String::new();
//! read::MultiGzDecoder::new(&runtime, &packed[..])?.read_to_string(&mut text)?;
//! assert_eq!(text, "some text");
//! # Ok(())
//! # }
//! ```
//!
//! Adaptors read ahead, so something behind a stream is lost with them.
//!
//! # Errors
//! Broken data is [`io::ErrorKind::InvalidData`], data that ends early [`io::ErrorKind::UnexpectedEof`]; in both and in all others of
//! ours an [`Error`] is inside ([`io::Error::get_ref`]). Errors of the inner reader are passed on as they are, and reading can go on after them.

use std::io::{self, Read};

use uaccel_runtime::{Error, Runtime};

use crate::stream::{Decoder, Encoder, Next, to_io};
use crate::{Format, GZIP_CHUNK, Level};

macro_rules! adaptor {
    ($(#[$doc:meta])* $name:ident, $core:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<R> {
            inner: R,
            core: $core,
        }

        impl<R> $name<R> {
            /// The inner reader.
            pub fn get_ref(&self) -> &R {
                &self.inner
            }

            /// The inner reader. Reading from it takes bytes away from this one.
            pub fn get_mut(&mut self) -> &mut R {
                &mut self.inner
            }

            /// Back to the inner reader. What was read ahead is lost.
            pub fn into_inner(self) -> R {
                self.inner
            }
        }
    };
}

macro_rules! encoder {
    ($(#[$doc:meta])* $name:ident) => {
        adaptor!($(#[$doc])* $name, Encoder);

        impl<R: Read> $name<R> {
            /// The same with a window of so many bytes, as [`Compressor::with_window`](crate::Compressor::with_window) has it. To be called before any text is read.
            ///
            /// # Errors
            /// [`Error::Session`] if the format has no such window, [`Error::UnsupportedWindow`] if nothing keeps to it, [`Error::InvalidInput`] if the stream has begun.
            pub fn with_window(mut self, window: u32) -> Result<Self, Error> {
                self.core.keep_to(window)?;
                Ok(self)
            }
        }

        impl<R: Read> Read for $name<R> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                if room.is_empty() {
                    return Ok(0);
                }
                self.core.take_from(&mut self.inner)?;
                Ok(self.core.output().fetch(room))
            }
        }
    };
}

macro_rules! decoder {
    ($(#[$doc:meta])* $name:ident, $format:expr, multi: $multi:expr) => {
        adaptor!($(#[$doc])* $name, Decoder);

        impl<R: Read> $name<R> {
            /// A decoder of what `inner` reads.
            ///
            /// # Errors
            /// [`Error::UnsupportedAlgorithm`] if nothing offers the format.
            pub fn new(runtime: &Runtime, inner: R) -> Result<Self, Error> {
                Ok(Self { inner, core: Decoder::new(runtime, $format, $multi)? })
            }
        }

        impl<R: Read> Read for $name<R> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                if room.is_empty() {
                    return Ok(0);
                }
                while self.core.step().map_err(to_io)? == Next::Input {
                    let read = self.inner.read(self.core.room())?;
                    self.core.fill(read);
                }
                Ok(self.core.output().fetch(room))
            }
        }
    };
}

encoder! {
    /// Reads text, gives gzip.
    ///
    /// Every 1 MiB of text, or as much as the device takes, becomes a member of its own, packed while the next is read. All gzip readers join members; a few HTTP
    /// clients and flate2's `GzDecoder` stop after the first: use [`with_chunk`](Self::with_chunk) for them.
    GzEncoder
}

impl<R: Read> GzEncoder<R> {
    /// An encoder of what `inner` reads.
    ///
    /// # Errors
    /// [`Error::Session`] if gzip has no such level, [`Error::UnsupportedAlgorithm`] if nothing offers it.
    pub fn new(runtime: &Runtime, inner: R, level: impl Into<Level>) -> Result<Self, Error> {
        Self::with_chunk(runtime, inner, level, GZIP_CHUNK)
    }

    /// The same with another length of a member's text. It is clamped to what the device takes; that much memory is used, four times.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_chunk(runtime: &Runtime, inner: R, level: impl Into<Level>, chunk: usize) -> Result<Self, Error> {
        Ok(Self { inner, core: Encoder::members(runtime, level.into(), chunk)? })
    }
}

encoder! {
    /// Reads text, gives one zlib stream.
    ///
    /// Up to 4 MiB of text, or what the device takes, are one job. Longer text goes piece by piece: as a [stream](uaccel_runtime::Stream) of the device, if it has such, else on the CPU, and is counted as a fallback
    /// then. A device that fails in the middle of a stream is waited for; if it does not come back, that is an error.
    ZlibEncoder
}

encoder! {
    /// Reads text, gives one raw deflate stream. As [`ZlibEncoder`] otherwise.
    DeflateEncoder
}

macro_rules! one_stream {
    ($name:ident, $format:expr) => {
        impl<R: Read> $name<R> {
            /// An encoder of what `inner` reads.
            ///
            /// # Errors
            /// [`Error::Session`] if there is no such level, [`Error::UnsupportedAlgorithm`] if nothing offers the format.
            pub fn new(runtime: &Runtime, inner: R, level: impl Into<Level>) -> Result<Self, Error> {
                Ok(Self { inner, core: Encoder::one_stream(runtime, $format, level.into())? })
            }
        }
    };
}

one_stream!(ZlibEncoder, Format::Zlib);
one_stream!(DeflateEncoder, Format::Deflate);

decoder! {
    /// Reads gzip, gives the text of the first member.
    ///
    /// A device that has [streams](uaccel_runtime::Stream) decodes members as they come, however long they are; if it fails in the middle of one it is waited for, and if it does not come back, that is an error.
    /// On another device a member that the inner reader has at hand (2 MiB, text included) is one job. Longer ones, and those that come slowly, are decoded by the CPU as they come,
    /// and counted as fallbacks.
    GzDecoder, Format::Gzip, multi: false
}

decoder! {
    /// Reads gzip, gives the text of all members. As [`GzDecoder`] otherwise.
    ///
    /// Zeros behind the last member are ignored, as `gzip -d` does; anything else that is not a member is an error.
    MultiGzDecoder, Format::Gzip, multi: true
}

decoder! {
    /// Reads one zlib stream, gives its text. As [`GzDecoder`] otherwise.
    ZlibDecoder, Format::Zlib, multi: false
}

decoder! {
    /// Reads one raw deflate stream, gives its text. As [`GzDecoder`] otherwise.
    DeflateDecoder, Format::Deflate, multi: false
}
