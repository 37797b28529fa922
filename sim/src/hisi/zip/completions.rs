//! The half of a ZIP queue that answers.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::sync::Arc;

use uaccel_hisi_abi::QueueCompletion;
use uaccel_hisi_abi::zip::{COMPRESS, Carried, Ended, Results, Status as Code};
use uaccel_queue::{Outcome, Status};

use super::registers::{self, Demand};
use super::rings::Rings;
use super::stream;
use crate::hisi::qm::Position;
use crate::{Access, Blemish, Flush, MemoryPort, Opening, PageRequest, UserPage, WorkItem};

/// A status that means nothing to anybody.
const UNKNOWN: u8 = 0xff;

/// The half of a ZIP queue that answers: it brings answers in order, and is the producer of the completion ring.
#[derive(Debug)]
pub struct Completions {
    opening: Opening,
    rings: Option<Rings>,
    /// The count of the entry that is to be answered next; see [`Rings`].
    next: u64,
    /// The count of the next completion.
    tail: u64,
    /// What is known of the entries from `next` on.
    early: VecDeque<Option<Answer>>,
    /// What is to be published, in order.
    ready: VecDeque<Answer>,
    /// How many more completions there were than entries.
    extras: Arc<AtomicU64>,
    /// The demand for a signal that was answered last.
    signalled: Demand,
}

/// How an entry ended.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// The entry's count.
    entry: u64,
    /// What is written into the entry; nothing if that was done.
    results: Option<Results>,
    /// What is written into the entry besides, and of a stream's the room of its destination.
    carried: Option<(Option<u32>, Carried)>,
    /// Whether another entry is named than was done.
    misnamed: bool,
    /// How often it is told.
    times: u32,
}

impl Completions {
    pub(super) fn new(opening: Opening, extras: Arc<AtomicU64>) -> Self {
        Self {
            opening,
            rings: None,
            next: 0,
            tail: 0,
            early: VecDeque::new(),
            ready: VecDeque::new(),
            extras,
            signalled: Demand::default(),
        }
    }

    pub(super) fn start(&mut self, rings: Rings, page: &UserPage) {
        self.next = u64::from(rings.first_submission);
        self.tail = u64::from(rings.first_completion);
        self.rings = Some(rings);
        self.signalled = registers::demanded(page);
    }

    /// How far the ring is.
    pub(super) fn position(&self, page: &UserPage) -> Position {
        let Some(rings) = self.rings else { return Position::default() };
        let (head, tail) = (registers::head(page), rings.completion_place(self.tail));
        Position { head, tail, odd: !(self.tail / u64::from(rings.completions)).is_multiple_of(2) }
    }

    pub(super) fn complete(&mut self, item: &WorkItem) {
        if self.rings.is_none() {
            return;
        }
        let said = item.extra.as_deref().and_then(|extra| stream::said(extra.aftermath()));
        let said = said.filter(|_| item.outcome.status == Status::Ok);
        let answer = Answer {
            entry: item.cookie,
            results: Some(results(item, self.opening.kind, said.map(|(_, _, ended)| ended))),
            carried: said
                .map(|(room, carried, _)| (Some(room), carried))
                .or_else(|| Some((None, sums(item, self.opening.kind)?))),
            misnamed: item.blemish == Some(Blemish::WrongToken),
            times: 1,
        };
        let Some(ahead) = item.cookie.checked_sub(self.next).and_then(|ahead| usize::try_from(ahead).ok()) else {
            // It was answered before. Its place may be another's by now.
            self.count_extra();
            self.ready.push_back(Answer { results: None, ..answer });
            return;
        };
        if self.early.len() <= ahead {
            self.early.resize(ahead + 1, None);
        }
        match &mut self.early[ahead] {
            Some(early) => {
                early.times += 1;
                self.count_extra();
            }
            place => *place = Some(answer),
        }
        while let Some(Some(answer)) = self.early.front() {
            self.ready.push_back(*answer);
            self.early.pop_front();
            self.next += 1;
        }
    }

