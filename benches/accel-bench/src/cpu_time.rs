//! How much processor time was used.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Processor time of the calling thread so far.
#[must_use]
pub fn of_thread() -> Duration {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// Processor time of all threads of the process so far.
#[must_use]
pub fn of_process() -> Duration {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every Linux; should one not, differences are zero.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}
