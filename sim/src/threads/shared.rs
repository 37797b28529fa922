//! What workers, transports and the host have in common.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use uaccel_queue::{Quiet, TransportError};

use super::barrier::Barrier;
use super::port::ThreadPort;
use super::queue::Queue;
use super::sleepers::Sleepers;
use super::timeline::Timeline;
use crate::{AddressSpace, DeviceModel, PlanHandle, QueueStats, Stats};

/// What workers, transports and the host have in common.
pub(super) struct Shared<M: DeviceModel> {
    pub(super) model: M,
    pub(super) plan: PlanHandle,
    pub(super) sleepers: Arc<Sleepers>,
    /// What a worker makes between saying that it sleeps and its last look.
    pub(super) barrier: Barrier,
    /// Counts changes of `queues`; starts at 1.
    pub(super) generation: AtomicU64,
    queues: RwLock<Vec<Arc<Queue<M>>>>,
    timeline: Mutex<Timeline>,
    /// Which queue each worker is serving.
    pub(super) serving: Box<[Serving]>,
    /// Whether the device is there.
    pub(super) alive: AtomicBool,
    /// Whether the workers are to go home.
    pub(super) shut: AtomicBool,
    last_id: AtomicU64,
    leaked: AtomicU64,
    closed: Mutex<QueueStats>,
}

/// The queue one worker is serving, 0 if none: as long as it stands here, the worker may touch memory of that queue.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Serving(AtomicU64);

impl Serving {
    /// The worker begins. The caller holds the lock under which it took the jobs, so that whoever takes that lock later sees it.
    #[inline]
    pub(super) fn begin(&self, queue: u64) {
        self.0.store(queue, Ordering::Relaxed);
    }

    /// The worker is through. Release, pairs with the acquire load in `is`: all accesses to the queue's memory came before.
    #[inline]
    pub(super) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }

    fn is(&self, queue: u64) -> bool {
        self.0.load(Ordering::Acquire) == queue
    }
}

impl<M: DeviceModel> Shared<M> {
    pub(super) fn new(model: M, plan: PlanHandle, sleepers: Arc<Sleepers>, workers: usize) -> Self {
        Self {
            model,
            plan,
            sleepers,
            barrier: Barrier::register(),
            generation: AtomicU64::new(1),
            queues: RwLock::default(),
            timeline: Mutex::default(),
            serving: (0..workers).map(|_| Serving::default()).collect(),
            alive: AtomicBool::new(true),
            shut: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            leaked: AtomicU64::new(0),
            closed: Mutex::default(),
        }
    }

    pub(super) fn queues(&self) -> RwLockReadGuard<'_, Vec<Arc<Queue<M>>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn timeline(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a queue, if one is free.
    pub(super) fn open(&self, device: &str) -> Result<Arc<Queue<M>>, TransportError> {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let leaked = usize::try_from(self.leaked.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        if queues.len().saturating_add(leaked) >= self.model.queues() {
            return Err(TransportError::Busy(device.to_owned()));
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        // All queues of this host belong to one process, hence to one address space.
        let queue = Arc::new(Queue::new(&self.model, id, AddressSpace(1))?);
        queues.push(queue.clone());
        self.generation.fetch_add(1, Ordering::Release);
        Ok(queue)
    }

    /// Stops a queue for good and gives up its place.
    pub(super) fn close(&self, queue: &Arc<Queue<M>>, within: Duration) {
        let quiet = self.stop(queue, within);
        self.queues.write().unwrap_or_else(PoisonError::into_inner).retain(|open| open.id != queue.id);
        self.generation.fetch_add(1, Ordering::Release);
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).add(&queue.counters.snapshot());
        if quiet == Quiet::Unproven {
            // The device may still write rings and page: they stay mapped for ever, and the place stays taken.
            core::mem::forget(queue.clone());
            self.leaked.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                queue = queue.id,
                ?within,
                "queue closed while the device may still use it; its memory is leaked"
            );
        }
    }

    /// Stops a queue: takes no new job, drops those that have not begun, waits for those that run.
    pub(super) fn stop(&self, queue: &Queue<M>, within: Duration) -> Quiet {
        if !self.is_obedient(within) {
            return Quiet::Unproven;
        }
        self.halt(queue);
        if !self.await_quiet(queue, within) {
            return Quiet::Unproven;
        }
        self.tell_stopped(queue);
        Quiet::Proven
    }