    fn count_extra(&self) {
        // Relaxed: a number; see `Submissions::has_room`.
        self.extras.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn flush<P: MemoryPort>(&mut self, port: &P, page: &UserPage) -> Flush {
        let before = self.tail;
        let blocked = self.publish(port, page);
        Flush { published: self.tail != before, blocked }
    }

    /// Publishes what is ready, in order, until a page is not there or the ring is full.
    fn publish<P: MemoryPort>(&mut self, port: &P, page: &UserPage) -> Option<PageRequest> {
        let rings = self.rings?;
        while let Some(answer) = self.ready.front_mut() {
            let is_full = || rings.untaken(self.tail, registers::head(page)) + 1 >= u64::from(rings.completions);
            if is_full() {
                registers::stall(page);
                if is_full() {
                    return None;
                }
            }
            let place = rings.submission_place(answer.entry + u64::from(answer.misnamed));
            let completion = QueueCompletion { entry: place, queue: self.opening.queue, phase: rings.phase(self.tail) };
            // The results come first; the release store of the completion's valid word pairs with the driver's acquire load, which then sees them, and
            // the job's output.
            let written = match answer.results {
                Some(results) => write(port, self.opening, rings.submission(answer.entry), results, answer.carried),
                None => Access::Ready(()),
            };
            let published = match written {
                Access::Pending(request) => return Some(request),
                // The ring is gone, and with it whoever would read the answer.
                _ => port.publish_record(self.opening.rings, rings.completion(self.tail), completion.encode()),
            };
            if let Access::Pending(request) = published {
                return Some(request);
            }
            self.tail += 1;
            answer.results = None;
            answer.times -= 1;
            if answer.times == 0 {
                self.ready.pop_front();
            }
        }
        None
    }

    pub(super) fn signal(&mut self, page: &UserPage) -> bool {
        let Some(rings) = self.rings else { return false };
        let demand = registers::demanded(page);
        if demand == self.signalled || rings.completion_place(self.tail) == demand.beyond() {
            return false;
        }
        self.signalled = demand;
        true
    }
}

/// Writes what became of an entry into it.
fn write<P: MemoryPort>(
    port: &P,
    opening: Opening,
    entry: u64,
    results: Results,
    carried: Option<(Option<u32>, Carried)>,
) -> Access<()> {
    let stream = carried.and_then(|(room, carried)| Some(carried.encode(room?)));
    let sums = carried.filter(|(room, _)| room.is_none()).map(|(_, carried)| carried.sums());
    let words = results.encode().into_iter().enumerate().chain(stream.into_iter().flatten()).chain(sums);
    for (at, word) in words {
        match port.put(opening.rings, entry + 8 * at as u64, word) {
            Access::Ready(()) => {}
            other => return other,
        }
    }
    Access::Ready(())
}

/// Length and checksum of the text of a whole stream, if its format has a checksum.
fn sums(item: &WorkItem, kind: u16) -> Option<Carried> {
    let Outcome { status, consumed, produced, checksum, .. } = item.outcome;
    let len = if kind == COMPRESS { consumed } else { produced };
    let sums = Carried { running_len: u32::try_from(len).unwrap_or(0), checksum, ..Carried::default() };
    (status == Status::Ok && checksum != 0).then_some(sums)
}

/// What is written into an entry.
fn results(item: &WorkItem, kind: u16, ended: Option<Ended>) -> Results {
    let Outcome { status, consumed, produced, .. } = item.outcome;
    let narrow = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let ok = Results {
        consumed: narrow(consumed),
        produced: narrow(produced),
        ended: ended.unwrap_or(match kind {
            COMPRESS => Ended::new(if produced > consumed { Code::Grown } else { Code::Ok }, false),
            _ => Ended::new(Code::StreamEnd, true),
        }),
    };
    let failed = |code| Results { consumed: 0, produced: 0, ended: Ended::new(code, false) };
    let results = match status {
        Status::Ok => ok,
        Status::OutputTooSmall => failed(Code::NoSpace),
        Status::Corrupt => failed(Code::Corrupt),
        Status::Truncated => failed(Code::Truncated),
        Status::Fault => failed(Code::Translation),
        Status::InvalidJob | Status::Unsupported => failed(Code::Malformed),
        _ => Results { ended: Ended { status: UNKNOWN, last_block: false }, ..failed(Code::Ok) },
    };
    match item.blemish {
        Some(Blemish::UnknownStatus) => Results { ended: Ended { status: UNKNOWN, ..results.ended }, ..results },
        Some(Blemish::ImpossibleLengths) => Results { consumed: u32::MAX, produced: u32::MAX, ..results },
        Some(Blemish::WrongToken) | None => results,
    }
}
