//! The host: registers, and the bottom half that takes jobs through their stages.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use uaccel_queue::{Operation, Status};
use uaccel_sim::stages::{self, Pool, Stage, Step};
use uaccel_sim::warp::FailReason;
use uaccel_sim::{
    AddressSpace, Budget, Control, DeviceModel, Doorbell, Fetch, MemoryPort, Taken, UserPage, Work, WorkItem,
};
use uaccel_units::Scratch;
use uaccel_warp_abi::{Assignment, CONTROL_VERSION, Features, State, control_ident, control_page, pci, user_page};

use crate::counters::Counters;
use crate::emulator::Emulator;
use crate::port::{NEXT_RUN, Port};
use crate::queue::Queue;
use crate::trace::Trace;
use crate::translations::{Answer, Missing, Translations};
use crate::workers::{Errand, Workers};

/// Jobs of one queue that are taken and not answered. Those that wait for pages count, so that a ring full of bad addresses is not read at once.
const IN_FLIGHT: usize = 64;
/// Bytes named by the jobs of one queue that have staging. One job always has.
const STAGED: u64 = 16 << 20;
/// Pages that jobs read and write in one run of the bottom half, then virtual CPUs that wait for the big lock may have it, and another queue comes first.
const TURN: u32 = 256;
/// Estimated nanoseconds of work that one fetch takes, beyond the first job: bounds how long the big lock is held.
const BATCH_COST: u64 = 500_000;

/// A device model inside a machine emulator.
///
/// The emulator calls [`read`](Self::read), [`write`](Self::write), [`run`](Self::run), [`invalidated`](Self::invalidated),
/// [`page_response`](Self::page_response) and [`reset`](Self::reset), all under its big lock. All memory accesses happen in these calls; only computing
/// does not, and that sees no memory of the guest. So whatever a register write revokes is not touched any more when the write has returned.
pub struct Host<M: DeviceModel, E: Emulator> {
    model: M,
    translations: Translations<E>,
    queues: Box<[Mutex<Queue<M>>]>,
    /// What the bottom half keeps from run to run.
    kept: Mutex<Kept>,
    workers: Workers,
}

#[derive(Default)]
struct Kept {
    pool: Pool,
    scratch: Scratch,
    taken: Taken,
    /// Accesses that are left to jobs in this run.
    turn: Cell<u32>,
    /// Which queue comes first in this run.
    first: usize,
}

