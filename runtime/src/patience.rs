//! How to wait: poll, spin, arm, poll again, sleep.

use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use uaccel_queue::Completer;

use crate::sys::cpus;

/// Polls before the clock is read for the first time.
const FREE_POLLS: u32 = 256;
/// Polls between two looks at the clock while spinning.
const POLLS_PER_LOOK: u32 = 32;
/// How long to spin with a processor to spare: about what a wake-up costs.
const SPIN: Duration = Duration::from_micros(50);
/// The longest sleep: what a lost signal costs.
pub(crate) const BACKSTOP: Duration = Duration::from_millis(100);
/// The longest sleep where nothing can wake the sleeper.
const BLIND_SLEEP: Duration = Duration::from_millis(1);

/// A century: what can still be added to the time of day, whatever a caller says who wants no deadline.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Threads that spin at the moment, in this process.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

/// The state of one wait. It costs nothing until a poll has found nothing, and reads no clock for the first polls after that.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    polls: u32,
    since: Option<Instant>,
    spin_until: Option<Instant>,
    spinning: bool,
    armed: bool,
    blind: Duration,
}

/// What to do after a poll that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Poll again.
    Poll,
    /// Sleep until then, or until the device signals; then poll.
    Sleep(Instant),
    /// The time is over.
    Expired,
}

impl Patience {
    /// A wait of at most `limit`, or [`FOREVER`] if that is less, counted from the first polls that find nothing.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit: limit.min(FOREVER),
            polls: 0,
            since: None,
            spin_until: None,
            spinning: false,
            armed: false,
            blind: Duration::from_micros(50),
        }
    }

    /// Something was found: the next wait starts afresh.
    #[inline]
    pub(crate) fn found(&mut self) {
        if self.polls != 0 {
            self.stop_spinning();
            *self = Self::new(self.limit);
        }
    }

    /// A poll has found nothing.
    #[inline]
    pub(crate) fn next(&mut self, completer: &mut dyn Completer, wakes: bool) -> Next {
        self.polls = self.polls.wrapping_add(1);
        if self.polls < FREE_POLLS && cpus::usable() > 1 {
            hint::spin_loop();
            return Next::Poll;
        }
        self.next_slowly(completer, wakes)
    }

    #[cold]
    fn next_slowly(&mut self, completer: &mut dyn Completer, wakes: bool) -> Next {
        if self.spin_until.is_some() && !self.polls.is_multiple_of(POLLS_PER_LOOK) && !self.armed {
            self.relax();
            return Next::Poll;
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let end = since + self.limit;
        if now >= end {
            self.stop_spinning();
            return Next::Expired;
        }
        if now < *self.spin_until.get_or_insert(now + SPIN) {
            if !self.spinning {
                self.spinning = true;
                // Relaxed: a hint for other spinners.
                SPINNING.fetch_add(1, Ordering::Relaxed);
            }
            self.relax();
            return Next::Poll;
        }
        self.stop_spinning();
        if !wakes {
            let nap = self.blind;
            self.blind = (nap * 2).min(BLIND_SLEEP);
            return Next::Sleep(end.min(now + nap));
        }
        if !self.armed {
            self.armed = true;
            completer.arm();
            // What was answered before the device saw the demand is not signalled.
            return Next::Poll;
        }
        self.armed = false;
        Next::Sleep(end.min(now + BACKSTOP))
    }

    /// Gives way: to the other thread of the core, or to other threads if there are not enough cores for those that spin.
    fn relax(&self) {
        // One processor is left for what is waited for.
        if SPINNING.load(Ordering::Relaxed) < cpus::usable() {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }

    fn stop_spinning(&mut self) {
        if std::mem::take(&mut self.spinning) {
            SPINNING.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.stop_spinning();
    }
}

#[cfg(test)]
mod tests {
    use uaccel_queue::{DeviceError, Done};

    use super::*;

    struct Silent;

    // SAFETY: it completes nothing.
    unsafe impl Completer for Silent {
        fn poll(&mut self, _: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
            Ok(())
        }

        fn arm(&mut self) {}
    }

    #[test]
    fn the_longest_deadline_there_is_does_not_expire_nor_overflow() {
        let mut patience = Patience::new(Duration::MAX);
        loop {
            match patience.next(&mut Silent, true) {
                Next::Poll => {}
                Next::Sleep(_) => break,
                Next::Expired => panic!("a century is not over"),
            }
        }
    }
}
