//! Compression of whole buffers.

use std::io::IoSlice;

use uaccel_runtime::{
    Error, Outcome, OwnedWork, Pieces, ReadBuf, Runtime, Session, SessionSpec, Submitted, Work, WriteBuf,
};

use crate::batch::{self, Item};
use crate::detour::{self, max_transfer};
use crate::member::{self, member_len, written};
use crate::passage::{self, Passage};
use crate::sink::{Destination, Sink, Text};
use crate::{Format, Level};

/// Compresses whole buffers to one format at one level. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::{Compressor, Format, Level};
/// use uaccel_runtime::Runtime;
///
/// let runtime = Runtime::new()?;
/// let zstd = Compressor::new(&runtime, Format::Zstd, Level::Best)?;
/// assert!(zstd.compress(&[7; 10_000])?.len() < 100);
///
/// // Many at once, the queue kept full.
/// let packed = zstd.compress_batch(&[b"one", b"two", b"three"]);
/// assert!(packed.iter().all(Result::is_ok));
/// # Ok(())
/// # }
/// ```
///
/// Texts that are larger than the device takes become several gzip members, or go piece by piece, or are done by the CPU: see the
/// [crate's page](crate#inputs-that-are-larger-than-the-device-takes).
#[derive(Clone, Debug)]
pub struct Compressor {
    runtime: Runtime,
    session: Session,
    format: Format,
    /// Gzip only: the text of one member at most.
    member_len: usize,
}

impl Compressor {
    /// A compressor.
    ///
    /// # Errors
    /// [`Error::Session`] if the format has no such level, [`Error::UnsupportedAlgorithm`] if nothing offers the format.
    pub fn new(runtime: &Runtime, format: Format, level: impl Into<Level>) -> Result<Self, Error> {
        let session = runtime.session(level.into().session(format)?)?;
        let member_len = if format == Format::Gzip { member_len(runtime) } else { usize::MAX };
        Ok(Self { runtime: runtime.clone(), session, format, member_len })
    }

    /// The same with a window of so many bytes: nothing in what it packs refers farther back, so that a decompressor can make do with a history of that length. Of deflate, zlib and gzip, from 512 to
    /// 32 768; a smaller window packs less. The header of zlib tells of it.
    ///
    /// ```
    /// # fn main() -> Result<(), uaccel_algorithms::Error> {
    /// # use uaccel_algorithms::{Compressor, Format, Level};
    /// # let runtime = uaccel_runtime::Runtime::new()?;
    /// // For a decoder with little memory.
    /// let zlib = Compressor::new(&runtime, Format::Zlib, Level::Best)?.with_window(4096)?;
    /// let packed = zlib.compress(&[7; 10_000])?;
    /// assert_eq!(256 << (packed[0] >> 4), 4096);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Devices have windows in steps, and take the next smaller one. What a device does not keep to is done by the CPU, as the policy says.
    ///
    /// # Errors
    /// [`Error::Session`] if the format has no such window, [`Error::UnsupportedWindow`] if nothing keeps to it.
    pub fn with_window(self, window: u32) -> Result<Self, Error> {
        let session = self.runtime.session(self.spec().clone().with_window(window)?)?;
        Ok(Self { session, ..self })
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The level, as a number of the format's scale; 0 where it has none.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.session.spec().level()
    }

    /// The window, in bytes, if it was [chosen](Self::with_window).
    #[must_use]
    pub fn window(&self) -> Option<u32> {
        self.spec().window()
    }

    pub(crate) fn spec(&self) -> &SessionSpec {
        self.session.spec()
    }

    /// The room that is enough for any text of `len` bytes. `None` if that is more than there are addresses.
    #[must_use]
    pub fn bound(&self, len: usize) -> Option<usize> {
        if len > self.member_len {
            return member::bound_of_all(len, self.member_len);
        }
        uaccel_units::bound(self.format.algorithm(), len as u64).and_then(|most| usize::try_from(most).ok())
    }

