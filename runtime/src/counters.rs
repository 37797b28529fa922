//! What has happened so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of what has happened on one device since the runtime was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Jobs answered, well or not.
    pub jobs: u64,
    /// Jobs answered with another status than success.
    pub failures: u64,
    /// Bytes that answered jobs have read.
    pub bytes_in: u64,
    /// Bytes that answered jobs have written.
    pub bytes_out: u64,
    /// Jobs that the CPU did in the device's place.
    pub fallbacks: u64,
    /// Bytes that the CPU worked on in the device's place.
    pub fallback_bytes: u64,
    /// Jobs in pieces of which the device took one piece only, so that what they read was brought together, and what they wrote was spread.
    pub gathered: u64,
    /// Bytes that were copied for that, both ways.
    pub gathered_bytes: u64,
    /// Jobs of streams that were done again after the device had failed.
    pub repeats: u64,
    /// Times a job had to wait because the queue was full.
    pub full: u64,
    /// Jobs that were not done in time.
    pub deadlines: u64,
    /// Queues brought back after a stop.
    pub resets: u64,
    /// Jobs whose buffers were leaked because the device would not let go.
    pub lost: u64,
    /// Futures that were dropped before their job was done.
    pub abandoned: u64,
    /// Sessions opened on queues.
    pub sessions: u64,
}

/// Counters that several threads write. Each is a statistic of its own, so Relaxed throughout.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) jobs: Count,
    pub(crate) failures: Count,
    pub(crate) bytes_in: Count,
    pub(crate) bytes_out: Count,
    pub(crate) fallbacks: Count,
    pub(crate) fallback_bytes: Count,
    pub(crate) gathered: Count,
    pub(crate) gathered_bytes: Count,
    pub(crate) repeats: Count,
    pub(crate) full: Count,
    pub(crate) deadlines: Count,
    pub(crate) resets: Count,
    pub(crate) lost: Count,
    pub(crate) abandoned: Count,
    pub(crate) sessions: Count,
}

impl Tally {
    pub(crate) fn add_to(&self, sum: &mut Counters) {
        sum.jobs += self.jobs.get();
        sum.failures += self.failures.get();
        sum.bytes_in += self.bytes_in.get();
        sum.bytes_out += self.bytes_out.get();
        sum.fallbacks += self.fallbacks.get();
        sum.fallback_bytes += self.fallback_bytes.get();
        sum.gathered += self.gathered.get();
        sum.gathered_bytes += self.gathered_bytes.get();
        sum.repeats += self.repeats.get();
        sum.full += self.full.get();
        sum.deadlines += self.deadlines.get();
        sum.resets += self.resets.get();
        sum.lost += self.lost.get();
        sum.abandoned += self.abandoned.get();
        sum.sessions += self.sessions.get();
    }
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds, from any thread.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds, from the one thread that holds the queue: no read-modify-write on the hot path.
    #[inline]
    pub(crate) fn add_alone(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
