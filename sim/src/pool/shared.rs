//! What the threads of a pool and its users have in common.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use uaccel_queue::{Quiet, TransportError};

use super::barrier::Barrier;
use super::lanes::Lanes;
use super::port::PoolPort;
use super::post::Post;
use super::queue::{CompleteSide, Queue};
use super::sleepers::Sleepers;
use super::timeline::Timeline;
use super::watch::Alarm;
use super::{Account, Backing, PoolConfig, Rings};
use crate::{AddressSpace, Control, DeviceModel, Doorbell, Opening, PlanHandle, QueueStats, Stats};

/// What the threads of a pool and its users have in common.
pub(super) struct Shared<M: DeviceModel, B: Backing> {
    pub(super) model: M,
    pub(super) plan: PlanHandle,
    pub(super) sleepers: Arc<Sleepers>,
    /// What a worker makes between saying that it sleeps and its last look.
    pub(super) barrier: Barrier,
    /// Counts changes of `queues`; starts at 1.
    pub(super) generation: AtomicU64,
    queues: RwLock<Vec<Arc<Queue<M, B>>>>,
    timeline: Mutex<Timeline>,
    /// Long jobs, which have threads of their own.
    pub(super) lanes: Lanes<M, B>,
    /// What each thread is doing.
    posts: RwLock<Vec<Arc<Post>>>,
    /// How many workers there are, those not counted that others stand in for.
    pub(super) workers: usize,
    /// Wakes whoever watches over the threads.
    pub(super) alarm: Alarm,
    /// Whether anybody does.
    watched: bool,
    /// Whether time is measured and shared out between users.
    pub(super) keeps_accounts: bool,
    /// The virtual time of the user who is served next.
    pub(super) floor: AtomicU64,
    /// When the pool's clock began, and the one to be used in its place, if any.
    epoch: Instant,
    clock: Option<Arc<AtomicU64>>,
    /// Whether the device is there.
    pub(super) alive: AtomicBool,
    /// Whether the workers are to go home.
    shut: AtomicBool,
    last_id: AtomicU64,
    /// The numbers of queues that were given up.
    leaked: Mutex<Vec<u16>>,
    closed: Mutex<QueueStats>,
}

impl<M: DeviceModel, B: Backing> Shared<M, B> {
    pub(super) fn new(
        model: M,
        plan: PlanHandle,
        sleepers: Arc<Sleepers>,
        workers: usize,
        config: &PoolConfig,
    ) -> Self {
        Self {
            model,
            plan,
            sleepers,
            barrier: Barrier::register(config.fence),
            generation: AtomicU64::new(1),
            queues: RwLock::default(),
            timeline: Mutex::default(),
            lanes: Lanes::new(config.lanes),
            posts: RwLock::default(),
            workers,
            alarm: Alarm::default(),
            watched: config.stand_ins,
            keeps_accounts: config.keeps_accounts,
            floor: AtomicU64::new(0),
            epoch: Instant::now(),
            clock: config.clock.clone(),
            alive: AtomicBool::new(true),
            shut: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            leaked: Mutex::default(),
            closed: Mutex::default(),
        }
    }

    /// Somebody begins to work.
    #[inline]
    pub(super) fn alert(&self) {
        if self.watched {
            self.alarm.raise();
        }
    }

    /// Sends all threads home.
    pub(super) fn shut_down(&self) {
        self.shut.store(true, Ordering::Relaxed);
        self.sleepers.shut();
        self.lanes.stir();
        self.alarm.raise();
    }

