//! The bottom half: takes jobs through their stages.

use core::cell::Cell;
use core::sync::atomic::{Ordering, fence};
use std::mem;
use std::sync::PoisonError;

use uaccel_queue::{Operation, Status};
use uaccel_sim::stages::{self, Pool, Stage, Step};
use uaccel_sim::{Budget, DeviceModel, Fetch, MemoryPort, PageRequest, Taken, Work, WorkItem};
use uaccel_units::Scratch;

use super::queue::{Failure, Queue, Standing};
use super::workers::Errand;
use super::{News, Server};
use crate::emulator::Emulator;
use crate::port::{NEXT_RUN, Port};
use crate::translations::{Answer, Missing};

/// Jobs of one queue that are taken and not answered. Those that wait for pages count, so that a ring full of bad addresses is not read at once.
const IN_FLIGHT: usize = 64;
/// Bytes named by the jobs of one queue that have staging. One job always has.
const STAGED: u64 = 16 << 20;
/// Pages that jobs read and write in one run of the bottom half, then virtual CPUs that wait for the big lock may have it, and another queue comes first.
const TURN: u32 = 256;
/// Estimated nanoseconds of work that one fetch takes, beyond the first job: bounds how long the big lock is held.
const BATCH_COST: u64 = 500_000;

/// What the bottom half keeps from run to run.
#[derive(Default)]
pub(super) struct Kept {
    pool: Pool,
    scratch: Scratch,
    taken: Taken,
    /// Accesses that are left to jobs in this run.
    turn: Cell<u32>,
    /// Which queue comes first in this run.
    first: usize,
}

impl<M: DeviceModel, E: Emulator> Server<M, E> {
    /// The bottom half: goes on with all that can go on.
    pub(crate) fn run(&self) {
        if self.is_accessing() {
            return self.miss();
        }
        self.translations.leave();
        if !self.may_go_on() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.turn.set(TURN);
        kept.first = (kept.first + 1) % self.queues.len().max(1);
        let first = kept.first;
        let order = || (0..self.queues.len()).map(move |index| (index + first) % self.queues.len());
        for index in order() {
            let mut queue = self.queue(index);
            for item in queue.parked.resume(NEXT_RUN) {
                self.advance(index, &mut queue, &mut kept, item, None);
            }
        }
        for Answer { request, refused } in self.translations.take_answers() {
            for index in 0..self.queues.len() {
                let mut queue = self.queue(index);
                if queue.opening.is_none() {
                    continue;
                }
                queue.fetch_gate.answer(request, refused);
                queue.flush_gate.answer(request, refused);
                self.store_posted(index, &mut queue, request, refused);
                for item in queue.parked.resume(request) {
                    self.advance(index, &mut queue, &mut kept, item, refused);
                }
            }
        }
        for errand in self.workers.take_done() {
            let mut queue = self.queue(errand.queue);
            if errand.life == queue.life {
                self.take_back(errand.queue, &mut queue, &mut kept, errand.item);
            }
        }
        let mut again = false;
        for index in order() {
            again |= self.serve(index, &mut self.queue(index), &mut kept);
        }
        if again || kept.turn.get() == 0 {
            self.emulator().schedule();
        }
        self.call_again();
    }

    /// Serves one queue for a while; whether there is more to do.
    fn serve(&self, index: usize, queue: &mut Queue<M>, kept: &mut Kept) -> bool {
        if !queue.standing.is_working() || self.is_halted() {
            return false;
        }
        if queue.standing == Standing::Ready && queue.rung && queue.fetch_gate.is_open() && queue.fetched.is_empty() {
            self.fetch(index, queue, kept);
        }
        while queue.standing == Standing::Ready
            && (queue.staged < STAGED || queue.staged == 0)
            && let Some(item) = queue.fetched.pop_front()
        {
            queue.staged += item.bytes();
            self.advance(index, queue, kept, item, None);
        }
        if queue.standing.is_working() && !self.is_halted() && queue.flush_gate.is_open() {
            self.flush(index, queue);
        }
        queue.standing == Standing::Ready
            && queue.rung
            && queue.fetch_gate.is_open()
            && queue.fetched.is_empty()
            && queue.in_flight() < IN_FLIGHT
    }

    fn fetch(&self, index: usize, queue: &mut Queue<M>, kept: &mut Kept) {
        let room = IN_FLIGHT.saturating_sub(queue.in_flight());
        if room == 0 {
            return;
        }
        let refused = queue.fetch_gate.take_refused();
        let budget = Budget::new(room, BATCH_COST);
        let Queue { submissions, page, posted, fetch_gate, .. } = queue;
        // All that is written here is a state word.
        let port = Port::new(&self.translations).after(refused).posting(posted);
        // Full fence between the doorbell, or setting need-wake-up, and looking at the ring. Pairs with the user's, between publishing and
        // reading need-wake-up.
        fence(Ordering::SeqCst);
        match self.model.fetch(submissions, &port, page, &mut kept.taken, budget) {
            Fetch::Dry => queue.rung = false,
            Fetch::More => {}
            Fetch::Blocked(request) => fetch_gate.shut(request),
            Fetch::Failed => {
                kept.taken.items.clear();
                kept.taken.cancels.clear();
                // The model has said so already; here is what goes with it.
                return self.fail(index, queue, Failure::RingFault);
            }
        }
        self.taken.fetch_add(kept.taken.items.len() as u64, Ordering::Relaxed);
        queue.fetched.extend(kept.taken.items.drain(..));
        for tag in mem::take(&mut kept.taken.cancels) {
            self.cancel(index, queue, kept, tag);
        }
    }

