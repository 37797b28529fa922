//! The one thing all limits have in common: a timed repetition.

use std::time::{Duration, Instant};

use crate::error::{RawError, within};

/// Something whose best possible time can be measured again and again.
pub trait Limit: Send {
    /// Short name, unique in the [catalogue](crate::catalogue()), for example `mailbox/depth-1`.
    fn name(&self) -> &str;

    /// What is measured, and what one operation is, in a sentence.
    fn explanation(&self) -> &'static str;

    /// How many operations make a repetition that is long beside the clock's resolution and short for a person
    /// (a few to some tens of milliseconds on a quiet machine).
    fn suggested_operations(&self) -> u64;

    /// Runs **one** timed repetition of `operations` operations and returns **nanoseconds per operation**.
    ///
    /// The calling thread is pinned for the time of the call. An eighth as many operations are run untimed before.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`] if `operations` is zero or above 2⁴⁰, [`RawError::Pin`] if the caller cannot be
    /// placed, [`RawError::EngineGone`], [`RawError::OutOfOrder`] and [`RawError::Os`] as they say.
    fn measure(&mut self, operations: u64) -> Result<f64, RawError>;
}

/// Largest untimed run before a repetition, in operations.
const MOST_WARM_UP: u64 = 50_000;

/// Runs `body(few)` untimed, then `body(operations)` timed; nanoseconds per operation.
pub(crate) fn timed(operations: u64, mut body: impl FnMut(u64) -> Result<(), RawError>) -> Result<f64, RawError> {
    within("the number of operations", operations, 1, 1 << 40)?;
    body((operations / 8 + 1).min(MOST_WARM_UP))?;
    let start = Instant::now();
    body(operations)?;
    // A clock too coarse to see the run at all must not turn into a time of zero.
    let nanoseconds = (start.elapsed().as_secs_f64() * 1e9).max(1.0);
    Ok(nanoseconds / operations as f64)
}

/// The same for what is to be timed after everybody has gone to sleep: pauses before each operation, and counts only the operations.
///
/// # Errors
///
/// [`RawError::BadParameter`] if `operations` is zero or above 2²⁰; the first error of `operation`.
pub fn after_pauses<E: From<RawError>>(
    operations: u64,
    pause: Duration,
    mut operation: impl FnMut() -> Result<(), E>,
) -> Result<f64, E> {
    within("the number of operations", operations, 1, 1 << 20)?;
    let mut sum = Duration::ZERO;
    operation()?;
    for _ in 0..operations {
        std::thread::sleep(pause);
        let start = Instant::now();
        operation()?;
        sum += start.elapsed();
    }
    Ok((sum.as_secs_f64() * 1e9).max(1.0) / operations as f64)
}

/// Held by tests that spin on two CPUs: side by side they would only wait for each other's time slices.
#[cfg(test)]
pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_runs_once_to_warm_up_and_once_for_the_clock() {
        let mut runs = Vec::new();
        let ns = timed(80, |n| {
            runs.push(n);
            Ok(())
        })
        .expect("valid count");
        assert_eq!(runs, [11, 80]);
        assert!(ns.is_finite() && ns > 0.0);
    }

    #[test]
    fn no_operations_is_an_error_and_not_a_division_by_zero() {
        assert!(matches!(timed(0, |_| Ok(())), Err(RawError::BadParameter { given: 0, .. })));
    }
}
