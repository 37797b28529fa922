//! One zlib or deflate stream: one job if it is short, else piece by piece, by the device or the CPU.

use uaccel_runtime::{Error, Operation, Runtime};
use uaccel_units::stream::{State, Step};

use super::output::Output;
use crate::detour::max_transfer;
use crate::passage::{self, Passage};
use crate::{Compressor, Format, Level};

/// The most text that is kept for one job, where what becomes longer can be gone on with.
const KEPT: usize = 4 << 20;

/// The most text that is packed in one go.
const AT_A_TIME: usize = 1 << 20;

/// Keeps text for one job, or packs it piece by piece.
#[derive(Debug)]
pub(super) struct OneStream {
    runtime: Runtime,
    compressor: Compressor,
    most_kept: usize,
    kept: Vec<u8>,
    passage: Option<Passage>,
}

impl OneStream {
    pub(super) fn new(runtime: &Runtime, format: Format, level: Level) -> Result<Self, Error> {
        let compressor = Compressor::new(runtime, format, level)?;
        let most_kept = most_kept(runtime, &compressor);
        Ok(Self { runtime: runtime.clone(), compressor, most_kept, kept: Vec::new(), passage: None })
    }

    /// Keeps to a window, if nothing of the stream is packed yet.
    pub(super) fn keep_to(&mut self, window: u32) -> Result<(), Error> {
        if self.passage.is_some() {
            let (operation, reason) = (Operation::Compress, "the stream has begun, with another window");
            return Err(Error::InvalidInput { operation, reason });
        }
        self.compressor = self.compressor.clone().with_window(window)?;
        self.most_kept = most_kept(&self.runtime, &self.compressor);
        Ok(())
    }

    /// The buffer for text, and how much more it takes; never nothing.
    pub(super) fn kept(&mut self) -> (&mut Vec<u8>, usize) {
        // One byte more than is kept: it proves that there is more.
        let most = self.passage.as_ref().map_or(self.most_kept.saturating_add(1), Passage::piece);
        let room = most.saturating_sub(self.kept.len());
        (&mut self.kept, room)
    }

    pub(super) fn take(&mut self, text: &[u8], output: &mut Output) -> Result<usize, Error> {
        let len = self.kept.len().saturating_add(text.len());
        if self.passage.is_none() {
            if len <= self.most_kept {
                self.kept.extend_from_slice(text);
                return Ok(text.len());
            }
            self.passage = Some(Passage::begin(&self.runtime, self.compressor.spec(), len as u64)?);
        }
        let Some(passage) = &mut self.passage else { return Ok(0) };
        // A job for a few bytes costs as much as one for many.
        let is_little = passage.is_on_device() && self.kept.len().saturating_add(text.len()) < passage.piece();
        if is_little && !text.is_empty() {
            self.kept.extend_from_slice(text);
            return Ok(text.len());
        }
        // What was kept was taken: if the device fails it stays, and is gone on with by the next call.
        while !self.kept.is_empty() {
            let step = pack(passage, &self.kept, false, output)?;
            self.kept.drain(..step.consumed);
        }
        self.kept.shrink_to(passage.piece());
        if passage.is_on_device() && text.len() < passage.piece() {
            self.kept.extend_from_slice(text);
            return Ok(text.len());
        }
        // Not more at a time than is good to have in the output. What is not used was not taken.
        let text = &text[..text.len().min(AT_A_TIME)];
        while !text.is_empty() {
            let step = pack(passage, text, false, output)?;
            if step.consumed != 0 {
                return Ok(step.consumed);
            }
        }
        Ok(0)
    }

    pub(super) fn finish(&mut self, output: &mut Output) -> Result<(), Error> {
        if let Some(passage) = &mut self.passage {
            loop {
                let step = pack(passage, &self.kept, true, output)?;
                self.kept.drain(..step.consumed);
                if step.state == State::End {
                    break;
                }
            }
        } else {
            let packed = self.compressor.compress(&self.kept)?;
            let len = packed.len();
            output.push(packed, len);
        }
        self.passage = None;
        self.kept = Vec::new();
        Ok(())
    }
}

/// The most text that is one job.
fn most_kept(runtime: &Runtime, compressor: &Compressor) -> usize {
    let limit = max_transfer(runtime);
    if passage::possible(runtime, compressor.spec()) { limit.min(KEPT) } else { limit }
}

/// Packs some of `text`.
fn pack(passage: &mut Passage, text: &[u8], last: bool, output: &mut Output) -> Result<Step, Error> {
    let mut piece = output.spare();
    piece.resize(passage.room(text.len()), 0);
    let step = passage.process(text, &mut piece, last)?;
    output.push(piece, step.produced);
    Ok(step)
}
