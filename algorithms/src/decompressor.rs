//! Decompression of whole buffers.

use std::io::{IoSlice, IoSliceMut};

use uaccel_runtime::{
    Direction, Error, Operation, OwnedWork, Pieces, ReadBuf, Runtime, Session, SessionSpec, Submitted, Work, WriteBuf,
};

use crate::Format;
use crate::detour::{self, max_transfer};
use crate::growth::{Growth, Source};
use crate::member::written;
use crate::passage::{self, Passage};
use crate::sink::{Destination, Sink, Text};

/// The least that a job gets to read of what may be several members.
const LEAST_WINDOW: usize = 8 << 10;

/// Decompresses whole buffers of one format. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::{Compressor, Decompressor, Error, Format};
/// use uaccel_runtime::Runtime;
///
/// let runtime = Runtime::new()?;
/// let zlib = Decompressor::new(&runtime, Format::Zlib)?;
/// let packed = Compressor::new(&runtime, Format::Zlib, 6)?.compress(&[b'a'; 50])?;
/// assert_eq!(zlib.decompress(&packed, 1000)?, [b'a'; 50]);
///
/// // The limit is a promise: not one byte more, whatever the stream holds.
/// assert!(matches!(zlib.decompress(&packed, 49), Err(Error::OutputTooSmall { room: 49, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Decompressor {
    runtime: Runtime,
    session: Session,
    format: Format,
}

/// How far the decompression of one stream came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the source that the stream took; what follows is not part of it.
    pub consumed: usize,
    /// Bytes of text.
    pub produced: usize,
}

