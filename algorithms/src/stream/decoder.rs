//! Decoding of what comes in pieces: as a stream of the device, if it has such. Else a stream that is all there is one job, and the others are done by the CPU.

use uaccel_runtime::{Direction, Error, Operation, Runtime, Session, SessionSpec, Work};
use uaccel_units::stream::State;

use super::output::Output;
use crate::Format;
use crate::detour::max_transfer;
use crate::growth::{Growth, Source};
use crate::member::written;
use crate::passage::{self, Passage};

/// The most packed bytes, and the most text, that one job of a decoder has, where what is longer can be gone on with. Enough for members that the encoder makes.
const KEPT: usize = 2 << 20;

/// The first size of the buffer.
const PIECE: usize = 64 << 10;

/// Takes packed bytes in pieces, gives text in pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    runtime: Runtime,
    session: Session,
    format: Format,
    /// Whether gzip goes on with the next member.
    multi: bool,
    stage: Stage,
    /// The stream that is on its way, or one that can be started again.
    passage: Option<Passage>,
    input: Vec<u8>,
    /// Where in `input` the bytes are that were not used yet.
    used: usize,
    filled: usize,
    /// There is nothing behind `input`.
    ended: bool,
    /// More input may be waited for, because the source has always had as much as was asked for.
    plenty: bool,
    /// The stream that is on its way has used all input, and has nothing more to give.
    dry: bool,
    /// Bytes of a stream that were seen not to be all of it.
    not_enough: usize,
    most_kept: usize,
    output: Output,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// At the start of a stream.
    Start,
    /// In a stream that goes piece by piece.
    Inside,
    /// Behind a member, where another one may follow.
    Behind,
    /// Behind the last byte of interest.
    End,
}

/// What a decoder needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// That its output be fetched.
    Fetch,
    /// More input.
    Input,
    /// Nothing.
    Done,
}

impl Decoder {
    pub(crate) fn new(runtime: &Runtime, format: Format, multi: bool) -> Result<Self, Error> {
        let session = runtime.session(SessionSpec::compression(format.algorithm(), Direction::Inverse, None)?)?;
        let limit = max_transfer(runtime).max(1);
        Ok(Self {
            most_kept: if passage::possible(runtime, session.spec()) { limit.min(KEPT) } else { limit },
            runtime: runtime.clone(),
            session,
            format,
            multi,
            stage: Stage::Start,
            passage: None,
            input: Vec::new(),
            used: 0,
            filled: 0,
            ended: false,
            plenty: true,
            dry: false,
            not_enough: 0,
            output: Output::default(),
        })
    }

    /// Text that was not fetched.
    pub(crate) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// Whether the end of the stream was reached.
    pub(crate) fn is_at_end(&self) -> bool {
        matches!(self.stage, Stage::End)
    }

