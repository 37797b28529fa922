//! What a device has done.

use core::sync::atomic::{AtomicU64, Ordering};

/// What a device has done, summed over its open queues, and queue by queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All queues together, closed ones included.
    pub total: QueueStats,
    /// The open queues, by the number of their address space and in the order they were opened.
    pub queues: Vec<QueueStats>,
    /// Queues whose memory was given up because the device would not stop.
    pub leaked_queues: u64,
}

/// What one queue has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs and commands answered.
    pub jobs: u64,
    /// Bytes that answered jobs named.
    pub bytes: u64,
    /// Jobs that ended at a bad address.
    pub faults: u64,
    /// Pages that were missing, by the plan or because the port said so.
    pub page_requests: u64,
    /// Signals given to sleepers.
    pub signals: u64,
}

impl QueueStats {
    pub(crate) fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.bytes += other.bytes;
        self.faults += other.faults;
        self.page_requests += other.page_requests;
        self.signals += other.signals;
    }
}

/// The counters of one queue. Written under the queue's completion lock only, so that counting costs no atomic read-modify-write.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) jobs: Counter,
    pub(crate) bytes: Counter,
    pub(crate) faults: Counter,
    pub(crate) page_requests: Counter,
    pub(crate) signals: Counter,
}

/// A number that one writer at a time counts up, and anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Counts up. The caller is the only writer.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn snapshot(&self) -> QueueStats {
        QueueStats {
            jobs: self.jobs.get(),
            bytes: self.bytes.get(),
            faults: self.faults.get(),
            page_requests: self.page_requests.get(),
            signals: self.signals.get(),
        }
    }
}
