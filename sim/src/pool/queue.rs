//! One open queue.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::port::PoolPort;
use super::{Account, Backing, Rings};
use crate::stats::Counters;
use crate::{DeviceModel, Opening, QueueStats, WorkItem};

/// One open queue of a [`Pool`](super::Pool).
// Locks, where several are taken: fetch, then complete.
pub struct Queue<M: DeviceModel, B: Backing> {
    /// Never 0, and never used again.
    pub(super) id: u64,
    pub(super) opening: Opening,
    pub(super) backing: B,
    /// Whose it is.
    pub(super) account: Arc<Account>,
    /// The memory of its jobs.
    pub(super) memory: B::Memory,
    fetch: Mutex<FetchSide<M, B>>,
    complete: Mutex<CompleteSide<M, B>>,
    /// How many wait for the fetch side. Who keeps it from one batch to the next looks here.
    wanted: AtomicUsize,
    /// Jobs that a plan keeps from beginning.
    pub(super) held: Mutex<Vec<WorkItem>>,
    /// Whether jobs that have not begun are to be dropped.
    stopping: AtomicBool,
    /// Whether the user wants to be told, in the state word, when the queue has stopped.
    pub(super) owes_stopped: AtomicBool,
    /// Whether the device gave up on the queue; only a reset helps.
    pub(super) failed: AtomicBool,
    /// Its jobs that wait for a lane. Changed under the lock of the lanes.
    pub(super) in_lanes: AtomicUsize,
    /// Since when jobs were seen waiting in the ring, on the pool's clock; 0 if none were.
    pub(super) backlog_since: AtomicU64,
    pub(super) counters: Counters,
}

/// What is needed for taking jobs.
pub(super) struct FetchSide<M: DeviceModel, B: Backing> {
    pub(super) submissions: M::Submissions,
    pub(super) port: PoolPort<B::Memory>,
    pub(super) running: bool,
}

/// What is needed for answering them.
pub(super) struct CompleteSide<M: DeviceModel, B: Backing> {
    pub(super) completions: M::Completions,
    pub(super) port: PoolPort<B::Memory>,
    /// Answers that a plan keeps until so many others were given.
    pub(super) late: Vec<(u32, WorkItem)>,
}

impl<M: DeviceModel, B: Backing> Queue<M, B> {
    pub(super) fn new(model: &M, id: u64, opening: Opening, backing: B, account: Arc<Account>) -> Self {
        model.describe(backing.page());
        let (submissions, completions) = model.open_queue(opening);
        let memory = backing.memory();
        let port = || PoolPort::new(Rings::default(), memory.clone());
        Self {
            id,
            opening,
            account,
            fetch: Mutex::new(FetchSide { submissions, port: port(), running: false }),
            complete: Mutex::new(CompleteSide { completions, port: port(), late: Vec::new() }),
            memory,
            backing,
            wanted: AtomicUsize::new(0),
            held: Mutex::default(),
            stopping: AtomicBool::new(false),
            owes_stopped: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            in_lanes: AtomicUsize::new(0),
            backlog_since: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    /// What it was opened with.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// What it stands on.
    pub fn backing(&self) -> &B {
        &self.backing
    }

    /// The way to the rings that were handed out so far.
    pub(super) fn port(&self) -> PoolPort<B::Memory> {
        PoolPort::new(self.backing.rings(), self.memory.clone())
    }

    /// What it has done.
    pub fn stats(&self) -> QueueStats {
        self.counters.snapshot()
    }

    /// The fetch side, unless somebody has it.
    #[inline]
    pub(super) fn try_fetch_side(&self) -> Option<MutexGuard<'_, FetchSide<M, B>>> {
        match self.fetch.try_lock() {
            Ok(side) => Some(side),
            Err(TryLockError::Poisoned(side)) => Some(side.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn fetch_side(&self) -> MutexGuard<'_, FetchSide<M, B>> {
        // Relaxed, both: a hint, and the lock orders the rest.
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let side = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        self.wanted.fetch_sub(1, Ordering::Relaxed);
        side
    }

    /// Whether somebody waits for the fetch side.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    #[inline]
    pub(super) fn complete_side(&self) -> MutexGuard<'_, CompleteSide<M, B>> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Vec<WorkItem>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device gives up on the queue, and its user is told to look.
    pub(super) fn give_up(&self) {
        // Relaxed: the model has said so in the rings, and the signal only says where to look.
        self.failed.store(true, Ordering::Relaxed);
        self.backing.signal();
    }

    /// Whether jobs that have not begun are to be dropped.
    #[inline]
    pub(super) fn is_stopping(&self) -> bool {
        // Relaxed: a worker that sees it late works on, and whoever stops the queue waits for it.
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn set_stopping(&self, stopping: bool) {
        self.stopping.store(stopping, Ordering::Relaxed);
    }
}

impl<M: DeviceModel, B: Backing> fmt::Debug for Queue<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("id", &self.id)
            .field("opening", &self.opening)
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}