impl<M: DeviceModel, E: Emulator> Host<M, E> {
    /// Puts a model into an emulator, with this many threads that compute.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(model: M, emulator: Arc<E>, workers: usize, trace: Trace) -> io::Result<Self> {
        let queues = (0..model.queues()).map(|_| Mutex::new(Queue::new(&model))).collect();
        let bell = emulator.clone();
        let workers = Workers::start(workers, move || bell.schedule())?;
        let translations = Translations::new(emulator, trace);
        Ok(Self { model, translations, queues, kept: Mutex::default(), workers })
    }

    /// The counters of the control page.
    pub fn counters(&self) -> &Counters {
        &self.translations.counters
    }

    /// How many queues are assigned to an address space.
    pub fn queues_of(&self, pasid: u32) -> usize {
        self.translations.queues_of(pasid)
    }

    /// Reads a register. What is not one reads as 0.
    pub fn read(&self, offset: usize) -> u64 {
        if offset < control_page::SIZE {
            return self.read_control(offset);
        }
        let (index, offset) = ((offset - pci::user_page(0)) / UserPage::SIZE, offset % UserPage::SIZE);
        let Some(queue) = self.try_queue(index) else { return 0 };
        let value = queue.page.load(offset);
        if offset == user_page::FEATURES && self.translations.emulator().page_request_allocation() == 0 {
            return value & !Features::FAULTS_RESOLVED.bits();
        }
        value
    }

    fn read_control(&self, offset: usize) -> u64 {
        match offset {
            control_page::IDENT => control_ident(CONTROL_VERSION),
            control_page::QUEUES => self.queues.len() as u64,
            _ => match control_page::queue_of(offset) {
                Some((index, register)) => self.read_queue(index, register),
                // A reset is over when the write returns.
                None => self.counters().register(offset).unwrap_or(0),
            },
        }
    }

    fn read_queue(&self, index: usize, register: usize) -> u64 {
        let Some(queue) = self.try_queue(index) else { return 0 };
        match control_page::ASSIGN + register {
            // Never busy: who can read this holds the lock under which memory is touched.
            control_page::ASSIGN => Assignment { pasid: queue.space.map(|space| space.0), busy: false }.encode(),
            control_page::QUEUE_STATE => queue.state.encode(),
            _ => 0,
        }
    }

    /// Writes a register. What is not one ignores it.
    pub fn write(&self, offset: usize, value: u64) {
        if offset < control_page::SIZE {
            return self.write_control(offset, value);
        }
        let (index, offset) = ((offset - pci::user_page(0)) / UserPage::SIZE, offset % UserPage::SIZE);
        let Some(mut queue) = self.try_queue(index) else { return };
        if queue.space.is_none() || !is_writable(offset) {
            return;
        }
        queue.page.store(offset, value);
        match self.model.doorbell(offset) {
            Doorbell::Submit => {
                queue.rung = true;
                self.translations.emulator().schedule();
            }
            Doorbell::Control => self.control(index, &mut queue, offset, value),
            Doorbell::Plain => {}
        }
    }

    fn write_control(&self, offset: usize, value: u64) {
        if offset == control_page::RESET && value == 1 {
            return self.reset();
        }
        match control_page::queue_of(offset) {
            Some((index, register)) if control_page::ASSIGN + register == control_page::ASSIGN => {
                if let Ok(assignment) = Assignment::from_write(value) {
                    self.assign(index, assignment.pasid);
                }
            }
            _ => {}
        }
    }

    /// Gives a queue to an address space, or takes it away from all.
    fn assign(&self, index: usize, pasid: Option<u32>) {
        let Some(mut queue) = self.try_queue(index) else { return };
        let before = queue.space;
        queue.reopen(&self.model, None);
        self.workers.forget(index);
        // In this order, so that a queue that stays in its address space does not close it meanwhile.
        if let Some(pasid) = pasid {
            match self.translations.acquire(pasid) {
                Ok(()) => {
                    queue.reopen(&self.model, Some(AddressSpace(pasid)));
                    self.trace().queue(index, format_args!("assigned to pasid {pasid}"));
                }
                Err(refusal) => {
                    queue.state = State::Failed(FailReason::Device as u32);
                    self.trace().queue(index, format_args!("cannot have pasid {pasid}: {refusal}"));
                }
            }
        }
        if let Some(space) = before {
            self.translations.release(space.0);
            self.trace().queue(index, format_args!("revoked from pasid {}", space.0));
        }
    }

    /// Revokes every queue.
    pub fn reset(&self) {
        (0..self.queues.len()).for_each(|index| self.assign(index, None));
    }

    /// Translations of `address` to `address` + `last`, inclusive, are no longer valid. None of them is used when this returns.
    pub fn invalidated(&self, pasid: u32, address: u64, last: u64) {
        self.translations.invalidated(pasid, address, last);
    }

    /// The system answered a page request.
    pub fn page_response(&self, pasid: u32, group: u16, granted: bool) {
        self.translations.answered(pasid, group, granted);
    }

    /// The user wants the set-up changed.
    fn control(&self, index: usize, queue: &mut Queue<M>, offset: usize, value: u64) {
        if !matches!(queue.state, State::Off | State::Ready) {
            return;
        }
        let Queue { submissions, completions, page, posted, .. } = queue;
        let port = Port::new(&self.translations).posting(posted);
        match self.model.control(submissions, completions, &port, page, offset, value) {
            Control::Started => {
                // This device never looks at rings unasked. A user who has not seen the word yet may have published without a doorbell.
                self.model.want_wakeup(submissions, &port, true);
                let unreachable = port.faulted();
                queue.state = State::Ready;
                queue.rung = true;
                if unreachable {
                    self.fail(index, queue, FailReason::RingBase);
                }
                self.trace().queue(index, format_args!("started"));
                self.translations.emulator().schedule();
            }
            Control::Stop => self.stop(index, queue),
            Control::Refused => {
                // What the model said, if there was a place to say it: else it is the place that is wrong.
                let told = port.told().map(State::decode);
                queue.state = told.unwrap_or(State::Failed(FailReason::RingBase as u32));
                self.trace().queue(index, format_args!("refused to start"));
                self.translations.emulator().interrupt(index);
            }
            Control::Unchanged => {}
        }
    }

    /// Stops a queue on its user's request. Nothing touches memory meanwhile, so it is done when this returns, but for the words that wait for their pages.
    fn stop(&self, index: usize, queue: &mut Queue<M>) {
        self.flush(index, queue);
        queue.drop_jobs();
        self.workers.forget(index);
        let Queue { submissions, posted, .. } = queue;
        self.model.stopped(submissions, &Port::new(&self.translations).posting(posted));
        queue.state = State::Stopped;
        self.trace().queue(index, format_args!("stopped"));
    }

    /// Gives up on a queue.
    fn fail(&self, index: usize, queue: &mut Queue<M>, reason: FailReason) {
        if matches!(queue.state, State::Failed(_)) {
            return;
        }
        queue.drop_jobs();
        self.workers.forget(index);
        let Queue { submissions, posted, .. } = queue;
        self.model.failed(submissions, &Port::new(&self.translations).posting(posted), reason as u32);
        queue.state = State::Failed(reason as u32);
        self.trace().queue(index, format_args!("failed, reason {}", reason as u32));
        self.translations.emulator().interrupt(index);
    }

    /// The bottom half: goes on with all that can go on.
    pub fn run(&self) {
        if !self.translations.emulator().may_access() {
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
                if queue.space.is_none() {
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
            self.translations.emulator().schedule();
        }
    }

    /// Serves one queue for a while; whether there is more to do.
    fn serve(&self, index: usize, queue: &mut Queue<M>, kept: &mut Kept) -> bool {
        if queue.state != State::Ready {
            return false;
        }
        if queue.rung && queue.fetch_gate.is_open() && queue.fetched.is_empty() {
            self.fetch(index, queue, kept);
        }
        while queue.state == State::Ready
            && (queue.staged < STAGED || queue.staged == 0)
            && let Some(item) = queue.fetched.pop_front()
        {
            queue.staged += item.bytes();
            self.advance(index, queue, kept, item, None);
        }
        if queue.state == State::Ready && queue.flush_gate.is_open() {
            self.flush(index, queue);
        }
        queue.state == State::Ready
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
                return self.fail(index, queue, FailReason::RingFault);
            }
        }
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
        while queue.state == State::Ready {
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
                        self.fail(index, queue, FailReason::RingFault);
                    }
                    return pool.reclaim(&mut item);
                }
            };
            if let Step::Parked(request) = step {
                return queue.parked.park(request, item);
            }
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
    fn flush(&self, index: usize, queue: &mut Queue<M>) {
        let port = Port::new(&self.translations).after(queue.flush_gate.take_refused());
        let flush = self.model.flush(&mut queue.completions, &port);
        if let Some(request) = flush.blocked {
            queue.flush_gate.shut(request);
        }
        if flush.published {
            // Full fence between publishing completions and reading what the user armed. Pairs with the user's, between arming and polling
            // once more.
            fence(Ordering::SeqCst);
            if self.model.signal(&mut queue.completions, &queue.page) {
                self.translations.emulator().interrupt(index);
            }
        }
        if port.faulted() {
            self.fail(index, queue, FailReason::RingFault);
        }
    }

    /// Stores the words that waited for a page.
    fn store_posted(
        &self,
        index: usize,
        queue: &mut Queue<M>,
        request: uaccel_sim::PageRequest,
        refused: Option<Missing>,
    ) {
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
        if faulted && queue.state == State::Ready {
            self.fail(index, queue, FailReason::RingBase);
        }
    }

    fn trace(&self) -> Trace {
        self.translations.trace()
    }

    fn queue(&self, index: usize) -> MutexGuard<'_, Queue<M>> {
        self.queues[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue, unless there is none of this number, or this is an access of the function to its own registers: it comes from within work for that queue,
    /// and is ignored.
    fn try_queue(&self, index: usize) -> Option<MutexGuard<'_, Queue<M>>> {
        match self.queues.get(index)?.try_lock() {
            Ok(queue) => Some(queue),
            Err(TryLockError::Poisoned(queue)) => Some(queue.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<M: DeviceModel, E: Emulator> fmt::Debug for Host<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("model", &self.model).field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// Whether the user may write a register of the user page.
const fn is_writable(offset: usize) -> bool {
    matches!(
        offset,
        user_page::RING_BASE | user_page::GEOMETRY | user_page::ENABLE | user_page::SUBMIT | user_page::ARM
    )
}