impl Decompressor {
    /// A decompressor.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`] if nothing offers the format.
    pub fn new(runtime: &Runtime, format: Format) -> Result<Self, Error> {
        let spec = SessionSpec::compression(format.algorithm(), Direction::Inverse, None)?;
        Ok(Self { runtime: runtime.clone(), session: runtime.session(spec)?, format })
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Decompresses all of `source`, to a text of at most `limit` bytes.
    ///
    /// Memory is taken as needed: to begin with, what the stream says of itself or four times its length; never more than
    /// `limit`, whatever it says.
    ///
    /// All of `source` has to be meaningful. Gzip may have several members, and Zstandard several frames, the texts of which are joined; after the last
    /// gzip member there may be zeros, as tapes and block devices leave them. Anything else that follows is [`Error::Corrupt`],
    /// as it is for flate2's `MultiGzDecoder`; `gzip -d` warns and ignores it. For streams with something behind them there is
    /// [`decompress_into`](Self::decompress_into).
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Truncated`] (also for an empty source), [`Error::OutputTooSmall`] if the text is longer than `limit`. See [`Error`] for others.
    pub fn decompress(&self, source: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
        let mut text = Text::new(limit);
        let mut rest = source;
        let mut window = usize::MAX;
        loop {
            let used = self.decompress_one(rest, window, &mut text)?;
            rest = &rest[used..];
            // The next member is probably not much longer than this one: a device that takes a copy should not copy all that follows.
            window = used.saturating_mul(2).max(LEAST_WINDOW);
            if rest.is_empty() || self.format == Format::Gzip && rest.iter().all(|byte| *byte == 0) {
                return Ok(text.into_bytes());
            }
            if !matches!(self.format, Format::Gzip | Format::Zstd) {
                return Err(Error::Corrupt(Operation::Decompress));
            }
        }
    }

    /// Decompresses the one stream, member, frame or block at the start of `source` into the start of `destination`. An LZ4 block has no end mark: it is all of
    /// `source`.
    ///
    /// # Errors
    /// As [`decompress`](Self::decompress). [`Error::OutputTooSmall`] says how much is needed where the format does.
    pub fn decompress_into(&self, source: &[u8], destination: &mut [u8]) -> Result<Progress, Error> {
        if self.is_for_a_stream(source, destination) {
            let mut sink = Destination::new(destination, None);
            let consumed = self.decompress_in_pieces(source, &mut sink)?;
            return Ok(Progress { consumed, produced: sink.len() });
        }
        let window = self.window(source, usize::MAX);
        let outcome = match self.runtime.run(Work::session(&self.session, window, destination)) {
            Err(Error::Truncated(_)) if window.len() < source.len() => {
                self.runtime.run(Work::session(&self.session, source, destination))?
            }
            result => result?,
        };
        Ok(Progress { consumed: consumed(outcome.consumed, source), produced: written(&outcome) })
    }

    /// Decompresses the one stream, member, frame or block at the start of what `source` has in pieces, into the start of `destination`, piece after piece. It is one job. Where the device takes pieces,
    /// nothing is copied; else they are brought together first, and the text is spread, which [`Counters::gathered`](uaccel_runtime::Counters::gathered) counts.
    ///
    /// ```
    /// # fn main() -> Result<(), uaccel_algorithms::Error> {
    /// # use uaccel_algorithms::{Compressor, Decompressor, Format, Progress};
    /// use std::io::{IoSlice, IoSliceMut};
    ///
    /// # let runtime = uaccel_runtime::Runtime::new()?;
    /// # let packed = Compressor::new(&runtime, Format::Zlib, 6)?.compress(b"to be, or not to be")?;
    /// let (mut first, mut second) = ([0; 7], [0; 100]);
    /// let (head, rest) = packed.split_at(5);
    /// let progress = Decompressor::new(&runtime, Format::Zlib)?.decompress_vectored_into(
    ///     &[IoSlice::new(head), IoSlice::new(rest)],
    ///     &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)],
    /// )?;
    /// assert_eq!(progress, Progress { consumed: packed.len(), produced: 19 });
    /// assert_eq!((&first, &second[..12]), (b"to be, ", &b"or not to be"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`decompress_into`](Self::decompress_into).
    pub fn decompress_vectored_into(
        &self,
        source: &[IoSlice<'_>],
        destination: &mut [IoSliceMut<'_>],
    ) -> Result<Progress, Error> {
        let destination = destination.iter_mut().map(|piece| &mut piece[..]);
        let mut pieces = Pieces::new(source.iter().map(|piece| &piece[..]), destination);
        let outcome = self.runtime.run(Work::session_in_pieces(&self.session, &mut pieces))?;
        let consumed = usize::try_from(outcome.consumed).unwrap_or(usize::MAX);
        Ok(Progress { consumed, produced: written(&outcome) })
    }

    /// Submits one job that owns its buffers; they come back with the result. The room of a `Vec<u8>` is its capacity.
    ///
    /// It is one job: it reads one stream, member, frame or block. What the device refuses at once goes to the CPU, as the policy says; what it
    /// fails at later is an error in the result, with the buffers.
    ///
    /// # Errors
    /// [`Rejected`](uaccel_runtime::Rejected) with the buffers. [`Error::QueueFull`] passes: await earlier jobs, then give `rejected.work` to [`Runtime::submit`].
    pub fn submit<S: ReadBuf, D: WriteBuf>(&self, source: S, room: D) -> Submitted<S, D> {
        self.runtime.submit(OwnedWork::session(&self.session, source, room))
    }

    /// Appends the text of the stream at the start of `source`, which is probably in its first `window` bytes, and says how long the stream was.
    fn decompress_one(&self, source: &[u8], window: usize, text: &mut Text) -> Result<usize, Error> {
        let mut window = self.window(source, window);
        let whole = if window.len() == source.len() { Source::Whole(window) } else { Source::Beginning(window) };
        let mut growth = Growth::new(self.format, whole, max_transfer(&self.runtime), text.left());
        // What can be done in pieces is not worth a job that cannot end well.
        while !self.streams() || growth.room() <= max_transfer(&self.runtime) {
            let room = text.room(growth.room());
            match self.runtime.run(Work::session(&self.session, window, room)) {
                Ok(outcome) => {
                    text.took(written(&outcome));
                    return Ok(consumed(outcome.consumed, source));
                }
                Err(Error::OutputTooSmall { operation, needed, .. }) => {
                    if !growth.grow(needed) {
                        let needed = needed.map(|needed| needed.saturating_add(text.len() as u64));
                        return Err(Error::OutputTooSmall { operation, needed, room: text.limit() as u64 });
                    }
                }
                Err(Error::Truncated(_)) if window.len() < source.len() => {
                    let wider = self.window(source, window.len().saturating_mul(4));
                    window = match wider.len() > window.len() {
                        true => wider,
                        false if self.streams() => break,
                        // A job that is too large, which the runtime gives to the CPU or refuses.
                        false => source,
                    };
                }
                Err(error) => return Err(error),
            }
        }
        self.decompress_in_pieces(source, text)
    }

    /// What of `source` a job gets to read: no more than a device takes. A stream ends somewhere, and need not see all that follows.
    fn window<'a>(&self, source: &'a [u8], len: usize) -> &'a [u8] {
        match self.format {
            // A block has no end mark.
            Format::Lz4Block => source,
            _ => &source[..source.len().min(len).min(max_transfer(&self.runtime))],
        }
    }

    /// Whether the format can be done in pieces.
    fn streams(&self) -> bool {
        matches!(self.format, Format::Deflate | Format::Zlib | Format::Gzip)
    }

    /// One pass over a stream that is larger than a job may be, with the room growing on the way. If the device fails for good on the way, or has no room, the CPU begins anew, as the policy says.
    fn decompress_in_pieces(&self, source: &[u8], sink: &mut impl Sink) -> Result<usize, Error> {
        let (spec, len, before) = (self.session.spec(), source.len() as u64, sink.len());
        let mut passage = Passage::begin(&self.runtime, spec, len)?;
        match passage.all(source, sink) {
            Err(error) if passage.is_on_device() && detour::helps(&self.runtime, &error) => {
                sink.rewind(before);
                Passage::on_cpu(&self.runtime, spec, len)?.all(source, sink)
            }
            result => result,
        }
    }

    /// Whether the device does as a stream what it does not take as a job.
    fn is_for_a_stream(&self, source: &[u8], destination: &[u8]) -> bool {
        source.len().max(destination.len()) > max_transfer(&self.runtime)
            && passage::on_device(&self.runtime, self.session.spec(), source.len() as u64)
    }
}

fn consumed(consumed: u64, source: &[u8]) -> usize {
    usize::try_from(consumed).unwrap_or(usize::MAX).min(source.len())
}
