//! The half that reads completions.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use uaccel_queue::{Completer, DeviceError, Done, Job, Outcome, Region, Token};
use uaccel_warp_abi::{Completion, Descriptor, Geometry, Mode, State, user_page};

use super::commands::{Commands, Purpose};
use super::driver::Shared;
use super::{answer, sessions};

/// How many completions stand in one cache line.
const LINE: u64 = 4;
/// How far ahead of the completion that is read lines are asked for: where there is one there are more, as devices publish them in groups of eight.
const AHEAD: u64 = 8;

#[derive(Debug)]
pub(super) struct WarpCompleter {
    shared: Arc<Shared>,
    registers: Region,
    /// Ring mode: completions read. Mailbox mode: the oldest submission whose answer was not taken.
    next: u64,
    /// How often a signal was demanded.
    armed: u64,
}

impl WarpCompleter {
    pub(super) fn new(shared: Arc<Shared>, registers: Region) -> Self {
        Self { shared, registers, next: 0, armed: 0 }
    }

    /// Takes the answers that are there and says how many, those to commands included.
    #[inline]
    fn drain(&mut self, done: &mut Done<'_>) -> Result<usize, DeviceError> {
        match self.shared.geometry.mode() {
            Mode::Ring => self.drain_ring(done),
            Mode::Mailbox => self.drain_lines(done),
        }
    }

    #[inline]
    fn drain_ring(&mut self, done: &mut Done<'_>) -> Result<usize, DeviceError> {
        let Shared { memory, geometry, .. } = &*self.shared;
        // In registers for the loop: beside the stores to the table they would be loaded again for every answer.
        let (geometry, first) = (*geometry, self.next);
        let ring = memory.records::<2>(geometry.completion(0), geometry.entries());
        let mut index = first;
        let mut answers = || {
            let [result, control] = &ring[geometry.place(index)];
            // Acquire: pairs with the device's release store of the control word (§4.1): the result word and all the
            // device wrote for the job are visible.
            let control = control.load(Ordering::Acquire);
            if (control & Descriptor::PHASE != 0) != geometry.phase(index) {
                return None;
            }
            if index.is_multiple_of(LINE) {
                memory.expect_read(geometry.completion(index + AHEAD));
            }
            index += 1;
            // Relaxed: ordered by the acquire above.
            Some((Token::from_raw(Completion::token_of(control)), (result.load(Ordering::Relaxed), control)))
        };
        let mut settled = Ok(());
        while settled.is_ok()
            && let Some((_, (result, control))) = done.complete_plain(&mut answers, plain)
        {
            settled = settle(&self.shared, result, control, done);
        }
        self.next = index;
        #[allow(clippy::cast_possible_truncation, reason = "no more than the ring has entries")]
        settled.map(|()| (index - first) as usize)
    }

    #[inline]
    fn drain_lines(&mut self, done: &mut Done<'_>) -> Result<usize, DeviceError> {
        let Shared { memory, geometry, lines, .. } = &*self.shared;
        let (mut taken, mut wrong) = (0, None);
        // Beyond `next` some were taken already, and their lines may hold later submissions by now, which have numbers of
        // their own further on.
        let (submitted, oldest) = (lines.submitted(), &mut self.next);
        let mut index = *oldest;
        let mut answers = || {
            while index < submitted {
                let this = index;
                index += 1;
                if let Some(token) = lines.waiting(this) {
                    let [.., result, control] = memory.record::<8>(geometry.submission(this));
                    // Acquire: as in ring mode.
                    let control = control.load(Ordering::Acquire);
                    // The answer has the phase of its descriptor. What the line held before has the other one: an answer of
                    // the last round is not taken for one of this.
                    let answered = control & Completion::ANSWERED != 0
                        && (control & Descriptor::PHASE != 0) == geometry.phase(this);
                    if !answered {
                        continue;
                    }
                    if Completion::token_of(control) != token.raw() {
                        wrong = Some(Token::from_raw(Completion::token_of(control)));
                        return None;
                    }
                    // Relaxed: ordered by the acquire above.
                    let result = result.load(Ordering::Relaxed);
                    lines.take(this);
                    taken += 1;
                    if *oldest == this {
                        *oldest += 1;
                    }
                    return Some((token, (result, control)));
                }
                if *oldest == this {
                    *oldest += 1;
                }
            }
            None
        };
        while let Some((_, (result, control))) = done.complete_plain(&mut answers, plain) {
            settle(&self.shared, result, control, done)?;
        }
        match wrong {
            None => Ok(taken),
            Some(token) => Err(DeviceError::UnknownToken(token)),
        }
    }

    /// What the state word says, if that is the end of the queue.
    #[cold]
    fn ended(&self) -> Option<DeviceError> {
        // Acquire: pairs with the device's release store: completions it published before it stopped are visible after
        // this.
        match State::decode(self.shared.memory.observe(Geometry::STATE)) {
            State::Ready => None,
            State::Off | State::Stopped => Some(DeviceError::Stopped(0)),
            State::Failed(reason) => Some(DeviceError::Stopped(reason)),
        }
    }
}

/// The outcome of an answer that tells of success, as nearly all do.
#[inline]
fn plain((result, control): (u64, u64), job: &Job) -> Option<Outcome> {
    answer::success(result, control, job)
}

/// Passes on the answer to a job, whatever it is, or does what the answer to a command entails.
#[cold]
fn settle(shared: &Shared, result: u64, control: u64, done: &mut Done<'_>) -> Result<(), DeviceError> {
    let token = Token::from_raw(Completion::token_of(control));
    if Commands::owns(token) {
        return settle_command(shared, token);
    }
    let found = done.find(token)?;
    let outcome = answer::outcome(&Completion::decode(result, control), found.job())?;
    found.complete(outcome)
}

fn settle_command(shared: &Shared, token: Token) -> Result<(), DeviceError> {
    // The status is of no use here: a refused session answers its jobs with `BadSession`, a cancelled job answers for
    // itself.
    if let Purpose::Open(id) = shared.commands.find(token)? {
        sessions::wipe(&shared.memory, shared.geometry, id);
    }
    shared.commands.settle(token);
    Ok(())
}

// SAFETY: a job is only completed on an answer the device published, which the specification puts after its last access
// (§3.4).
unsafe impl Completer for WarpCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        if self.drain(done)? > 0 || done.room() == 0 {
            return Ok(());
        }
        // Nothing there: the only time when it is worth asking whether anything can still come. Acquire: as in `ended`.
        if self.shared.memory.observe(Geometry::STATE) == State::Ready.encode() {
            return Ok(());
        }
        let Some(error) = self.ended() else {
            return Ok(());
        };
        // Answers may have come between the look at the ring and the look at the state. The next poll will report the
        // error.
        if self.drain(done)? > 0 { Ok(()) } else { Err(error.into()) }
    }

    fn arm(&mut self) {
        self.armed = self.armed.wrapping_add(1);
        self.registers.write(user_page::ARM, self.armed);
        // Pairs with the device's fence between publishing a completion and reading the register (§4.3): either it sees
        // the new count and signals, or the poll that follows sees the completion.
        fence(Ordering::SeqCst);
    }
}