    /// Room for input; empty if the decoder has to [`step`](Self::step) first.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.input.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        if self.filled == self.input.len() {
            let len = self.input.len().saturating_mul(2).clamp(PIECE.min(self.most_kept), self.most_kept);
            self.input.resize(len, 0);
        }
        &mut self.input[self.filled..]
    }

    /// The first `len` bytes of the room were filled. Less than the room means that no more is there at the moment, nothing that no more will come.
    pub(crate) fn fill(&mut self, len: usize) {
        self.plenty = self.filled + len == self.input.len();
        self.ended = len == 0;
        self.filled += len;
    }

    /// Takes some of `bytes`, and says how much.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.filled += len;
        len
    }

    /// Makes do with what it has: no more is there at the moment.
    pub(crate) fn make_do(&mut self) {
        self.plenty = false;
    }

    /// No input will follow.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Goes on until there is output, or input is needed.
    ///
    /// # Errors
    /// [`Error::Truncated`] only after the [`end`](Self::end).
    pub(crate) fn step(&mut self) -> Result<Next, Error> {
        while self.output.front().is_empty() {
            match self.stage {
                Stage::End => return Ok(Next::Done),
                Stage::Behind => {
                    // Zeros are what tapes and block devices leave behind a file.
                    let zeros = self.input[self.used..self.filled].iter().take_while(|byte| **byte == 0).count();
                    self.used += zeros;
                    if self.used < self.filled {
                        self.stage = Stage::Start;
                    } else if self.ended {
                        self.stage = Stage::End;
                    } else {
                        return Ok(Next::Input);
                    }
                }
                Stage::Start => {
                    if !self.start()? {
                        return Ok(Next::Input);
                    }
                }
                Stage::Inside => {
                    if !self.go_on()? {
                        return Ok(Next::Input);
                    }
                }
            }
        }
        Ok(Next::Fetch)
    }

    /// In a stream. `false` if it needs more input.
    fn go_on(&mut self) -> Result<bool, Error> {
        let Some(passage) = &mut self.passage else {
            self.stage = Stage::Start;
            return Ok(true);
        };
        let input = &self.input[self.used..self.filled];
        // Where more is not to be had at once it is asked again, with nothing: some devices keep what they could give.
        if self.dry && input.is_empty() && self.plenty && !self.ended {
            return Ok(false);
        }
        let mut piece = self.output.spare();
        piece.resize(passage.room(input.len()), 0);
        let step = passage.process(input, &mut piece, self.ended)?;
        self.used += step.consumed;
        self.output.push(piece, step.produced);
        self.dry = step.state == State::More;
        match step.state {
            State::End => {
                if !passage.restart() {
                    self.passage = None;
                }
                self.stage = self.behind();
            }
            // Nothing was used of all that is ever kept.
            State::More if step.produced == 0 && self.filled - self.used == self.most_kept => {
                let (operation, len) = (Operation::Decompress, (self.most_kept as u64).saturating_add(1));
                return Err(Error::TooLarge { operation, len, limit: self.most_kept as u64 });
            }
            // Where there is nothing more to wait for it is asked until it has given all.
            State::More if step.produced == 0 => return Ok(self.ended),
            _ => {}
        }
        Ok(true)
    }

    /// At the start of a stream: piece by piece if the device has that, one job if all of it is there, else over to the CPU. `false` if there is too little to decide.
    fn start(&mut self) -> Result<bool, Error> {
        let have = self.filled - self.used;
        let full = have == self.most_kept;
        let may_leave = passage::possible(&self.runtime, self.session.spec());
        if !self.ended && !full {
            // A source that has always had more is asked before a job that could end for want of it.
            let wait = self.plenty || !may_leave && have < self.not_enough.saturating_mul(2);
            if have == 0 || wait {
                return Ok(false);
            }
        }
        if have != 0 && passage::on_device(&self.runtime, self.session.spec(), have as u64) {
            return self.enter(have as u64);
        }
        match self.try_job() {
            Ok(()) => return Ok(true),
            Err(Error::Truncated(_)) if !self.ended && !full && !may_leave => {
                self.not_enough = have;
                return Ok(false);
            }
            Err(Error::Truncated(_)) if !self.ended => {}
            Err(Error::OutputTooSmall { .. }) => {}
            Err(error) => return Err(error),
        }
        // As packed bytes or as text, it is more than fits.
        self.enter((self.most_kept as u64).saturating_add(1))
    }

    /// Goes on piece by piece with a stream of at least `len` bytes.
    fn enter(&mut self, len: u64) -> Result<bool, Error> {
        if self.passage.is_none() {
            self.passage = Some(Passage::begin(&self.runtime, self.session.spec(), len)?);
        }
        self.stage = Stage::Inside;
        Ok(true)
    }

    /// Decodes what is there as one stream.
    fn try_job(&mut self) -> Result<(), Error> {
        let source = &self.input[self.used..self.filled];
        let mut growth = Growth::new(self.format, Source::Beginning(source), self.most_kept, self.most_kept);
        let mut piece = self.output.spare();
        loop {
            piece.resize(growth.room(), 0);
            match self.runtime.run(Work::session(&self.session, source, &mut piece)) {
                Ok(outcome) => {
                    self.output.push(piece, written(&outcome));
                    let consumed = usize::try_from(outcome.consumed).unwrap_or(usize::MAX);
                    self.used = self.used.saturating_add(consumed).min(self.filled);
                    self.not_enough = 0;
                    self.stage = self.behind();
                    return Ok(());
                }
                Err(Error::OutputTooSmall { needed, .. }) if growth.grow(needed) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn behind(&self) -> Stage {
        if self.multi { Stage::Behind } else { Stage::End }
    }
}
