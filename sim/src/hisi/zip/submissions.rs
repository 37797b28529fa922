//! The half of a ZIP queue that takes jobs.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use uaccel_hisi_abi::StopWords;
use uaccel_hisi_abi::zip::Entry;

use super::decode::Engines;
use super::registers;
use super::rings::Rings;
use crate::hisi::qm::Position;
use crate::{Access, Budget, Fetch, MemoryPort, Opening, Taken, UserPage, WorkItem};

/// The half of a ZIP queue that takes jobs: the consumer of the submission ring.
#[derive(Debug)]
pub struct Submissions {
    pub(super) opening: Opening,
    pub(super) rings: Option<Rings>,
    /// The count of the next entry; see [`Rings`].
    head: u64,
    /// How many more completions there were than entries.
    extras: Arc<AtomicU64>,
    /// Whether it was stopped, or has failed, and does not start any more.
    pub(super) stopped: bool,
}

impl Submissions {
    pub(super) fn new(opening: Opening, extras: Arc<AtomicU64>) -> Self {
        Self { opening, rings: None, head: 0, extras, stopped: false }
    }

    /// Starts to take entries.
    pub(super) fn start(&mut self, rings: Rings) {
        self.head = u64::from(rings.first_submission);
        self.rings = Some(rings);
    }

    /// How far the ring is.
    pub(super) fn position(&self, page: &UserPage) -> Position {
        let Some(rings) = self.rings else { return Position::default() };
        let (head, tail, places) =
            (rings.submission_place(self.head), registers::tail(page), u64::from(rings.submissions));
        let announced = self.head + (u64::from(tail) + places - u64::from(head)) % places;
        Position { head, tail, odd: !(announced / places).is_multiple_of(2) }
    }

    pub(super) fn fetch<P: MemoryPort>(
        &mut self,
        port: &P,
        page: &UserPage,
        engines: &Engines,
        taken: &mut Taken,
        mut budget: Budget,
    ) -> Fetch {
        let Some(rings) = self.rings else { return Fetch::Dry };
        let tail = registers::tail(page);
        if tail >= rings.submissions {
            return Fetch::Dry;
        }
        while budget.is_open() {
            if rings.submission_place(self.head) == tail || !self.has_room(&rings, page) {
                return Fetch::Dry;
            }
            let words = match port.words::<{ Entry::WORDS }>(self.opening.rings, rings.submission(self.head)) {
                Access::Ready(words) => words,
                Access::Pending(request) => return Fetch::Blocked(request),
                Access::Fault(_) => return Fetch::Failed,
            };
            let Opening { kind, jobs, .. } = self.opening;
            engines.decode(&words, kind, self.head, jobs, &mut taken.items);
            if !budget.take(taken.items.last().map_or(0, WorkItem::cost)) {
                // Read again by the next fetch: a worker of its own shall do it.
                taken.items.pop();
                return Fetch::More;
            }
            self.head += 1;
        }
        Fetch::More
    }

    /// Whether the completion ring has a place for one more entry's answer beside all that were taken. If not, whoever takes answers is to say so.
    fn has_room(&self, rings: &Rings, page: &UserPage) -> bool {
        // Relaxed: how many there were is read again after the fence in `stall`, which a completion that has been seen precedes.
        let answers = || {
            let entries = self.head - u64::from(rings.first_submission);
            u64::from(rings.first_completion) + entries + self.extras.load(Ordering::Relaxed)
        };
        let is_full = || rings.untaken(answers(), registers::head(page)) + 1 >= u64::from(rings.completions);
        if !is_full() {
            return true;
        }
        registers::stall(page);
        !is_full()
    }

    /// Writes the stop words as the kernel would, transmit first, where there is none, and takes no more entries. `len` is the length of ring memory.
    pub(super) fn stop<P: MemoryPort>(&mut self, port: &P, len: usize) {
        self.stopped = true;
        let address = match self.rings.take() {
            Some(rings) => rings.stop_words,
            // Not started, or stopped before. Where there is a kernel the port knows of no such memory.
            None => port.home(self.opening.rings).map(|base| Rings::stop_words(base, len)),
        };
        if let Some(address) = address {
            // Words nobody can be told are lost; there is no other way to the user.
            let _ = port.publish(self.opening.rings, address, StopWords { transmit: true, receive: false }.encode());
            let _ = port.publish(self.opening.rings, address, StopWords { transmit: true, receive: true }.encode());
        }
    }
}