    /// Whether the threads are to go home.
    #[inline]
    pub(super) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Relaxed)
    }

    /// Nanoseconds on the pool's clock, never 0.
    pub(super) fn clock(&self) -> u64 {
        match &self.clock {
            None => u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1),
            // Relaxed: a number.
            Some(clock) => clock.load(Ordering::Relaxed).max(1),
        }
    }

    /// What each thread is doing.
    pub(super) fn posts(&self) -> RwLockReadGuard<'_, Vec<Arc<Post>>> {
        self.posts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread takes up its post.
    pub(super) fn take_up(&self, post: Arc<Post>) {
        self.posts.write().unwrap_or_else(PoisonError::into_inner).push(post);
    }

    /// A thread leaves its post for good.
    pub(super) fn leave(&self, post: &Arc<Post>) {
        self.posts.write().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, post));
    }

    pub(super) fn queues(&self) -> RwLockReadGuard<'_, Vec<Arc<Queue<M, B>>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn timeline(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a queue, if one is free.
    pub(super) fn open(
        &self,
        device: &str,
        backing: B,
        account: Arc<Account>,
        space: AddressSpace,
        kind: u16,
    ) -> Result<Arc<Queue<M, B>>, TransportError> {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let leaked = self.leaked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_taken =
            |number: &u16| leaked.contains(number) || queues.iter().any(|queue| queue.opening.queue == *number);
        let number = (0..=u16::MAX).take(self.model.queues()).find(|number| !is_taken(number));
        let number = number.ok_or_else(|| TransportError::Busy(device.to_owned()))?;
        drop(leaked);
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let opening = Opening { queue: number, kind, ..Opening::shared(space) };
        let queue = Arc::new(Queue::new(&self.model, id, opening, backing, account));
        queues.push(queue.clone());
        self.generation.fetch_add(1, Ordering::Release);
        Ok(queue)
    }

    /// Takes a write to a register.
    pub(super) fn doorbell(&self, queue: &Queue<M, B>, offset: usize, value: u64) {
        match self.model.doorbell(queue.backing.page(), offset, value) {
            // Its lock orders all the caller wrote before what the woken worker reads.
            Doorbell::Submit => self.sleepers.wake(),
            Doorbell::Control => self.control(queue, offset, value),
            Doorbell::Arm => self.arm(queue),
            Doorbell::Room => {
                self.arm(queue);
                self.sleepers.wake();
            }
            Doorbell::Plain => {}
        }
    }

    /// Acts on a doorbell that concerns answers.
    fn arm(&self, queue: &Queue<M, B>) {
        let mut side = queue.complete_side();
        // Whoever stops the queue has this lock after saying so, and before saying that it has stopped.
        if queue.is_stopping() {
            return;
        }
        let CompleteSide { completions, port, .. } = &mut *side;
        self.model.flush(completions, port, queue.backing.page());
        self.signal(queue, &mut side);
    }

    /// Signals to a user who sleeps over an answer that was published.
    #[inline]
    pub(super) fn signal(&self, queue: &Queue<M, B>, side: &mut CompleteSide<M, B>) {
        // Full fence between publishing completions and reading what the user armed. Pairs with the user's, between arming and polling once
        // more: one of us sees the other, so that nobody sleeps over an answer.
        fence(Ordering::SeqCst);
        if self.model.signal(&mut side.completions, queue.backing.page()) {
            queue.counters.signals.add(1);
            queue.backing.signal();
        }
    }

    /// Acts on a doorbell that changes the set-up.
    fn control(&self, queue: &Queue<M, B>, offset: usize, value: u64) {
        let port = queue.port();
        let mut fetch = queue.fetch_side();
        if queue.failed.load(Ordering::Relaxed) {
            // It failed before it was started, when there was nowhere to say so.
            self.model.failed(&mut fetch.submissions, &port, 0);
            return queue.backing.signal();
        }
        let mut complete = queue.complete_side();
        let page = queue.backing.page();
        let control = self.model.control(&mut fetch.submissions, &mut complete.completions, &port, page, offset, value);
        if control == Control::Started {
            fetch.port = port.clone();
            complete.port = port;
            fetch.running = true;
            queue.set_stopping(false);
            self.signal(queue, &mut complete);
        }
        let running = fetch.running;
        drop((fetch, complete));
        match control {
            // The workers may all be asleep, and this queue's need-wake-up word does not say so.
            Control::Started => self.sleepers.wake(),
            Control::Stop => self.begin_stop(queue),
            Control::Refused => tracing::debug!(queue = queue.id, "queue set-up refused"),
            Control::Unchanged if running => {
                self.arm(queue);
                self.sleepers.wake();
            }
            Control::Unchanged => {}
        }
    }

    /// Stops a queue for good and gives up its place; not if the device may still use its memory.
    pub(super) fn close(&self, queue: &Queue<M, B>, within: Duration) -> Quiet {
        let quiet = self.stop(queue, within);
        if quiet == Quiet::Proven {
            self.strike(queue);
        }
        quiet
    }

    /// Gives up on a queue that does not stop: its memory stays as it is for ever, and its place taken.
    pub(super) fn abandon(&self, queue: &Arc<Queue<M, B>>) {
        self.strike(queue);
        core::mem::forget(queue.clone());
        self.leaked.lock().unwrap_or_else(PoisonError::into_inner).push(queue.opening.queue);
        tracing::warn!(queue = queue.id, "queue closed while the device may still use it; its memory is leaked");
    }

    /// Takes a queue off the list.
    fn strike(&self, queue: &Queue<M, B>) {
        self.queues.write().unwrap_or_else(PoisonError::into_inner).retain(|open| open.id != queue.id);
        self.generation.fetch_add(1, Ordering::Release);
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).add(&queue.counters.snapshot());
    }

    /// Stops a queue: takes no new job, drops those that have not begun, waits for those that run.
    pub(super) fn stop(&self, queue: &Queue<M, B>, within: Duration) -> Quiet {
        if !self.is_obedient(within) {
            return Quiet::Unproven;
        }
        let begun = Instant::now();
        loop {
            self.halt(queue);
            if !self.await_quiet(queue, within.saturating_sub(begun.elapsed())) {
                return Quiet::Unproven;
            }
            if self.tell_stopped(queue) {
                return Quiet::Proven;
            }
        }
    }

    /// Begins to stop a queue on the user's request by register; the state word tells when it has stopped.
    pub(super) fn begin_stop(&self, queue: &Queue<M, B>) {
        if self.plan.is_deaf() {
            return;
        }
        queue.owes_stopped.store(true, Ordering::SeqCst);
        self.halt(queue);
        // Full fence between demanding the stop and looking who serves. Pairs with `Hands::end_serving`: either the thread is seen to be through, or it
        // sees the demand.
        fence(Ordering::SeqCst);
        self.settle(queue);
    }

    /// Tells the user that the queue has stopped, if that is owed and true.
    pub(super) fn settle(&self, queue: &Queue<M, B>) {
        // Under this lock it cannot be reset or started meanwhile.
        let mut side = queue.fetch_side();
        let stopped = queue.is_stopping()
            && queue.owes_stopped.load(Ordering::SeqCst)
            && self.await_quiet(queue, Duration::ZERO)
            && queue.owes_stopped.swap(false, Ordering::SeqCst);
        if stopped {
            let side = &mut *side;
            self.model.stopped(&mut side.submissions, &side.port);
        }
    }

    /// Brings a queue back to the state after opening.
    pub(super) fn reset(&self, queue: &Queue<M, B>, within: Duration) -> Result<(), TransportError> {
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
        (fetch.submissions, complete.completions) = self.model.open_queue(queue.opening);
        fetch.port = PoolPort::new(Rings::default(), queue.memory.clone());
        complete.port = fetch.port.clone();
        queue.backing.forget_rings();
        let page = queue.backing.page();
        page.clear();
        self.model.describe(page);
        queue.failed.store(false, Ordering::Relaxed);
        queue.owes_stopped.store(false, Ordering::Relaxed);
        queue.backing.clear_signal();
        Ok(())
    }

    /// All queues fail.
    pub(super) fn fail(&self, reason: u32) {
        tracing::warn!(reason, "device failed");
        for queue in self.queues().iter() {
            self.fail_queue(queue, reason);
        }
    }

    /// One queue fails.
    pub(super) fn fail_queue(&self, queue: &Queue<M, B>, reason: u32) {
        queue.failed.store(true, Ordering::Relaxed);
        self.halt(queue);
        // Not the port that the queue was started with: it may not be.
        let port = queue.port();
        self.model.failed(&mut queue.fetch_side().submissions, &port, reason);
        queue.backing.signal();
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
        let leaked = self.leaked.lock().unwrap_or_else(PoisonError::into_inner).len();
        Stats { total, queues, leaked_queues: leaked as u64 }
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
    fn halt(&self, queue: &Queue<M, B>) {
        queue.set_stopping(true);
        queue.fetch_side().running = false;
    }

    /// Drops what waits, and waits until no worker serves the halted queue.
    fn await_quiet(&self, queue: &Queue<M, B>, within: Duration) -> bool {
        let begun = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            // In this order: a worker that put something aside after the purge is still seen to serve.
            let busy = self.is_served(queue);
            self.purge(queue);
            if !busy && !self.is_served(queue) {
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

    /// Whether a thread may touch memory of a queue.
    fn is_served(&self, queue: &Queue<M, B>) -> bool {
        self.posts().iter().any(|post| post.serving() == queue.id)
    }

    /// Drops the jobs of a queue that wait for something, unanswered.
    fn purge(&self, queue: &Queue<M, B>) {
        queue.held().clear();
        self.timeline().purge(queue.id);
        self.lanes.purge(queue);
        queue.complete_side().late.clear();
    }

    /// Tells the user that the queue has stopped; not if a doorbell has started it meanwhile.
    fn tell_stopped(&self, queue: &Queue<M, B>) -> bool {
        // As in `fail_queue`.
        let port = queue.port();
        let mut side = queue.fetch_side();
        if side.running {
            return false;
        }
        self.model.stopped(&mut side.submissions, &port);
        true
    }
}
