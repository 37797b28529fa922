//! Adaptors that write: what is written to them arrives packed, or unpacked, at an inner writer. Names and shapes are those of flate2's `write`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::io::Write;
//!
//! use uaccel_algorithms::{Level, write};
//!
//! let runtime = uaccel_runtime::Runtime::new()?;
//! let mut encoder = write::GzEncoder::new(&runtime, Vec::new(), Level::Default)?;
//! encoder.write_all(b"some text")?;
//! let packed = encoder.finish()?;
//!
//! let mut decoder = write::MultiGzDecoder::new(&runtime, Vec::new())?;
//! decoder.write_all(&packed)?;
//! assert_eq!(decoder.finish()?, b"some text");
//! # Ok(())
//! # }
//! ```
//!
//! Dropping an adaptor finishes it, and ignores errors: call `finish`.
//!
//! # Errors
//! Broken data is [`io::ErrorKind::InvalidData`], data that ends early [`io::ErrorKind::UnexpectedEof`]; in both and in all others of
//! ours an [`Error`] is inside ([`io::Error::get_ref`]). Errors of the inner writer are passed on as they are, and nothing is lost by them: the call can be made again.

use std::io::{self, Write};

use uaccel_runtime::{Error, Runtime};

use crate::stream::{Decoder, Encoder, Next, Output, to_io};
use crate::{Format, GZIP_CHUNK, Level};

/// What stands between an adaptor and its inner writer.
trait Core {
    /// Takes some of `bytes`; none if its output has to be fetched first, or if it is done.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Error>;

    /// Whether it will never take anything again.
    fn is_done(&self) -> bool;

    /// Takes a step towards the point where all that can be written is in the output. `true` if it is there.
    fn flush(&mut self) -> Result<bool, Error>;

    /// Takes a step towards the end of the stream. `true` if it is there.
    fn finish(&mut self) -> Result<bool, Error>;

    fn output(&mut self) -> &mut Output;
}

/// A core with its inner writer, which is there until [`finish`](Self::finish) has taken it.
#[derive(Debug)]
struct Writer<W: Write, C: Core> {
    inner: Option<W>,
    core: C,
}

impl<W: Write, C: Core> Writer<W, C> {
    fn new(inner: W, core: C) -> Self {
        Self { inner: Some(inner), core }
    }

    /// Passes on what is in the output.
    fn pass_on(&mut self) -> io::Result<()> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let output = self.core.output();
        while !output.front().is_empty() {
            match inner.write(output.front()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => output.advance(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.pass_on()?;
            let taken = self.core.take(bytes).map_err(to_io)?;
            if taken != 0 || bytes.is_empty() || self.core.is_done() {
                return Ok(taken);
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        while !self.core.flush().map_err(to_io)? {
            self.pass_on()?;
        }
        self.pass_on()?;
        self.inner.as_mut().map_or(Ok(()), W::flush)
    }

    fn try_finish(&mut self) -> io::Result<()> {
        self.pass_on()?;
        while !self.core.finish().map_err(to_io)? {
            self.pass_on()?;
        }
        self.pass_on()
    }

    fn finish(mut self) -> io::Result<W> {
        self.try_finish()?;
        // Taken by nobody else: this method consumes the adaptor.
        self.inner.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn get_ref(&self) -> &W {
        self.inner.as_ref().unwrap_or_else(|| unreachable!("only `finish` takes it, and consumes the adaptor"))
    }

    fn get_mut(&mut self) -> &mut W {
        self.inner.as_mut().unwrap_or_else(|| unreachable!("only `finish` takes it, and consumes the adaptor"))
    }
}

impl<W: Write, C: Core> Drop for Writer<W, C> {
    fn drop(&mut self) {
        if self.inner.is_some() {
            // Whoever wants to know calls `finish`.
            let _ = self.try_finish();
        }
    }
}

impl Core for Encoder {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.is_ending() { Ok(0) } else { Encoder::take(self, bytes) }
    }

    fn is_done(&self) -> bool {
        self.is_ending()
    }

    fn flush(&mut self) -> Result<bool, Error> {
        Encoder::flush(self).map(|()| true)
    }

    fn finish(&mut self) -> Result<bool, Error> {
        Encoder::finish(self).map(|()| true)
    }

    fn output(&mut self) -> &mut Output {
        Encoder::output(self)
    }
}

impl Core for Decoder {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.is_at_end() || bytes.is_empty() {
            return Ok(0);
        }
        let taken = Decoder::take(self, bytes);
        if taken == 0 {
            self.step()?;
        }
        Ok(taken)
    }

    fn is_done(&self) -> bool {
        self.is_at_end()
    }

    fn flush(&mut self) -> Result<bool, Error> {
        self.make_do();
        self.step().map(|next| next != Next::Fetch)
    }

    fn finish(&mut self) -> Result<bool, Error> {
        self.end();
        self.step().map(|next| next == Next::Done)
    }

    fn output(&mut self) -> &mut Output {
        Decoder::output(self)
    }
}

macro_rules! adaptor {
    ($(#[$doc:meta])* $name:ident, $core:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<W: Write> {
            writer: Writer<W, $core>,
        }

        impl<W: Write> $name<W> {
            /// Ends the stream, passes on everything, and gives the inner writer back.
            ///
            /// # Errors
            /// Why that was not possible; the inner writer is dropped then. To keep it, call [`try_finish`](Self::try_finish) before.
            pub fn finish(self) -> io::Result<W> {
                self.writer.finish()
            }

            /// Ends the stream and passes on everything. Nothing can be written afterwards.
            ///
            /// # Errors
            /// Why that was not possible. It can be tried again if the inner writer was to blame.
            pub fn try_finish(&mut self) -> io::Result<()> {
                self.writer.try_finish()
            }

            /// The inner writer.
            pub fn get_ref(&self) -> &W {
                self.writer.get_ref()
            }

            /// The inner writer. Writing to it spoils the stream.
            pub fn get_mut(&mut self) -> &mut W {
                self.writer.get_mut()
            }
        }

        impl<W: Write> Write for $name<W> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.writer.write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.writer.flush()
            }
        }
    };
}

