//! What serves the queues of a function, whatever registers the function has.

mod bottom_half;
mod queue;
mod workers;

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use uaccel_sim::{Access, AddressSpace, Control, DeviceModel, Doorbell, MemoryPort, Opening, UserPage};

use self::bottom_half::Kept;
use self::queue::Queue;
pub(crate) use self::queue::{Failure, Standing};
use self::workers::Workers;
use crate::counters::Counters;
use crate::emulator::{Emulator, Refusal};
use crate::port::Port;
use crate::trace::{Named, Trace};
use crate::translations::Translations;

/// What the user of a queue, or whoever is in charge of it, is to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// There is a completion, and the user wanted to know.
    Signal(usize),
    /// The queue has failed, or was refused.
    Failed(usize),
}

impl News {
    /// Whose news.
    pub(crate) const fn queue(self) -> usize {
        match self {
            Self::Signal(queue) | Self::Failed(queue) => queue,
        }
    }
}

/// How many jobs there were, in all queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Jobs {
    /// Taken.
    pub(crate) taken: u64,
    /// Answered.
    pub(crate) answered: u64,
}

/// The queues of a device model inside a machine emulator: takes jobs, and brings them through their stages.
///
/// A [function](crate::Function) has one, and says what its registers mean. It is called under the emulator's big lock; what comes of a call is told as
/// [news](Self::take_news).
pub(crate) struct Server<M: DeviceModel, E: Emulator> {
    model: M,
    translations: Translations<E>,
    queues: Box<[Mutex<Queue<M>>]>,
    /// What the bottom half keeps from run to run.
    kept: Mutex<Kept>,
    /// Whether the bottom half was called in the middle of an access, and has to be called again.
    missed: AtomicBool,
    /// Whether nothing goes on, in any queue.
    halted: AtomicBool,
    /// After how many answered jobs that becomes so by itself.
    halt_after: AtomicU64,
    taken: AtomicU64,
    answered: AtomicU64,
    news: Mutex<Vec<News>>,
    workers: Workers,
}

