//! The clock that all processes of a run share.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock; 0 if there is none.
#[must_use]
pub fn now() -> u64 {
    let Ok(time) = clock_gettime(ClockId::CLOCK_MONOTONIC) else { return 0 };
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    part(time.tv_sec()) * 1_000_000_000 + part(time.tv_nsec())
}
