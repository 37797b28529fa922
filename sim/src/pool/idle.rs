//! How long a worker has found nothing.

use std::thread;
use std::time::{Duration, Instant};

/// How long an idle worker polls. Clearly longer than being woken takes, which is 50 to 100 µs on virtual machines: a client that our answer has just
/// woken must find us awake with its next job, or both would sleep over every single one.
const SPIN: Duration = Duration::from_micros(300);
/// Empty polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 8;

/// How long nothing was found.
#[derive(Default)]
pub(super) struct Idle {
    polls: u32,
    since: Option<Instant>,
}

impl Idle {
    /// Whether to poll on, after a poll that found nothing.
    #[inline]
    pub(super) fn poll_on(&mut self, spare: bool) -> bool {
        self.polls += 1;
        if !spare {
            // Whoever is to give us work may be waiting for this CPU.
            thread::yield_now();
        }
        if !self.polls.is_multiple_of(POLLS_PER_LOOK) {
            return true;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() < SPIN
    }
}