    /// Compresses `text`.
    ///
    /// # Errors
    /// See [`Error`]. [`Error::TooLarge`] only with [`Fallback::Never`](uaccel_runtime::Fallback::Never).
    pub fn compress(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        if text.len() > self.member_len {
            return member::compress_all(&self.runtime, &self.session, &[text], self.member_len);
        }
        if self.is_for_a_stream(text.len()) {
            let mut sink = Text::new(usize::MAX);
            if self.compress_in_pieces(text, &mut sink)? {
                return Ok(sink.into_bytes());
            }
        }
        let mut packing = Packing::new(self, text);
        let result = self.runtime.run(packing.work());
        packing.finish(result)
    }

    /// Compresses `text` into the start of `destination`, and says how much was written.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`], with a room that would surely be enough. See [`Error`] for others.
    pub fn compress_into(&self, text: &[u8], destination: &mut [u8]) -> Result<usize, Error> {
        if text.len() > self.member_len {
            return member::compress_each(&self.runtime, &self.session, text, self.member_len, destination);
        }
        let enough = || self.bound(text.len()).map(|enough| enough as u64);
        if self.is_for_a_stream(text.len()) {
            let mut sink = Destination::new(destination, enough());
            if self.compress_in_pieces(text, &mut sink)? {
                return Ok(sink.len());
            }
        }
        match self.runtime.run(Work::session(&self.session, text, destination)) {
            // Not every device says how much it is.
            Err(Error::OutputTooSmall { operation, needed: None, room }) => {
                Err(Error::OutputTooSmall { operation, needed: enough(), room })
            }
            result => result.map(|outcome| written(&outcome)),
        }
    }

