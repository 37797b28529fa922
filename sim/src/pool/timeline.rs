//! Jobs whose time runs.

use core::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::{Mishap, WorkItem};

/// A job that is done, but may only be answered later.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) at: Instant,
    /// The queue it belongs to.
    pub(super) queue: u64,
    pub(super) item: WorkItem,
    pub(super) mishap: Option<Mishap>,
    order: u64,
}

/// Jobs whose time runs, in the order of their ends.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    heap: BinaryHeap<Due>,
    pushed: u64,
}

impl Timeline {
    pub(super) fn push(&mut self, at: Instant, queue: u64, item: WorkItem, mishap: Option<Mishap>) {
        self.pushed += 1;
        self.heap.push(Due { at, queue, item, mishap, order: self.pushed });
    }

    /// Takes out the next job whose time is up.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        if self.heap.peek()?.at <= now { self.heap.pop() } else { None }
    }

    /// When the next job's time is up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|due| due.at)
    }

    /// Takes out all jobs of a queue that are not answered.
    pub(super) fn purge(&mut self, queue: u64) {
        self.heap.retain(|due| due.queue != queue);
    }
}

// The heap's greatest comes first: that is the earliest, and of equals the first pushed.
impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}
