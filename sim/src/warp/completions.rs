//! The half of a Warp queue that answers.

use uaccel_queue::{FaultKind, Operation, Outcome};
use uaccel_warp_abi::{Answer, Completion, Descriptor, Mode};

use super::ring::Ring;
use crate::{Access, AddressSpace, Blemish, Flush, MemoryPort, Work, WorkItem};

/// How many completions are written in one go: two cache lines of the completion ring.
const GROUP: usize = 8;

/// A completion that is not published yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    result_at: u64,
    control_at: u64,
    result: u64,
    control: u64,
}

/// The half of a Warp queue that answers: the producer of the completion ring.
#[derive(Debug)]
pub struct Completions {
    pub(super) space: AddressSpace,
    pub(super) ring: Option<Ring>,
    /// How many completions the ring has had since the queue was started.
    next: u64,
    waiting: Vec<Waiting>,
    /// Whether something was published since the host last asked.
    published: bool,
    /// The value of the arm register when the last signal was given.
    pub(super) armed: u64,
}

impl Completions {
    pub(super) fn new(space: AddressSpace) -> Self {
        Self { space, ring: None, next: 0, waiting: Vec::with_capacity(2 * GROUP), published: false, armed: 0 }
    }

    pub(super) fn start(&mut self, ring: Ring, armed: u64) {
        *self = Self { ring: Some(ring), armed, ..Self::new(self.space) };
    }

    #[inline]
    pub(super) fn complete<P: MemoryPort>(&mut self, port: &P, item: &WorkItem) {
        let Some(ring) = self.ring else { return };
        let completion = encode(item);
        // The submission's count, as far as it is known: line and phase need no more than its low bits.
        let submission = item.cookie >> 32;
        let geometry = ring.geometry;
        let waiting = match geometry.mode() {
            Mode::Ring => {
                let [result, control] = completion.encode(geometry.phase(self.next));
                let at = ring.at(geometry.completion(self.next));
                self.next += 1;
                Waiting { result_at: at, control_at: at + Completion::CONTROL as u64, result, control }
            }
            Mode::Mailbox => {
                // The phase of the descriptor: the line stays invalid to our own fetch, which expects the other one next round.
                let [result, control] = completion.encode(geometry.phase(submission));
                let line = ring.at(geometry.submission(submission));
                Waiting {
                    result_at: line + Descriptor::ANSWER as u64,
                    control_at: line + Descriptor::CONTROL as u64,
                    result,
                    control: control | Completion::ANSWERED,
                }
            }
        };
        let mut waiting = waiting;
        if item.blemish == Some(Blemish::UnknownStatus) {
            waiting.control |= 0xff << 32;
        }
        self.waiting.push(waiting);
        if self.waiting.len() >= GROUP {
            self.publish(port);
        }
    }

    #[inline]
    pub(super) fn flush<P: MemoryPort>(&mut self, port: &P) -> Flush {
        let blocked = self.publish(port);
        Flush { published: core::mem::take(&mut self.published), blocked }
    }

    /// Writes what waits, in order, until a page is not there.
    #[inline]
    fn publish<P: MemoryPort>(&mut self, port: &P) -> Option<crate::PageRequest> {
        let mut blocked = None;
        let mut done = 0;
        for waiting in &self.waiting {
            let written = match port.put(self.space, waiting.result_at, waiting.result) {
                // Release, pairs with the driver's acquire load of the control word, which then sees the result and the job's output.
                Access::Ready(()) => port.publish(self.space, waiting.control_at, waiting.control),
                unwritten => unwritten,
            };
            match written {
                Access::Ready(()) => self.published = true,
                // The ring is gone, and with it whoever would read the answer.
                Access::Fault(_) => {}
                Access::Pending(request) => {
                    blocked = Some(request);
                    break;
                }
            }
            done += 1;
        }
        if done == self.waiting.len() {
            self.waiting.clear();
        } else {
            self.waiting.drain(..done);
        }
        blocked
    }
}

/// The completion that tells how a job ended.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the low half of the cookie is the token")]
fn encode(item: &WorkItem) -> Completion {
    let token = item.cookie as u32;
    let outcome = &item.outcome;
    let answer = match outcome.fault {
        None => counts(item, outcome),
        Some(fault) if fault.kind == FaultKind::Write => Answer::WriteFault(fault.address),
        Some(fault) => Answer::ReadFault(fault.address),
    };
    let completion = Completion { token, status: outcome.status as u8, answer };
    match item.blemish {
        None | Some(Blemish::UnknownStatus) => completion,
        Some(Blemish::WrongToken) => Completion { token: !token, ..completion },
        Some(Blemish::ImpossibleLengths) => {
            Completion { answer: Answer::Counts { consumed: u32::MAX, produced: u32::MAX }, ..completion }
        }
    }
}

#[inline]
fn counts(item: &WorkItem, outcome: &Outcome) -> Answer {
    let is_checksum = matches!(item.work, Work::Plain(Operation::Crc32 | Operation::Crc32c));
    // Lengths have 32 bits, as those of the descriptor. Only a room that would be needed can be more; 0 says that it is not known.
    let narrow = |count| u32::try_from(count).unwrap_or(0);
    Answer::Counts {
        consumed: narrow(outcome.consumed),
        produced: if is_checksum { outcome.checksum } else { narrow(outcome.produced) },
    }
}
