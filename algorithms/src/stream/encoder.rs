//! Either way to encode.

use std::io::{self, Read};

use uaccel_runtime::{Error, Runtime};

use super::members::Members;
use super::one_stream::OneStream;
use super::output::Output;
use super::to_io;
use crate::{Format, Level};

/// Takes text in pieces, gives packed bytes in pieces.
#[derive(Debug)]
pub(crate) struct Encoder {
    kind: Kind,
    output: Output,
    /// Nothing is taken any more: the device may have been told that there is none.
    ending: bool,
    /// Everything was taken, and all of it is in the output.
    finished: bool,
}

#[derive(Debug)]
enum Kind {
    Members(Members),
    OneStream(OneStream),
}

impl Encoder {
    /// Gzip in members of at most `chunk` bytes of text each.
    pub(crate) fn members(runtime: &Runtime, level: Level, chunk: usize) -> Result<Self, Error> {
        Members::new(runtime, level, chunk).map(|members| Self::new(Kind::Members(members)))
    }

    /// One stream of the format.
    pub(crate) fn one_stream(runtime: &Runtime, format: Format, level: Level) -> Result<Self, Error> {
        OneStream::new(runtime, format, level).map(|stream| Self::new(Kind::OneStream(stream)))
    }

    fn new(kind: Kind) -> Self {
        Self { kind, output: Output::default(), ending: false, finished: false }
    }

    /// Keeps to a window from here on.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is too late for that.
    pub(crate) fn keep_to(&mut self, window: u32) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Members(members) => members.keep_to(window),
            Kind::OneStream(stream) => stream.keep_to(window),
        }
    }

    /// What is packed and was not fetched.
    pub(crate) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Whether its [end](Self::finish) was asked for, whatever has come of it.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Takes some of `text`, and says how much: at least one byte, unless `text` is empty.
    pub(crate) fn take(&mut self, text: &[u8]) -> Result<usize, Error> {
        match &mut self.kind {
            Kind::Members(members) => members.take(text, &mut self.output),
            Kind::OneStream(stream) => stream.take(text, &mut self.output),
        }
    }

    /// Puts into the output whatever can be there without an end of the stream.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Members(members) => members.flush(&mut self.output),
            Kind::OneStream(_) => Ok(()),
        }
    }

    /// There is no more text, and none is to be given any more. After an error it can be called again; once all went well, further calls change nothing.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.ending = true;
        if !self.finished {
            match &mut self.kind {
                Kind::Members(members) => members.finish(&mut self.output)?,
                Kind::OneStream(stream) => stream.finish(&mut self.output)?,
            }
            self.finished = true;
        }
        Ok(())
    }

    /// Takes text from `reader` until there is output, or nothing is left.
    pub(crate) fn take_from(&mut self, reader: &mut impl Read) -> io::Result<()> {
        while self.output.front().is_empty() && !self.finished {
            if self.ending {
                // Of a reader that has been at its end nothing more is asked.
                self.finish().map_err(to_io)?;
                continue;
            }
            let (kept, room) = match &mut self.kind {
                Kind::Members(members) => members.kept(),
                Kind::OneStream(stream) => stream.kept(),
            };
            let before = kept.len();
            // What was read before an error stays in the buffer.
            let read = reader.by_ref().take(room as u64).read_to_end(kept)?;
            debug_assert_eq!(before + read, kept.len());
            if read < room {
                self.finish().map_err(to_io)?;
            } else {
                self.take(&[]).map_err(to_io)?;
            }
        }
        Ok(())
    }
}
