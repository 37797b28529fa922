//! One zlib or deflate stream: one job if it is short, else the CPU, piece by piece.

use uaccel_runtime::{Error, Operation, Runtime};
use uaccel_units::stream::{DeflateStream, State};

use super::output::Output;
use crate::detour::{self, Detour, max_transfer};
use crate::{Compressor, Format, Level, inflate};

/// The most text that is kept for one job, where the CPU may go on with what becomes longer.
const KEPT: usize = 4 << 20;

/// The most text that the CPU packs in one go.
const AT_A_TIME: usize = 1 << 20;

/// The length of a piece of output.
const PIECE: usize = 64 << 10;

/// Keeps text for one job, or packs it piece by piece.
#[derive(Debug)]
pub(super) struct OneStream {
    runtime: Runtime,
    compressor: Compressor,
    most_kept: usize,
    kept: Vec<u8>,
    /// Boxed: on the CPU, if at all.
    stream: Option<Box<(DeflateStream, Detour)>>,
}

impl OneStream {
    pub(super) fn new(runtime: &Runtime, format: Format, level: Level) -> Result<Self, Error> {
        let compressor = Compressor::new(runtime, format, level)?;
        let limit = max_transfer(runtime);
        let most_kept = if detour::allowed(runtime) { limit.min(KEPT) } else { limit };
        Ok(Self { runtime: runtime.clone(), compressor, most_kept, kept: Vec::new(), stream: None })
    }

    /// Keeps to a window, if nothing of the stream is packed yet.
    pub(super) fn keep_to(&mut self, window: u32) -> Result<(), Error> {
        if self.stream.is_some() {
            let (operation, reason) = (Operation::Compress, "the stream has begun, with another window");
            return Err(Error::InvalidInput { operation, reason });
        }
        self.compressor = self.compressor.clone().with_window(window)?;
        Ok(())
    }

    /// The buffer for text, and how much more it takes; never nothing.
    pub(super) fn kept(&mut self) -> (&mut Vec<u8>, usize) {
        // One byte more than is kept: it proves that there is more.
        let most = if self.stream.is_some() { PIECE } else { self.most_kept.saturating_add(1) };
        let room = most.saturating_sub(self.kept.len());
        (&mut self.kept, room)
    }

    pub(super) fn take(&mut self, text: &[u8], output: &mut Output) -> Result<usize, Error> {
        let len = self.kept.len().saturating_add(text.len());
        if self.stream.is_none() {
            if len <= self.most_kept {
                self.kept.extend_from_slice(text);
                return Ok(text.len());
            }
            let detour = Detour::begin(&self.runtime, Operation::Compress, len as u64)?;
            self.stream = Some(Box::new((self.open()?, detour)));
        }
        if let Some(both) = &mut self.stream {
            if !self.kept.is_empty() {
                pack(both, &self.kept, false, output)?;
                self.kept.clear();
                self.kept.shrink_to(PIECE);
            }
            // Not more at a time than is good to have in the output.
            let text = &text[..text.len().min(AT_A_TIME)];
            pack(both, text, false, output)?;
            return Ok(text.len());
        }
        Ok(0)
    }

    pub(super) fn finish(&mut self, output: &mut Output) -> Result<(), Error> {
        if let Some(both) = &mut self.stream {
            pack(both, &self.kept, true, output)?;
        } else {
            let packed = self.compressor.compress(&self.kept)?;
            let len = packed.len();
            output.push(packed, len);
        }
        self.stream = None;
        self.kept = Vec::new();
        Ok(())
    }

    fn open(&self) -> Result<DeflateStream, Error> {
        let spec = self.compressor.spec();
        DeflateStream::new(spec).map_err(|cause| inflate::no_unit(&cause, spec))
    }
}

/// Packs all of `text`.
fn pack(
    (stream, detour): &mut (DeflateStream, Detour),
    text: &[u8],
    last: bool,
    output: &mut Output,
) -> Result<(), Error> {
    let mut rest = text;
    loop {
        let mut piece = output.spare();
        piece.resize(PIECE, 0);
        let step = stream.process(rest, &mut piece, last).map_err(|error| inflate::failed(&error))?;
        rest = &rest[step.consumed..];
        detour.worked_on(step.consumed);
        output.push(piece, step.produced);
        if step.state != State::NeedOutput && rest.is_empty() {
            return Ok(());
        }
    }
}
