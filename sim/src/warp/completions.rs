//! The half of a Warp queue that answers.

use uaccel_queue::{FaultKind, Operation, Status};
use uaccel_warp_abi::{Answer, Completion, Descriptor, Mode};

use super::ring::Ring;
use crate::{Access, AddressSpace, Blemish, Flush, MemoryPort, Nop, Work, WorkItem};

/// How many completions are written in one go: two cache lines of the completion ring.
const GROUP: usize = 8;
/// How many stand in one cache line.
const LINE: usize = 4;

/// A completion that is not published yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Where it goes. Result and control word stand side by side in either mode.
    at: u64,
    words: [u64; 2],
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
        let completion = match (item.blemish, item.outcome.fault) {
            (None, None) => counts(item),
            _ => encode(item),
        };
        let mut waiting = place(&ring, &mut self.next, item.cookie, &completion);
        if item.blemish == Some(Blemish::UnknownStatus) {
            let [_, control] = &mut waiting.words;
            *control |= 0xff << 32;
        }
        self.waiting.push(waiting);
        if self.waiting.len() >= GROUP {
            self.publish(port);
        }
    }

    /// Answers jobs that do nothing. Whatever waits goes first.
    #[inline]
    pub(super) fn pass<P: MemoryPort>(&mut self, port: &P, nops: &[Nop]) {
        let Some(ring) = self.ring else { return };
        if ring.geometry.mode() == Mode::Ring {
            // All at once: the host was the last to have each of these lines, and stores wait for them one by one.
            let begun = self.next - self.next % LINE as u64;
            for next in (begun..self.next + nops.len() as u64).step_by(LINE) {
                port.expect_write(self.space, ring.at(ring.geometry.completion(next)));
            }
        }
        // In registers for the loop, as the host's side of this has it.
        let (mut next, mut published) = (self.next, self.published);
        let mut nops = nops.iter();
        if self.waiting.is_empty() {
            for nop in nops.by_ref() {
                let Waiting { at, words } = place(&ring, &mut next, nop.cookie, &done_nothing(nop));
                // As in `publish`.
                match port.publish_record(self.space, at, words) {
                    Access::Ready(()) => published = true,
                    Access::Fault(_) => {}
                    Access::Pending(_) => {
                        self.waiting.push(Waiting { at, words });
                        break;
                    }
                }
            }
        }
        for nop in nops {
            self.waiting.push(place(&ring, &mut next, nop.cookie, &done_nothing(nop)));
        }
        (self.next, self.published) = (next, published);
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
            // The control word is last; the port's release store of it pairs with the driver's acquire load, which then sees the
            // result and the job's output.
            match port.publish_record(self.space, waiting.at, waiting.words) {
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

/// Where the next completion goes, and its words. `next` counts those of the ring.
#[inline]
fn place(ring: &Ring, next: &mut u64, cookie: u64, completion: &Completion) -> Waiting {
    // The submission's count, as far as it is known: line and phase need no more than its low bits.
    let submission = cookie >> 32;
    let geometry = ring.geometry;
    match geometry.mode() {
        Mode::Ring => {
            let words = completion.encode(geometry.phase(*next));
            let at = ring.at(geometry.completion(*next));
            *next += 1;
            Waiting { at, words }
        }
        Mode::Mailbox => {
            // The phase of the descriptor: the line stays invalid to our own fetch, which expects the other one next round.
            let [result, control] = completion.encode(geometry.phase(submission));
            let line = ring.at(geometry.submission(submission));
            Waiting { at: line + Descriptor::ANSWER as u64, words: [result, control | Completion::ANSWERED] }
        }
    }
}

/// The completion of a job that does nothing.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the low half of the cookie is the token")]
fn done_nothing(nop: &Nop) -> Completion {
    Completion {
        token: nop.cookie as u32,
        status: Status::Ok as u8,
        answer: Answer::Counts { consumed: 0, produced: 0 },
    }
}

/// The completion that tells how a job ended.
#[cold]
fn encode(item: &WorkItem) -> Completion {
    let mut completion = counts(item);
    if let Some(fault) = item.outcome.fault {
        completion.answer = match fault.kind {
            FaultKind::Write => Answer::WriteFault(fault.address),
            _ => Answer::ReadFault(fault.address),
        };
    }
    match item.blemish {
        None | Some(Blemish::UnknownStatus) => completion,
        Some(Blemish::WrongToken) => Completion { token: !completion.token, ..completion },
        Some(Blemish::ImpossibleLengths) => {
            Completion { answer: Answer::Counts { consumed: u32::MAX, produced: u32::MAX }, ..completion }
        }
    }
}

/// The completion of a job that came to no bad address.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the low half of the cookie is the token")]
fn counts(item: &WorkItem) -> Completion {
    let outcome = &item.outcome;
    let is_checksum = matches!(item.work, Work::Plain(Operation::Crc32 | Operation::Crc32c));
    // Lengths have 32 bits, as those of the descriptor. Only a room that would be needed can be more; 0 says that it is not known.
    let narrow = |count| u32::try_from(count).unwrap_or(0);
    let answer = Answer::Counts {
        consumed: narrow(outcome.consumed),
        produced: if is_checksum { outcome.checksum } else { narrow(outcome.produced) },
    };
    Completion { token: item.cookie as u32, status: outcome.status as u8, answer }
}