    /// Compresses a text that is in pieces, as if it were in one. Where the device reads pieces, nothing is copied; else they are brought together first, which
    /// [`Counters::gathered`](uaccel_runtime::Counters::gathered) counts. So is a text that is too long for one job and goes to the device as a stream, uncounted.
    ///
    /// ```
    /// # fn main() -> Result<(), uaccel_algorithms::Error> {
    /// # use uaccel_algorithms::{Compressor, Format, Level};
    /// use std::io::IoSlice;
    ///
    /// # let runtime = uaccel_runtime::Runtime::new()?;
    /// let zlib = Compressor::new(&runtime, Format::Zlib, Level::Default)?;
    /// let packed = zlib.compress_vectored(&[IoSlice::new(b"to be, "), IoSlice::new(b"or not to be")])?;
    /// # assert_eq!(uaccel_algorithms::Decompressor::new(&runtime, Format::Zlib)?.decompress(&packed, 100)?, b"to be, or not to be");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`compress`](Self::compress).
    pub fn compress_vectored(&self, text: &[IoSlice<'_>]) -> Result<Vec<u8>, Error> {
        let text: Vec<&[u8]> = text.iter().map(|piece| &piece[..]).collect();
        let len = text.iter().fold(0, |len: usize, piece| len.saturating_add(piece.len()));
        if len > self.member_len {
            return member::compress_all(&self.runtime, &self.session, &text, self.member_len);
        }
        if self.is_for_a_stream(len) {
            return self.compress(&text.concat());
        }
        let mut room = vec![0; self.bound(len).unwrap_or(0)];
        loop {
            let mut pieces = Pieces::new(text.iter().copied(), [&mut room[..]]);
            let result = self.runtime.run(Work::session_in_pieces(&self.session, &mut pieces));
            match more_room(&result, room.len(), len) {
                Some(more) => room = vec![0; more],
                None => {
                    room.truncate(written(&result?));
                    return Ok(room);
                }
            }
        }
    }

    /// Compresses many texts, with the queue kept full. The results come in the order of the texts.
    ///
    /// Quicker than one call after the other where the device works beside the CPU; no slower where it is the CPU.
    #[must_use = "each text has its own result"]
    pub fn compress_batch(&self, texts: &[&[u8]]) -> Vec<Result<Vec<u8>, Error>> {
        let (small, large): (Vec<_>, Vec<_>) =
            texts.iter().enumerate().partition(|(_, text)| self.is_one_job(text.len()));
        let mut packings: Vec<_> = small.iter().map(|(_, text)| Packing::new(self, text)).collect();
        let answers = batch::run_all(&self.runtime, &mut packings);
        let finished = packings.into_iter().zip(answers).map(|(packing, answer)| packing.finish(answer));
        let mut finished: Vec<_> = small.iter().map(|(index, _)| *index).zip(finished).collect();
        // A large text fills the queue by itself, or goes bit by bit.
        finished.extend(large.iter().map(|(index, text)| (*index, self.compress(text))));
        finished.sort_unstable_by_key(|(index, _)| *index);
        finished.into_iter().map(|(_, result)| result).collect()
    }

    /// Whether a text of this length is one job.
    fn is_one_job(&self, len: usize) -> bool {
        len <= self.member_len && !self.is_for_a_stream(len)
    }

    /// Whether the device does a text of this length as a stream, since at its worst it is more than it takes, or gives, as a job.
    fn is_for_a_stream(&self, len: usize) -> bool {
        self.format != Format::Gzip
            && self.bound(len).is_none_or(|most| most > max_transfer(&self.runtime))
            && passage::on_device(&self.runtime, self.spec(), len as u64)
    }

    /// Compresses on the device, as a stream. `false` if the device has failed, or has no room, and the policy says that the CPU may take its place.
    fn compress_in_pieces(&self, text: &[u8], sink: &mut impl Sink) -> Result<bool, Error> {
        let mut passage = Passage::begin(&self.runtime, self.spec(), text.len() as u64)?;
        match passage.all(text, sink) {
            Ok(_) => Ok(true),
            Err(error) if detour::helps(&self.runtime, &error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Submits one job that owns its buffers; they come back with the result. The room of a `Vec<u8>` is its capacity:
    /// [`bound`](Self::bound) is always enough.
    ///
    /// It is one job, so it makes one member or stream. What the device refuses at once goes to the CPU, as the policy says; what it fails at later is an error
    /// in the result, with the buffers.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use uaccel_algorithms::{Compressor, Format, Level};
    /// # let runtime = uaccel_runtime::Runtime::new()?;
    /// let gzip = Compressor::new(&runtime, Format::Gzip, Level::Fast)?;
    /// let text = vec![1u8; 5000];
    /// let room = Vec::with_capacity(gzip.bound(text.len()).unwrap());
    /// let job = gzip.submit(text, room)?;
    /// let (outcome, packed) = job.wait().into_output()?; // or `job.await`
    /// assert_eq!(outcome.produced, packed.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Rejected`](uaccel_runtime::Rejected) with the buffers. [`Error::QueueFull`] passes: await earlier jobs, then give `rejected.work` to [`Runtime::submit`].
    pub fn submit<S: ReadBuf, D: WriteBuf>(&self, text: S, room: D) -> Submitted<S, D> {
        self.runtime.submit(OwnedWork::session(&self.session, text, room))
    }
}

/// One text with the room for its packed form.
struct Packing<'a> {
    compressor: &'a Compressor,
    text: &'a [u8],
    room: Vec<u8>,
}

impl<'a> Packing<'a> {
    fn new(compressor: &'a Compressor, text: &'a [u8]) -> Self {
        // A text whose worst case has no address has no room either, and is told so.
        let room = vec![0; compressor.bound(text.len()).unwrap_or(0)];
        Self { compressor, text, room }
    }

    /// What has become of it.
    fn finish(mut self, mut result: Result<Outcome, Error>) -> Result<Vec<u8>, Error> {
        while let Some(more) = more_room(&result, self.room.len(), self.text.len()) {
            self.room = vec![0; more];
            result = self.compressor.runtime.run(self.work());
        }
        self.room.truncate(written(&result?));
        Ok(self.room)
    }
}

impl Item for Packing<'_> {
    fn work(&mut self) -> Work<'_> {
        Work::session(&self.compressor.session, self.text, &mut self.room)
    }

    fn len(&self) -> usize {
        self.text.len()
    }

    fn room(&self) -> usize {
        self.room.len()
    }
}

/// The room to try next where this much was not enough: a device may pack worse than any known compressor.
fn more_room(result: &Result<Outcome, Error>, room: usize, text: usize) -> Option<usize> {
    let grows =
        matches!(result, Err(Error::OutputTooSmall { .. })) && room < text.saturating_mul(4).saturating_add(4096);
    grows.then(|| room.saturating_mul(2).max(64))
}
