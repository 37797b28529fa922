//! What every thread of a pool does with jobs: run them, answer them, keep the books.

use core::sync::atomic::{Ordering, fence};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use uaccel_queue::{Outcome, Status};
use uaccel_units::Scratch;

use super::Backing;
use super::port::JobPort;
use super::post::Post;
use super::queue::{CompleteSide, Queue};
use super::shared::Shared;
use crate::stages::{self, Pool, Stage, Step};
use crate::{DeviceModel, Work, WorkItem};

/// What a thread needs to do jobs: buffers of its own, and its post.
pub(super) struct Hands<M: DeviceModel, B: Backing> {
    pub(super) shared: Arc<Shared<M, B>>,
    pub(super) post: Arc<Post>,
    pool: Pool,
    scratch: Scratch,
}

impl<M: DeviceModel, B: Backing> Hands<M, B> {
    pub(super) fn new(shared: Arc<Shared<M, B>>, post: Arc<Post>) -> Self {
        Self { shared, post, pool: Pool::new(), scratch: Scratch::new() }
    }

    /// Takes several jobs of a queue as far as they go: first all that they read, last all that they write, each in as few steps as the
    /// queue's memory allows.
    pub(super) fn run_items(&mut self, queue: &Queue<M, B>, items: &mut [WorkItem]) {
        if items.len() > 1 {
            stages::gather_many(items, &JobPort::new(&queue.memory, &self.post), &mut self.pool);
            for item in &mut *items {
                if queue.is_stopping() {
                    return;
                }
                self.run_until(queue, item, Stage::Scatter);
            }
            stages::scatter_many(items, &JobPort::new(&queue.memory, &self.post));
        }
        for item in items {
            if queue.is_stopping() && item.untouched() {
                break;
            }
            self.run_item(queue, item);
        }
    }

    /// Does a copy, if it needs no staging. That cannot block.
    #[inline]
    pub(super) fn copy_in_place(&self, queue: &Queue<M, B>, item: &mut WorkItem) -> bool {
        item.extra.is_none() && stages::copy_in_place(item, &JobPort::new(&queue.memory, &self.post))
    }

    /// Takes a job as far as it goes.
    #[inline]
    pub(super) fn run_item(&mut self, queue: &Queue<M, B>, item: &mut WorkItem) {
        self.run_until(queue, item, Stage::Complete);
    }

    /// Takes a job to a stage, or past it if it ends early.
    #[inline]
    fn run_until(&mut self, queue: &Queue<M, B>, item: &mut WorkItem, stage: Stage) {
        let Self { post, pool, scratch, .. } = self;
        let port = JobPort::new(&queue.memory, post);
        let step = match item.work {
            Work::Plain(_) => stages::run_until(item, stage, &port, pool, scratch),
            // A bug in a library below must not take the device down.
            _ => panic::catch_unwind(AssertUnwindSafe(|| stages::run_until(item, stage, &port, pool, scratch)))
                .unwrap_or_else(|_| {
                    item.finish(Outcome::failed(Status::DeviceError));
                    *scratch = Scratch::new();
                    Step::Done
                }),
        };
        if let Step::Parked(_) = step {
            // This port never asks to wait.
            item.finish(Outcome::failed(Status::DeviceError));
        }
    }

    /// Answers a job.
    #[inline(always)]
    pub(super) fn answer(&self, queue: &Queue<M, B>, side: &mut CompleteSide<M, B>, item: &WorkItem) {
        self.shared.model.complete(&mut side.completions, &side.port, item);
        queue.counters.jobs.add(1);
        queue.counters.bytes.add(item.bytes());
        let faulted = item.outcome.status == Status::Fault;
        if faulted {
            queue.counters.faults.add(1);
        }
        if self.shared.keeps_accounts {
            queue.account.count(1, item.bytes(), u64::from(faulted));
        }
    }

    /// Publishes what was answered, and signals.
    #[inline]
    pub(super) fn publish(&self, queue: &Queue<M, B>, side: &mut CompleteSide<M, B>) {
        if self.shared.model.flush(&mut side.completions, &side.port, queue.backing.page()).published {
            self.signal(queue, side);
        }
    }

    /// Signals to a user who sleeps over an answer that was published.
    #[inline]
    pub(super) fn signal(&self, queue: &Queue<M, B>, side: &mut CompleteSide<M, B>) {
        self.shared.signal(queue, side);
    }

    /// Charges a user the time since `begun`, and notes for how long its jobs had waited then, if they had. Times are on the pool's
    /// clock; gives the time it is now.
    pub(super) fn charge(&self, queue: &Queue<M, B>, begun: u64, waiting_since: Option<u64>) -> u64 {
        let now = self.shared.clock();
        // Relaxed: as all of the schedule.
        queue.account.charge(self.shared.floor.load(Ordering::Relaxed), now.saturating_sub(begun));
        if let Some(since) = waiting_since {
            queue.account.count_wait(Duration::from_nanos(begun.saturating_sub(since)));
        }
        now
    }

    /// The thread has let go of the queue's memory.
    pub(super) fn end_serving(&self, queue: &Queue<M, B>) {
        self.post.end();
        // Full fence between saying that the thread is through and looking whether somebody stops the queue. Pairs with `Shared::begin_stop`.
        fence(Ordering::SeqCst);
        if queue.is_stopping() && queue.owes_stopped.load(Ordering::SeqCst) {
            self.shared.settle(queue);
        }
        if self.post.is_through() {
            queue.account.let_go();
            // Its jobs were left alone, and whoever was rung for them may sleep again.
            self.shared.lanes.stir();
            self.shared.sleepers.wake();
        }
    }

    /// Whether another thread stands in.
    #[inline]
    pub(super) fn is_relieved(&self) -> bool {
        self.post.is_relieved()
    }

    /// The thread goes home.
    pub(super) fn leave(&self) {
        self.shared.leave(&self.post);
    }
}
