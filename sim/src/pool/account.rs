//! One user of a device, as the scheduler knows it.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

/// Virtual nanoseconds per nanosecond of a user of weight 1.
const SCALE: u64 = 16;

/// One user of a device, however many queues it has: its share, the time it has used, and what was done for it.
///
/// Users are served by start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): each has a virtual time, which runs on by the time the device
/// spent on it, divided by its weight; the one whose virtual time is least comes first. Who was idle does not get the past made up.
#[derive(Debug)]
pub struct Account {
    weight: u64,
    time: AtomicU64,
    /// Threads that are held up in this user's memory.
    held_up: AtomicUsize,
    jobs: AtomicU64,
    bytes: AtomicU64,
    faults: AtomicU64,
    wait: AtomicU64,
    service: AtomicU64,
}

/// What was done for one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountStats {
    /// Jobs and commands answered.
    pub jobs: u64,
    /// Bytes that answered jobs named.
    pub bytes: u64,
    /// Jobs that ended at a bad address.
    pub faults: u64,
    /// For how long its jobs were seen waiting while the device did something else.
    pub wait: Duration,
    /// For how long the device worked for it; jobs that do nothing count as little, and short copies between windows as long as they are thought to take.
    pub service: Duration,
    /// Whether a call that reaches for its memory is blocked, so that it is not served.
    pub blocked: bool,
}

impl Account {
    /// A user of this weight, 1 to 16: its share of a busy device is its weight among those of all who have work for it.
    #[must_use]
    pub fn new(weight: u32) -> Self {
        Self {
            weight: u64::from(weight).clamp(1, SCALE),
            time: AtomicU64::new(0),
            held_up: AtomicUsize::new(0),
            jobs: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            wait: AtomicU64::new(0),
            service: AtomicU64::new(0),
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn snapshot(&self) -> AccountStats {
        // Relaxed, here and below: numbers for people, and a schedule that may be a little off.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AccountStats {
            jobs: read(&self.jobs),
            bytes: read(&self.bytes),
            faults: read(&self.faults),
            wait: Duration::from_nanos(read(&self.wait)),
            service: Duration::from_nanos(read(&self.service)),
            blocked: self.is_blocked(),
        }
    }

    /// The virtual time.
    #[inline]
    pub(super) fn time(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Charges time that was spent, from `floor` on at least: time in which the user had nothing to do is gone. Returns the virtual time.
    pub(super) fn charge(&self, floor: u64, spent: u64) -> u64 {
        let share = spent.saturating_mul(SCALE) / self.weight;
        self.time.fetch_max(floor, Ordering::Relaxed);
        self.service.fetch_add(spent, Ordering::Relaxed);
        self.time.fetch_add(share, Ordering::Relaxed) + share
    }

    /// Counts answered jobs.
    pub(super) fn count(&self, jobs: u64, bytes: u64, faults: u64) {
        self.jobs.fetch_add(jobs, Ordering::Relaxed);
        if bytes != 0 {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        if faults != 0 {
            self.faults.fetch_add(faults, Ordering::Relaxed);
        }
    }

    /// Counts time that jobs waited.
    pub(super) fn count_wait(&self, waited: Duration) {
        if waited.is_zero() {
            return;
        }
        self.wait.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A thread is held up in the user's memory, or is no longer.
    pub(super) fn hold_up(&self) {
        self.held_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn let_go(&self) {
        self.held_up.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a thread is held up in the user's memory.
    #[inline]
    pub(super) fn is_blocked(&self) -> bool {
        self.held_up.load(Ordering::Relaxed) != 0
    }
}
