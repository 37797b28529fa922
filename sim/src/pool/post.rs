//! What one thread of a pool is doing, for the others to see.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What one thread of a pool is doing: the queue it is serving, and whether it is inside a call that reaches for a user's memory.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Post {
    /// The queue, 0 if none: as long as it stands here, the thread may touch memory of that queue.
    serving: AtomicU64,
    /// Counts the ends of calls that reach for memory: odd inside of one. [`Post::RELIEVED`] if another thread stands in.
    reaching: AtomicU64,
    /// Whether anybody watches `reaching`.
    watched: bool,
    /// Whether it is a thread for long jobs.
    lane: bool,
    /// Whether the thread counts among those who poll.
    polling: AtomicBool,
}

impl Post {
    const RELIEVED: u64 = u64::MAX;
    /// Relieved, and through with the batch in which that happened.
    const THROUGH: u64 = u64::MAX - 1;

    pub(super) fn new(watched: bool, lane: bool) -> Self {
        Self { watched, lane, ..Self::default() }
    }

    /// Whether it is a thread for long jobs.
    pub(super) fn is_lane(&self) -> bool {
        self.lane
    }

    /// The thread begins to serve. The caller holds the lock under which it took the jobs, so that whoever takes that lock later sees it.
    #[inline]
    pub(super) fn begin(&self, queue: u64) {
        self.serving.store(queue, Ordering::Relaxed);
    }

    /// The thread is through. Release, pairs with the acquire load in `serving`: all accesses to the queue's memory came before.
    #[inline]
    pub(super) fn end(&self) {
        self.serving.store(0, Ordering::Release);
    }

    /// The queue that is served.
    pub(super) fn serving(&self) -> u64 {
        self.serving.load(Ordering::Acquire)
    }

    /// Says whether the thread counts among those who poll. Only between calls of [`Self::reaching`].
    #[inline]
    pub(super) fn set_polling(&self, polling: bool) {
        // Relaxed: ordered by the release in `reaching`.
        self.polling.store(polling, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn is_polling(&self) -> bool {
        self.polling.load(Ordering::Relaxed)
    }

    /// Makes a call that reaches for a user's memory and may block.
    #[inline]
    pub(super) fn reaching<R>(&self, call: impl FnOnce() -> R) -> R {
        // Relaxed where nothing else is said: who watches acts on what stood still for long, and decides by one exchange.
        if !self.watched {
            return call();
        }
        let begun = self.reaching.load(Ordering::Relaxed);
        if begun >= Self::THROUGH {
            // Somebody stands in already: what is left of the batch may take its time.
            return call();
        }
        // Release: pairs with the acquire in `relieve`, which then knows whether the thread polled.
        self.reaching.store(begun + 1, Ordering::Release);
        let result = call();
        // If it was relieved meanwhile, it stays so.
        let _ = self.reaching.compare_exchange(begun + 1, begun + 2, Ordering::Relaxed, Ordering::Relaxed);
        result
    }

    /// The count while the thread is inside a call; `None` outside.
    pub(super) fn inside(&self) -> Option<u64> {
        let count = self.reaching.load(Ordering::Relaxed);
        (count < Self::THROUGH && count % 2 == 1).then_some(count)
    }

    /// Relieves the thread of its post, if it is still inside of the same call. It goes home when it is through with its batch.
    pub(super) fn relieve(&self, inside: u64) -> bool {
        self.reaching.compare_exchange(inside, Self::RELIEVED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Whether another thread stands in.
    #[inline]
    pub(super) fn is_relieved(&self) -> bool {
        self.reaching.load(Ordering::Relaxed) >= Self::THROUGH
    }

    /// The thread is through with a batch. Whether it was relieved in it.
    #[inline]
    pub(super) fn is_through(&self) -> bool {
        self.reaching.load(Ordering::Relaxed) == Self::RELIEVED && {
            self.reaching.store(Self::THROUGH, Ordering::Relaxed);
            true
        }
    }
}
