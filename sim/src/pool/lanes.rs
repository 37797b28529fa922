//! Long jobs, which have threads of their own, so that short ones need not wait for them.

use core::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Backing;
use super::hands::Hands;
use super::post::Post;
use super::queue::Queue;
use super::shared::Shared;
use crate::stages::Stage;
use crate::{DeviceModel, WorkItem};

/// Estimated nanoseconds from which on a job is long. Waking a thread for it costs a tenth at most.
const LONG: u64 = 500_000;
/// More jobs of one queue than the largest ring has. Who has so many waiting has written over descriptors that are not answered.
const MOST: usize = 8192;
/// Nanoseconds after which a job comes before those of users that are new, or were idle.
const OVERDUE: u64 = 100_000_000;

/// Long jobs that have not begun.
pub(super) struct Lanes<M: DeviceModel, B: Backing> {
    /// How many threads there are for them.
    threads: usize,
    waiting: Mutex<Vec<Waiting<M, B>>>,
    bell: Condvar,
}

struct Waiting<M: DeviceModel, B: Backing> {
    queue: Arc<Queue<M, B>>,
    item: WorkItem,
    /// Since when, on the pool's clock.
    since: u64,
}

impl<M: DeviceModel, B: Backing> Lanes<M, B> {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, waiting: Mutex::default(), bell: Condvar::new() }
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether the job is to be done here.
    #[inline]
    pub(super) fn take(&self, item: &WorkItem) -> bool {
        self.threads != 0 && item.cost() >= LONG
    }

    /// Leaves a job to a lane, unless the queue has more waiting than it can have; `false` then. The caller is seen to serve the queue.
    pub(super) fn push(&self, queue: &Arc<Queue<M, B>>, item: WorkItem, since: u64) -> bool {
        let mut waiting = self.waiting();
        // Relaxed, here and below: under the lock.
        if queue.in_lanes.load(Ordering::Relaxed) >= MOST {
            return false;
        }
        queue.in_lanes.fetch_add(1, Ordering::Relaxed);
        waiting.push(Waiting { queue: queue.clone(), item, since });
        drop(waiting);
        self.bell.notify_one();
        true
    }

    /// Cancels a job that has not begun, and gives it back.
    pub(super) fn cancel(&self, queue: u64, tag: u64) -> Option<WorkItem> {
        let mut waiting = self.waiting();
        let at = waiting.iter().position(|waiting| waiting.queue.id == queue && waiting.item.tag == tag)?;
        let Waiting { queue, mut item, .. } = waiting.remove(at);
        queue.in_lanes.fetch_sub(1, Ordering::Relaxed);
        item.cancel();
        Some(item)
    }

    /// Drops the jobs of a queue, unanswered.
    pub(super) fn purge(&self, queue: &Queue<M, B>) {
        if self.threads != 0 {
            let mut waiting = self.waiting();
            waiting.retain(|waiting| waiting.queue.id != queue.id);
            queue.in_lanes.store(0, Ordering::Relaxed);
        }
    }

    /// Tells the threads that the pool is shut, or that a user is blocked no longer.
    pub(super) fn stir(&self) {
        // Under the lock, so that nobody is between looking and sleeping.
        let _waiting = self.waiting();
        self.bell.notify_all();
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting<M, B>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that does long jobs, one at a time.
pub(super) struct Lane<M: DeviceModel, B: Backing>(Hands<M, B>);

impl<M: DeviceModel, B: Backing> Lane<M, B> {
    pub(super) fn new(shared: Arc<Shared<M, B>>, post: Arc<Post>) -> Self {
        Self(Hands::new(shared, post))
    }

    /// Works until the pool is shut, or somebody stands in.
    pub(super) fn run(mut self) {
        while let Some(Waiting { queue, item, since }) = self.next() {
            self.0.shared.alert();
            if !queue.is_stopping() {
                self.perform(&queue, item, since);
            }
            self.0.end_serving(&queue);
            if self.0.is_relieved() {
                break;
            }
        }
        self.0.leave();
    }

    /// The next job: of the user who comes next, the one that has waited longest.
    fn next(&mut self) -> Option<Waiting<M, B>> {
        let shared = &self.0.shared;
        let lanes = &shared.lanes;
        let mut waiting = lanes.waiting();
        loop {
            if shared.is_shut() {
                return None;
            }
            // Relaxed: as all of the schedule.
            let (floor, now) = (shared.floor.load(Ordering::Relaxed), shared.clock());
            let ready = waiting.iter().enumerate().filter(|(_, waiting)| !waiting.queue.account.is_blocked());
            let first = ready.min_by_key(|(at, waiting)| {
                // Who has waited for long comes first, however many users come anew.
                let overdue = now.saturating_sub(waiting.since) > OVERDUE;
                (!overdue, if overdue { waiting.since } else { waiting.queue.account.time().max(floor) }, *at)
            });
            if let Some((at, _)) = first {
                let next = waiting.remove(at);
                next.queue.in_lanes.fetch_sub(1, Ordering::Relaxed);
                // Under the lock: who purges later sees it.
                self.0.post.begin(next.queue.id);
                return Some(next);
            }
            waiting = lanes.bell.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn perform(&mut self, queue: &Queue<M, B>, mut item: WorkItem, since: u64) {
        let begun = self.0.shared.clock();
        self.0.run_item(queue, &mut item);
        self.0.charge(queue, begun, Some(since));
        let mut side = queue.complete_side();
        if item.stage() == Stage::Complete {
            self.0.answer(queue, &mut side, &item);
        }
        self.0.publish(queue, &mut side);
    }
}
