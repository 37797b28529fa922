//! Decompression in pieces.

use core::fmt;

use uaccel_queue::{Operation, SessionSpec};
use zlib_rs::{Inflate, InflateError, InflateFlush, Status as Progress};

use super::{State, Step, StreamError};
use crate::UnitError;
use crate::deflate::{Format, WINDOW_BITS, clamp};

/// Decompresses an input that comes in pieces: raw deflate (RFC 1951), zlib (RFC 1950), or one gzip member (RFC 1952).
///
/// It stops at the end of the one stream or member; for the next member, [`reset`](Self::reset) it and go on with the rest of the
/// input.
pub struct InflateStream {
    engine: Box<Inflate>,
    format: Format,
    ended: bool,
    failed: Option<StreamError>,
}

impl InflateStream {
    /// A stream at its beginning. Allocates about 50 KiB.
    ///
    /// # Errors
    /// [`UnitError::Unsupported`] unless the session decompresses one of the three formats.
    pub fn new(spec: &SessionSpec) -> Result<Self, UnitError> {
        let format = Format::of(spec.algorithm())
            .filter(|_| spec.operation() == Operation::Decompress)
            .ok_or(UnitError::Unsupported(spec.algorithm()))?;
        Ok(Self { engine: Box::new(engine(format)), format, ended: false, failed: None })
    }

    /// Takes the next piece of the input, and writes what it decodes to, as far as there is room.
    ///
    /// `finish` says that nothing comes after `input`.
    ///
    /// # Errors
    /// [`StreamError::Corrupt`]; [`StreamError::Truncated`] if `finish` is set and the stream is not at its end though all input is used
    /// and there is room left; [`StreamError::NoMemory`]. What earlier calls wrote stands, but of a stream that turned out corrupt
    /// nothing is to be relied on.
    pub fn process(&mut self, input: &[u8], output: &mut [u8], finish: bool) -> Result<Step, StreamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (mut consumed, mut produced) = (0, 0);
        while !self.ended {
            let before = (self.engine.total_in(), self.engine.total_out());
            let (rest, room) = (&input[consumed..], &mut output[produced..]);
            let (have, space) = (rest.len(), room.len());
            let progress =
                self.engine.decompress(rest, room, InflateFlush::NoFlush).map_err(|error| self.fail(error))?;
            let used = clamp(self.engine.total_in() - before.0, have);
            let made = clamp(self.engine.total_out() - before.1, space);
            consumed += used;
            produced += made;
            match progress {
                Progress::StreamEnd => self.ended = true,
                Progress::Ok | Progress::BufError if used != 0 || made != 0 => {}
                Progress::Ok | Progress::BufError => break,
            }
        }
        let state = if self.ended {
            State::End
        } else if produced == output.len() {
            State::NeedOutput
        } else if finish {
            return Err(*self.failed.insert(StreamError::Truncated));
        } else {
            State::More
        };
        Ok(Step { consumed, produced, state })
    }

    /// Back to the beginning, with the same format. Allocates for gzip only.
    pub fn reset(&mut self) {
        match self.format {
            Format::Raw => self.engine.reset(false),
            Format::Zlib => self.engine.reset(true),
            // The library's reset knows of two formats.
            Format::Gzip => *self.engine = engine(self.format),
        }
        self.ended = false;
        self.failed = None;
    }

    fn fail(&mut self, error: InflateError) -> StreamError {
        let error = match error {
            InflateError::MemError => StreamError::NoMemory,
            InflateError::NeedDict { .. } | InflateError::StreamError | InflateError::DataError => StreamError::Corrupt,
        };
        *self.failed.insert(error)
    }
}

fn engine(format: Format) -> Inflate {
    match format {
        Format::Raw => Inflate::new(false, WINDOW_BITS),
        Format::Zlib => Inflate::new(true, WINDOW_BITS),
        // zlib's way to ask for a gzip wrapper is a window sixteen bits larger than there is.
        Format::Gzip => Inflate::new(true, WINDOW_BITS + 16),
    }
}

impl fmt::Debug for InflateStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InflateStream")
            .field("format", &self.format)
            .field("total_in", &self.engine.total_in())
            .field("total_out", &self.engine.total_out())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