    /// Cancels a job that was taken earlier, if no byte of its destination is written.
    fn cancel(&self, index: usize, queue: &mut Queue<M>, kept: &mut Kept, tag: u64) {
        if let Some(item) = queue.parked.cancel(tag) {
            return self.advance(index, queue, kept, item, None);
        }
        if let Some((_, canceled)) = queue.computing.iter_mut().find(|(computing, _)| *computing == tag) {
            *canceled = true;
        } else if let Some(item) = queue.fetched.iter_mut().find(|item| item.tag == tag && item.untouched()) {
            item.cancel();
        }
    }

    /// Takes an item as far as it goes.
    fn advance(
        &self,
        index: usize,
        queue: &mut Queue<M>,
        kept: &mut Kept,
        mut item: WorkItem,
        refused: Option<Missing>,
    ) {
        let Kept { pool, scratch, turn, .. } = kept;
        let port = Port::new(&self.translations).after(refused).taking_turns(turn);
        while queue.standing.is_working() {
            if self.is_halted() {
                return queue.parked.park(NEXT_RUN, item);
            }
            let step = match item.stage() {
                Stage::Gather => stages::gather(&mut item, &port, pool),
                // What is copied in staging is copied by swapping buffers.
                Stage::Compute if matches!(item.work, Work::Plain(Operation::Copy)) => {
                    stages::compute(&mut item, scratch);
                    Step::Done
                }
                Stage::Compute => {
                    queue.computing.push((item.tag, false));
                    return self.workers.send(Errand { queue: index, life: queue.life, item });
                }
                Stage::Scatter => stages::scatter(&mut item, &port),
                Stage::Complete => {
                    queue.staged = queue.staged.saturating_sub(item.bytes());
                    // A port of its own: its faults are those of the ring.
                    let port = Port::new(&self.translations);
                    self.model.complete(&mut queue.completions, &port, &item);
                    if port.faulted() {
                        self.fail(index, queue, Failure::RingFault);
                    }
                    pool.reclaim(&mut item);
                    return self.count_answer(index, queue);
                }
            };
            if let Step::Parked(request) = step {
                return queue.parked.park(request, item);
            }
        }
    }

    /// Counts an answer, and halts if it was the last one.
    fn count_answer(&self, index: usize, queue: &mut Queue<M>) {
        // Relaxed: as in `jobs`.
        let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        if answered == self.halt_after.load(Ordering::Relaxed) {
            if queue.standing.is_working() && queue.flush_gate.is_open() {
                self.flush(index, queue);
            }
            self.halt(true);
        }
    }

    /// Goes on with an item that comes back from a worker.
    fn take_back(&self, index: usize, queue: &mut Queue<M>, kept: &mut Kept, mut item: WorkItem) {
        if let Some(at) = queue.computing.iter().position(|(tag, _)| *tag == item.tag) {
            let (_, canceled) = queue.computing.swap_remove(at);
            // Its result is in staging; a failure is as good an answer as any.
            if canceled && item.outcome.status == Status::Ok {
                item.cancel();
            }
        }
        self.advance(index, queue, kept, item, None);
    }

    /// Publishes what was completed, and tells whoever sleeps over it.
    pub(super) fn flush(&self, index: usize, queue: &mut Queue<M>) {
        let port = Port::new(&self.translations).after(queue.flush_gate.take_refused());
        let flush = self.model.flush(&mut queue.completions, &port, &queue.page);
        if let Some(request) = flush.blocked {
            queue.flush_gate.shut(request);
        }
        if flush.published {
            self.signal(index, queue);
        }
        if port.faulted() {
            self.fail(index, queue, Failure::RingFault);
        }
    }

    /// Tells whoever sleeps over an answer that was published.
    pub(super) fn signal(&self, index: usize, queue: &mut Queue<M>) {
        // Full fence between publishing completions and reading what the user armed. Pairs with the user's, between arming and polling once more.
        fence(Ordering::SeqCst);
        if self.model.signal(&mut queue.completions, &queue.page) {
            self.tell(News::Signal(index));
        }
    }

    /// Stores the words that waited for a page.
    fn store_posted(&self, index: usize, queue: &mut Queue<M>, request: PageRequest, refused: Option<Missing>) {
        let posted: Vec<_> = queue.posted.get_mut().extract_if(.., |posted| posted.request == request).collect();
        if posted.is_empty() {
            return;
        }
        let faulted = {
            let port = Port::new(&self.translations).after(refused).posting(&queue.posted);
            for word in posted {
                // A word that has to wait again is posted again; a fault is noted by the port.
                let _ = port.publish(word.space, word.address, word.value);
            }
            port.faulted()
        };
        if faulted && queue.standing == Standing::Ready {
            self.fail(index, queue, Failure::RingBase);
        }
    }
}
