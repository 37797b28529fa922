//! One open queue.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use uaccel_queue::TransportError;

use super::memory::RingBlock;
use super::port::ThreadPort;
use crate::stats::Counters;
use crate::{AddressSpace, DeviceModel, UserPage, WorkItem};

/// One open queue. Locks, where several are taken: fetch, then complete.
pub(super) struct Queue<M: DeviceModel> {
    /// Never 0, and never used again.
    pub(super) id: u64,
    pub(super) space: AddressSpace,
    pub(super) page: Arc<UserPage>,
    /// Ring memory handed out.
    pub(super) rings: Mutex<Vec<Arc<RingBlock>>>,
    fetch: Mutex<FetchSide<M>>,
    complete: Mutex<CompleteSide<M>>,
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
    /// Signals to the user.
    pub(super) event: EventFd,
    pub(super) counters: Counters,
}

/// What is needed for taking jobs.
pub(super) struct FetchSide<M: DeviceModel> {
    pub(super) submissions: M::Submissions,
    pub(super) port: ThreadPort,
    pub(super) running: bool,
}

/// What is needed for answering them.
pub(super) struct CompleteSide<M: DeviceModel> {
    pub(super) completions: M::Completions,
    pub(super) port: ThreadPort,
    /// Answers that a plan keeps until so many others were given.
    pub(super) late: Vec<(u32, WorkItem)>,
}

impl<M: DeviceModel> Queue<M> {
    pub(super) fn new(model: &M, id: u64, space: AddressSpace) -> Result<Self, TransportError> {
        let page = Arc::new(UserPage::new());
        model.describe(&page);
        let (submissions, completions) = model.open_queue(space);
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| TransportError::System { call: "eventfd", source: errno.into() })?;
        Ok(Self {
            id,
            space,
            page,
            rings: Mutex::default(),
            fetch: Mutex::new(FetchSide { submissions, port: ThreadPort::new(Vec::new()), running: false }),
            complete: Mutex::new(CompleteSide { completions, port: ThreadPort::new(Vec::new()), late: Vec::new() }),
            wanted: AtomicUsize::new(0),
            held: Mutex::default(),
            stopping: AtomicBool::new(false),
            owes_stopped: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            event,
            counters: Counters::default(),
        })
    }

    /// The fetch side, unless somebody has it.
    #[inline]
    pub(super) fn try_fetch_side(&self) -> Option<MutexGuard<'_, FetchSide<M>>> {
        match self.fetch.try_lock() {
            Ok(side) => Some(side),
            Err(TryLockError::Poisoned(side)) => Some(side.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn fetch_side(&self) -> MutexGuard<'_, FetchSide<M>> {
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
    pub(super) fn complete_side(&self) -> MutexGuard<'_, CompleteSide<M>> {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Vec<WorkItem>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Tells the user to look.
    pub(super) fn signal(&self) {
        // The counter can only be too full to count on, and then it is readable already.
        let _ = self.event.write(1);
    }

    /// Takes back all signals. Whether there was one.
    pub(super) fn clear_signal(&self) -> bool {
        self.event.read().is_ok()
    }
}

impl<M: DeviceModel> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("id", &self.id)
            .field("space", &self.space)
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}