impl<M: DeviceModel, E: Emulator> Server<M, E> {
    /// Puts a model into an emulator, with this many threads that compute.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn new(model: M, emulator: Arc<E>, workers: usize, trace: Trace) -> io::Result<Self> {
        let queues = (0..model.queues()).map(|_| Mutex::new(Queue::new(&model))).collect();
        let bell = emulator.clone();
        let workers = Workers::start(workers, move || bell.schedule())?;
        let translations = Translations::new(emulator, trace);
        Ok(Self {
            model,
            translations,
            queues,
            kept: Mutex::default(),
            missed: AtomicBool::new(false),
            halted: AtomicBool::new(false),
            halt_after: AtomicU64::new(u64::MAX),
            taken: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            news: Mutex::default(),
            workers,
        })
    }

    pub(crate) fn emulator(&self) -> &Arc<E> {
        self.translations.emulator()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.translations.counters
    }

    /// How many queues there are.
    pub(crate) fn queues(&self) -> usize {
        self.queues.len()
    }

    /// How many queues are in an address space.
    pub(crate) fn queues_of(&self, pasid: u32) -> usize {
        self.translations.queues_of(pasid)
    }

    /// A register of a queue's user page.
    pub(crate) fn register(&self, index: usize, offset: usize) -> u64 {
        self.try_queue(index).map_or(0, |queue| queue.page.load(offset))
    }

    /// What a queue was opened with, and where it stands.
    pub(crate) fn look(&self, index: usize) -> Option<(Option<Opening>, Standing)> {
        self.try_queue(index).map(|queue| (queue.opening, queue.standing))
    }

    /// Takes the news that came since.
    pub(crate) fn take_news(&self) -> Vec<News> {
        mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
    }

    /// The user of a queue writes a register.
    pub(crate) fn doorbell(&self, index: usize, offset: usize, value: u64) {
        let Some(mut queue) = self.try_queue(index) else { return };
        if queue.opening.is_none() {
            return;
        }
        match self.model.doorbell(&queue.page, offset, value) {
            Doorbell::Submit => self.look_again(&mut queue),
            Doorbell::Control => self.set_up(index, &mut queue, |model, submissions, completions, port, page| {
                model.control(submissions, completions, port, page, offset, value)
            }),
            Doorbell::Arm => self.arm(index, &mut queue),
            Doorbell::Room => {
                self.arm(index, &mut queue);
                self.look_again(&mut queue);
            }
            Doorbell::Plain => {}
        }
    }

    /// Gives a queue to address spaces, or takes it away from all; whether that could be done.
    pub(crate) fn assign(&self, index: usize, opening: Option<Opening>) -> bool {
        let Some(mut queue) = self.try_queue(index) else { return false };
        let before = queue.opening;
        queue.reopen(&self.model, None);
        self.workers.forget(index);
        // In this order, so that a queue that stays in its address space does not close it meanwhile.
        let mut assigned = true;
        if let Some(opening) = opening {
            match self.acquire(opening) {
                Ok(()) => {
                    queue.reopen(&self.model, Some(opening));
                    self.trace().queue(index, format_args!("assigned to {}", Named(opening.jobs.0)));
                }
                Err(refusal) => {
                    assigned = false;
                    queue.standing = Standing::Failed(Failure::Space);
                    self.trace().queue(index, format_args!("cannot have {}: {refusal}", Named(opening.jobs.0)));
                }
            }
        }
        if let Some(opening) = before {
            self.release(opening);
            if queue.opening.is_none() {
                queue.asked = Some(self.translations.asked(opening.jobs.0));
            }
            self.trace().queue(index, format_args!("revoked from {}", Named(opening.jobs.0)));
        }
        assigned
    }

    /// Whether page requests that were sent before a queue was taken away are not answered yet.
    pub(crate) fn awaits_pages(&self, index: usize) -> bool {
        self.try_queue(index).and_then(|queue| queue.asked).is_some_and(|asked| self.translations.awaits(asked))
    }

    /// Takes every queue away, and waits for no answer: the function is reset.
    pub(crate) fn reset(&self) {
        (0..self.queues.len()).for_each(|index| {
            self.assign(index, None);
        });
        self.translations.forget_requests();
    }

    fn acquire(&self, Opening { rings, jobs, .. }: Opening) -> Result<(), Refusal> {
        self.translations.acquire(jobs.0)?;
        if rings == jobs {
            return Ok(());
        }
        self.translations.acquire(rings.0).inspect_err(|_| self.translations.release(jobs.0))
    }

    fn release(&self, Opening { rings, jobs, .. }: Opening) {
        self.translations.release(jobs.0);
        if rings != jobs {
            self.translations.release(rings.0);
        }
    }

    /// Keeps an address space for good.
    pub(crate) fn hold(&self, space: AddressSpace) -> Result<(), Refusal> {
        self.translations.acquire(space.0)
    }

    /// Starts a queue that is open and was not started, as `act` does it; whether it is started.
    pub(crate) fn start(
        &self,
        index: usize,
        act: impl FnOnce(&M, &mut M::Submissions, &mut M::Completions, &UserPage) -> bool,
    ) -> bool {
        let Some(mut queue) = self.try_queue(index) else { return false };
        if queue.opening.is_none() || queue.standing != Standing::Off {
            return false;
        }
        let Queue { submissions, completions, page, .. } = &mut *queue;
        let started = act(&self.model, submissions, completions, page);
        if started {
            queue.standing = Standing::Ready;
            self.trace().queue(index, format_args!("started"));
        }
        started
    }

    /// Takes no more jobs of a queue. Those in work go on; those that were only read are dropped.
    pub(crate) fn drain(&self, index: usize) {
        let Some(mut queue) = self.try_queue(index) else { return };
        if queue.standing == Standing::Ready {
            queue.standing = Standing::Draining;
            queue.fetched.clear();
            queue.rung = false;
            queue.asked = None;
            self.trace().queue(index, format_args!("drains, {} jobs in work", queue.in_flight()));
        }
    }

    /// Whether no job of a queue is in work, all are answered that there is room for, and so are page requests that were sent before that: if the queue's
    /// address space is going to be taken away, none must be out.
    pub(crate) fn is_drained(&self, index: usize) -> bool {
        // One that is in the middle of an access is not.
        let Some(mut queue) = self.try_queue(index) else { return false };
        if queue.standing.is_working() && !(queue.in_flight() == 0 && queue.flush_gate.is_open()) {
            return false;
        }
        let Some(opening) = queue.opening else { return true };
        let asked = *queue.asked.get_or_insert_with(|| self.translations.asked(opening.jobs.0));
        !self.translations.awaits(asked)
    }

    /// Looks at both halves of a queue.
    pub(crate) fn view<T>(
        &self,
        index: usize,
        look: impl FnOnce(&M, &M::Submissions, &M::Completions, &UserPage) -> T,
    ) -> Option<T> {
        let queue = self.try_queue(index)?;
        Some(look(&self.model, &queue.submissions, &queue.completions, &queue.page))
    }

    /// Reads memory at once; `false` if that cannot be done.
    pub(crate) fn read(&self, space: AddressSpace, address: u64, into: &mut [u8]) -> bool {
        if !self.emulator().may_access() {
            return false;
        }
        let port = Port::new(&self.translations);
        let mut done = 0;
        while done < into.len() {
            match port.read(space, address.wrapping_add(done as u64), &mut into[done..]) {
                Access::Ready(count) => done += count,
                Access::Fault(_) | Access::Pending(_) => return false,
            }
        }
        true
    }

    /// Writes memory at once; `false` if that cannot be done.
    pub(crate) fn write(&self, space: AddressSpace, address: u64, from: &[u8]) -> bool {
        if !self.emulator().may_access() {
            return false;
        }
        let port = Port::new(&self.translations);
        let mut done = 0;
        while done < from.len() {
            match port.write(space, address.wrapping_add(done as u64), &from[done..]) {
                Access::Ready(count) => done += count,
                Access::Fault(_) | Access::Pending(_) => return false,
            }
        }
        true
    }

    /// How many jobs there were.
    pub(crate) fn jobs(&self) -> Jobs {
        // Relaxed, here and below: all of this is under the emulator's big lock.
        Jobs { taken: self.taken.load(Ordering::Relaxed), answered: self.answered.load(Ordering::Relaxed) }
    }

    /// Stops all that goes on in queues, where it stands, or lets it go on.
    pub(crate) fn halt(&self, halted: bool) {
        if self.halted.swap(halted, Ordering::Relaxed) && !halted {
            self.emulator().schedule();
        }
    }

    /// Halts after that many jobs were answered.
    pub(crate) fn halt_after(&self, jobs: Option<u64>) {
        self.halt_after.store(jobs.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// Whether memory may be accessed for queues.
    fn may_go_on(&self) -> bool {
        !self.is_halted() && self.emulator().may_access()
    }

    /// Translations of `address` to `address` + `last`, inclusive, are no longer valid. None of them is used when this returns.
    pub(crate) fn invalidated(&self, pasid: u32, address: u64, last: u64) {
        self.translations.invalidated(pasid, address, last);
    }

    /// The system answered a page request.
    pub(crate) fn page_response(&self, pasid: u32, group: u16, granted: bool) {
        self.translations.answered(pasid, group, granted);
    }

    /// The set-up of a queue changes, as `act` does it.
    fn set_up(
        &self,
        index: usize,
        queue: &mut Queue<M>,
        act: impl FnOnce(&M, &mut M::Submissions, &mut M::Completions, &Port<'_, E>, &UserPage) -> Control,
    ) {
        if !matches!(queue.standing, Standing::Off | Standing::Ready) {
            return;
        }
        if !self.emulator().may_access() {
            return self.fail(index, queue, Failure::RingBase);
        }
        let Queue { submissions, completions, page, posted, .. } = queue;
        let port = Port::new(&self.translations).posting(posted);
        match act(&self.model, submissions, completions, &port, page) {
            Control::Started => {
                // This device never looks at rings unasked. A user who has not seen the word yet may have published without a doorbell.
                self.model.want_wakeup(submissions, &port, true);
                let unreachable = port.faulted();
                queue.standing = Standing::Ready;
                queue.rung = true;
                self.trace().queue(index, format_args!("started"));
                if unreachable {
                    self.fail(index, queue, Failure::RingBase);
                }
                self.emulator().schedule();
            }
            Control::Stop => self.stop(index, queue),
            Control::Refused => {
                queue.standing = Standing::Failed(Failure::Refused(port.told()));
                self.trace().queue(index, format_args!("refused to start"));
                self.tell(News::Failed(index));
            }
            Control::Unchanged => {
                self.arm(index, queue);
                self.look_again(queue);
            }
        }
    }

    /// The ring may hold jobs.
    fn look_again(&self, queue: &mut Queue<M>) {
        queue.rung = true;
        self.emulator().schedule();
    }

    /// The user took answers, or wants to be told of the next one.
    fn arm(&self, index: usize, queue: &mut Queue<M>) {
        if !queue.standing.is_working() || !self.may_go_on() {
            return;
        }
        if queue.flush_gate.is_open() {
            self.flush(index, queue);
        }
        self.signal(index, queue);
    }

    /// Stops a queue on its user's request. Nothing touches memory meanwhile, so it is done when this returns, but for the words that wait for their pages.
    fn stop(&self, index: usize, queue: &mut Queue<M>) {
        self.flush(index, queue);
        if matches!(queue.standing, Standing::Failed(_)) {
            return;
        }
        queue.drop_jobs();
        self.workers.forget(index);
        let Queue { submissions, posted, .. } = queue;
        self.model.stopped(submissions, &Port::new(&self.translations).posting(posted));
        queue.standing = Standing::Stopped;
        self.trace().queue(index, format_args!("stopped"));
    }

    /// Gives up on a queue.
    fn fail(&self, index: usize, queue: &mut Queue<M>, failure: Failure) {
        if matches!(queue.standing, Standing::Failed(_)) {
            return;
        }
        queue.drop_jobs();
        self.workers.forget(index);
        if self.emulator().may_access() {
            let Queue { submissions, posted, .. } = queue;
            self.model.failed(submissions, &Port::new(&self.translations).posting(posted), failure.reason());
        }
        queue.standing = Standing::Failed(failure);
        self.trace().queue(index, format_args!("failed, reason {}", failure.reason()));
        self.tell(News::Failed(index));
    }

    pub(crate) fn trace(&self) -> Trace {
        self.translations.trace()
    }

    fn queue(&self, index: usize) -> MutexGuard<'_, Queue<M>> {
        self.queues[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is a call from within an access of the function: what it accesses may be another device, which may have all bottom halves run.
    fn is_accessing(&self) -> bool {
        self.is_running() || self.queues.iter().any(|queue| matches!(queue.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Whether this is a call from within the bottom half, which may have any queue.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.kept.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// The bottom half could not be run when it was called.
    pub(crate) fn miss(&self) {
        // Relaxed: as in `call_again`.
        self.missed.store(true, Ordering::Relaxed);
    }

    /// Has the bottom half called again if it could not be run when it was.
    pub(crate) fn call_again(&self) {
        // Relaxed, as all of this is under the emulator's big lock.
        if self.missed.swap(false, Ordering::Relaxed) {
            self.emulator().schedule();
        }
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

impl<M: DeviceModel, E: Emulator> fmt::Debug for Server<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("model", &self.model).field("workers", &self.workers).finish_non_exhaustive()
    }
}