    /// Begins to stop a queue on the user's request by register; the state word tells when it has stopped.
    pub(super) fn begin_stop(&self, queue: &Queue<M>) {
        if self.plan.is_deaf() {
            return;
        }
        queue.owes_stopped.store(true, Ordering::SeqCst);
        self.halt(queue);
        self.settle(queue);
    }

    /// Tells the user that the queue has stopped, if that is owed and true.
    pub(super) fn settle(&self, queue: &Queue<M>) {
        if self.await_quiet(queue, Duration::ZERO) && queue.owes_stopped.swap(false, Ordering::SeqCst) {
            self.tell_stopped(queue);
        }
    }

    /// Brings a queue back to the state after opening.
    pub(super) fn reset(&self, queue: &Queue<M>, within: Duration) -> Result<(), TransportError> {
        let refused = TransportError::TimedOut { step: "queue reset", within };
        if !self.is_obedient(within) {
            return Err(refused);
        }
        self.halt(queue);
        if !self.await_quiet(queue, within) {
            return Err(refused);
        }
        let mut fetch = queue.fetch_side();
        let mut complete = queue.complete_side();
        (fetch.submissions, complete.completions) = self.model.open_queue(queue.space);
        fetch.port = ThreadPort::new(Vec::new());
        complete.port = fetch.port.clone();
        queue.rings.lock().unwrap_or_else(PoisonError::into_inner).clear();
        queue.page.clear();
        self.model.describe(&queue.page);
        queue.failed.store(false, Ordering::Relaxed);
        queue.owes_stopped.store(false, Ordering::Relaxed);
        queue.clear_signal();
        Ok(())
    }

    /// All queues fail.
    pub(super) fn fail(&self, reason: u32) {
        tracing::warn!(reason, "device failed");
        for queue in self.queues().iter() {
            queue.failed.store(true, Ordering::Relaxed);
            self.halt(queue);
            let mut side = queue.fetch_side();
            let side = &mut *side;
            self.model.failed(&mut side.submissions, &side.port, reason);
            queue.signal();
        }
    }

    /// Sets or clears the need-wake-up word of every queue.
    pub(super) fn want_wakeup(&self, wanted: bool) {
        for queue in self.queues().iter() {
            let mut side = queue.fetch_side();
            let side = &mut *side;
            if side.running {
                self.model.want_wakeup(&mut side.submissions, &side.port, wanted);
            }
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let queues: Vec<QueueStats> = self.queues().iter().map(|queue| queue.counters.snapshot()).collect();
        let mut total = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().for_each(|queue| total.add(queue));
        Stats { total, queues, leaked_queues: self.leaked.load(Ordering::Relaxed) }
    }

    /// Whether the device answers requests to stop. A deaf one lets the time pass.
    fn is_obedient(&self, within: Duration) -> bool {
        let deaf = self.plan.is_deaf();
        if deaf {
            thread::sleep(within);
        }
        !deaf
    }

    /// From here on no job is taken, and none is begun that has not begun.
    fn halt(&self, queue: &Queue<M>) {
        queue.set_stopping(true);
        queue.fetch_side().running = false;
    }

    /// Drops what waits, and waits until no worker serves the halted queue.
    fn await_quiet(&self, queue: &Queue<M>, within: Duration) -> bool {
        let begun = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            // In this order: a worker that put something aside after the purge is still seen to serve.
            let busy = self.serving.iter().any(|serving| serving.is(queue.id));
            self.purge(queue);
            if !busy && !self.serving.iter().any(|serving| serving.is(queue.id)) {
                return true;
            }
            let left = within.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(1));
        }
    }

    /// Drops the jobs of a queue that wait for something, unanswered.
    fn purge(&self, queue: &Queue<M>) {
        queue.held().clear();
        self.timeline().purge(queue.id);
        queue.complete_side().late.clear();
    }

    fn tell_stopped(&self, queue: &Queue<M>) {
        let mut side = queue.fetch_side();
        let side = &mut *side;
        self.model.stopped(&mut side.submissions, &side.port);
    }
}
