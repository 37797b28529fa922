//! Compression in pieces.

use core::fmt;

use uaccel_queue::{Operation, SessionSpec};
use zlib_rs::{Deflate, DeflateError, DeflateFlush, Status as Progress};

use super::{State, Step, StreamError};
use crate::UnitError;
use crate::deflate::{PIECE, Settings, clamp, deflate_engine};

/// Compresses an input that comes in pieces: raw deflate (RFC 1951), zlib (RFC 1950), or one gzip member (RFC 1952). It keeps to the session's
/// [window](SessionSpec::window).
///
/// ```
/// use uaccel_queue::{Algorithm, Direction, SessionSpec};
/// use uaccel_units::stream::{DeflateStream, State};
///
/// let spec = SessionSpec::compression(Algorithm::Gzip, Direction::Forward, Some(6))?;
/// let mut stream = DeflateStream::new(&spec)?;
/// let mut output = [0; 64];
/// let first = stream.process(b"one piece, ", &mut output, false)?;
/// let last = stream.process(b"another", &mut output[first.produced..], true)?;
/// assert_eq!(last.state, State::End);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DeflateStream {
    engine: Box<Deflate>,
    ended: bool,
    failed: Option<StreamError>,
}

impl DeflateStream {
    /// A stream at its beginning. Allocates about 300 KiB.
    ///
    /// # Errors
    /// [`UnitError::Unsupported`] unless the session compresses, to one of the three formats.
    pub fn new(spec: &SessionSpec) -> Result<Self, UnitError> {
        let settings = Settings::of(spec)
            .filter(|_| spec.operation() == Operation::Compress)
            .ok_or(UnitError::Unsupported(spec.algorithm()))?;
        Ok(Self { engine: Box::new(deflate_engine(settings)), ended: false, failed: None })
    }

    /// Takes the next piece of the input, and writes what is ready of the output.
    ///
    /// `finish` says that nothing comes after `input`. Once said, say it in every call until the state is [`State::End`], and add no input.
    /// Output may lag behind input by any amount until then.
    ///
    /// # Errors
    /// [`StreamError::NoMemory`]. A compressor has no other reason to fail.
    pub fn process(&mut self, input: &[u8], output: &mut [u8], finish: bool) -> Result<Step, StreamError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (mut consumed, mut produced) = (0, 0);
        while !self.ended {
            let rest = &input[consumed..];
            // zlib-rs takes less than 4 GiB at a time; only the last piece may be told that it is the last.
            let (piece, last) = rest.get(..PIECE).map_or((rest, true), |piece| (piece, false));
            let flush = if finish && last { DeflateFlush::Finish } else { DeflateFlush::NoFlush };
            let before = (self.engine.total_in(), self.engine.total_out());
            let progress =
                self.engine.compress(piece, &mut output[produced..], flush).map_err(|error| self.fail(error))?;
            let used = clamp(self.engine.total_in() - before.0, piece.len());
            let made = clamp(self.engine.total_out() - before.1, output.len() - produced);
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
        } else {
            State::More
        };
        Ok(Step { consumed, produced, state })
    }

    /// Back to the beginning, with the same format, level and window. Does not allocate.
    pub fn reset(&mut self) {
        self.engine.reset();
        self.ended = false;
        self.failed = None;
    }

    fn fail(&mut self, error: DeflateError) -> StreamError {
        let error = match error {
            DeflateError::MemError => StreamError::NoMemory,
            DeflateError::StreamError | DeflateError::DataError => StreamError::Corrupt,
        };
        *self.failed.insert(error)
    }
}

impl fmt::Debug for DeflateStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeflateStream")
            .field("total_in", &self.engine.total_in())
            .field("total_out", &self.engine.total_out())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