macro_rules! encoder {
    ($(#[$doc:meta])* $name:ident) => {
        adaptor!($(#[$doc])* $name, Encoder);

        impl<W: Write> $name<W> {
            /// The same with a window of so many bytes, as [`Compressor::with_window`](crate::Compressor::with_window) has it. To be called before any text is written.
            ///
            /// # Errors
            /// [`Error::Session`] if the format has no such window, [`Error::UnsupportedWindow`] if nothing keeps to it, [`Error::InvalidInput`] if the stream has begun. Nothing is
            /// written then.
            pub fn with_window(mut self, window: u32) -> Result<Self, Error> {
                match self.writer.core.keep_to(window) {
                    Ok(()) => Ok(self),
                    Err(error) => {
                        // Nobody asked for an end of the stream.
                        self.writer.inner = None;
                        Err(error)
                    }
                }
            }
        }
    };
}

macro_rules! one_stream {
    ($(#[$doc:meta])* $name:ident, $format:expr) => {
        encoder!($(#[$doc])* $name);

        impl<W: Write> $name<W> {
            /// An encoder to `inner`.
            ///
            /// # Errors
            /// [`Error::Session`] if there is no such level, [`Error::UnsupportedAlgorithm`] if nothing offers the format.
            pub fn new(runtime: &Runtime, inner: W, level: impl Into<Level>) -> Result<Self, Error> {
                Ok(Self { writer: Writer::new(inner, Encoder::one_stream(runtime, $format, level.into())?) })
            }
        }
    };
}

macro_rules! decoder {
    ($(#[$doc:meta])* $name:ident, $format:expr, multi: $multi:expr) => {
        adaptor!($(#[$doc])* $name, Decoder);

        impl<W: Write> $name<W> {
            /// A decoder to `inner`.
            ///
            /// # Errors
            /// [`Error::UnsupportedAlgorithm`] if nothing offers the format.
            pub fn new(runtime: &Runtime, inner: W) -> Result<Self, Error> {
                Ok(Self { writer: Writer::new(inner, Decoder::new(runtime, $format, $multi)?) })
            }
        }
    };
}

encoder! {
    /// Takes text, writes gzip.
    ///
    /// Every 1 MiB of text, or as much as the device takes, becomes a member of its own, packed while the next is written. All gzip readers join members; a few HTTP
    /// clients and flate2's `GzDecoder` stop after the first: use [`with_chunk`](Self::with_chunk) for them.
    ///
    /// [`flush`](Write::flush) ends the member, so that everything written before can be decoded; flushing often costs compression.
    GzEncoder
}

impl<W: Write> GzEncoder<W> {
    /// An encoder to `inner`.
    ///
    /// # Errors
    /// [`Error::Session`] if gzip has no such level, [`Error::UnsupportedAlgorithm`] if nothing offers it.
    pub fn new(runtime: &Runtime, inner: W, level: impl Into<Level>) -> Result<Self, Error> {
        Self::with_chunk(runtime, inner, level, GZIP_CHUNK)
    }

    /// The same with another length of a member's text. It is clamped to what the device takes; that much memory is used, four times.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_chunk(runtime: &Runtime, inner: W, level: impl Into<Level>, chunk: usize) -> Result<Self, Error> {
        Ok(Self { writer: Writer::new(inner, Encoder::members(runtime, level.into(), chunk)?) })
    }
}

one_stream! {
    /// Takes text, writes one zlib stream.
    ///
    /// Up to 4 MiB of text, or what the device takes, are one job. Longer text goes piece by piece: as a [stream](uaccel_runtime::Stream) of the device, if it has such, else on the CPU, and is counted as a fallback
    /// then. A device that fails in the middle of a stream is waited for; if it does not come back, that is an error, and the call can be made again.
    ///
    /// [`flush`](Write::flush) passes on what is packed, and no more: unlike flate2's, it does not make everything written before decodable.
    ZlibEncoder, Format::Zlib
}

one_stream! {
    /// Takes text, writes one raw deflate stream. As [`ZlibEncoder`] otherwise.
    DeflateEncoder, Format::Deflate
}

decoder! {
    /// Takes gzip, writes the text of the first member.
    ///
    /// Bytes are kept until they are 2 MiB, or [`flush`](Write::flush) or `finish` is called. A device that has [streams](uaccel_runtime::Stream) decodes what is there then, and goes on with what follows; if it fails in
    /// the middle of a member it is waited for, and if it does not come back, that is an error, and the call can be made again. On another device a member that is whole by then is one job, and others are decoded
    /// by the CPU from there on, and counted as fallbacks. Behind the end of the member nothing is taken: [`write`](Write::write) returns 0.
    GzDecoder, Format::Gzip, multi: false
}

decoder! {
    /// Takes gzip, writes the text of all members. As [`GzDecoder`] otherwise.
    ///
    /// Zeros behind the last member are ignored, as `gzip -d` does; anything else that is not a member is an error.
    MultiGzDecoder, Format::Gzip, multi: true
}

decoder! {
    /// Takes one zlib stream, writes its text. As [`GzDecoder`] otherwise.
    ZlibDecoder, Format::Zlib, multi: false
}

decoder! {
    /// Takes one raw deflate stream, writes its text. As [`GzDecoder`] otherwise.
    DeflateDecoder, Format::Deflate, multi: false
}
