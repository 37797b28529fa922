//! When a device that had no queue to give is asked for one again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long to leave a device alone of which other processes have all queues: asking takes system calls.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// How long to leave a device alone that gives none for another reason, or is not there.
const DOWN_PAUSE: Duration = Duration::from_millis(20);

/// How many times as long as it took to be told so, if that is longer: a device that lets its users wait is to cost them a small part of their time.
const PATIENCE: u32 = 4;

/// But no longer than this, so that it is found when it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Who asks a device for queues: one thread at a time, and not again at once after it had none.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// Held while a queue is asked for.
    turn: Mutex<()>,
    /// Held for moments only.
    last: Mutex<Option<Failed>>,
}

/// An attempt that failed.
#[derive(Clone, Debug)]
struct Failed {
    refusal: Refusal,
    /// Until then there is no use in trying.
    until: Instant,
}

/// Why there is no use in asking now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Other processes have all queues: one will be free again.
    Busy,
    /// The device gives none, for this reason.
    Down(Arc<str>),
}

/// The right to ask for a queue.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    attempts: &'a Attempts,
    begun: Instant,
    _turn: MutexGuard<'a, ()>,
}

impl Attempts {
    /// Waits for the turn to ask. If the device is known to be down, nobody waits for another thread that finds it so again.
    ///
    /// # Errors
    /// What the last attempt met, if it was just now.
    pub(crate) fn begin(&self) -> Result<Turn<'_>, Refusal> {
        self.allow()?;
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => {
                // Not locked while the turn is waited for: whoever has it wants both.
                let last = self.last().clone();
                if let Some(Failed { refusal: refusal @ Refusal::Down(_), .. }) = last {
                    return Err(refusal);
                }
                self.turn.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        // Whoever had the turn before may have been told something.
        self.allow()?;
        Ok(Turn { attempts: self, begun: Instant::now(), _turn: turn })
    }

    fn allow(&self) -> Result<(), Refusal> {
        match &*self.last() {
            Some(Failed { refusal, until }) if Instant::now() < *until => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Failed>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// There was a queue.
    pub(crate) fn succeeded(self) {
        *self.attempts.last() = None;
    }

    /// There was none.
    pub(crate) fn failed(self, refusal: Refusal) {
        let now = Instant::now();
        let pause = match refusal {
            Refusal::Busy => BUSY_PAUSE,
            Refusal::Down(_) => {
                now.duration_since(self.begun).saturating_mul(PATIENCE).clamp(DOWN_PAUSE, LONGEST_PAUSE)
            }
        };
        *self.attempts.last() = Some(Failed { refusal, until: now + pause });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_while_another_finds_the_device_down_is_told_why_and_does_not_wait() {
        let attempts = Attempts::default();
        let down = Refusal::Down("it is away".into());
        attempts.begin().expect("nobody has tried").failed(down.clone());
        // Until the pause is over, everybody is told the same.
        let turn = loop {
            match attempts.begin() {
                Ok(turn) => break turn,
                Err(refusal) => assert_eq!(refusal, down),
            }
            std::thread::sleep(DOWN_PAUSE);
        };
        assert_eq!(attempts.begin().expect_err("somebody is at it"), down);
        turn.succeeded();
        drop(attempts.begin().expect("it is back"));
    }
}
