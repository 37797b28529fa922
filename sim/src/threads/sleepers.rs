//! Who polls, who sleeps, and who has to be woken.
//!
//! A worker either polls all queues, or is busy with long work, or sleeps. As long as one polls, users need no doorbell. The last one that
//! stops polling in order to sleep sets the need-wake-up word of every queue, and whoever polls next clears it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Who polls, who sleeps, and who has to be woken.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pollers: usize,
    sleeping: usize,
    /// A wake-up that nobody has taken yet.
    ticket: bool,
    /// Whether the need-wake-up words are set.
    flagged: bool,
    shut: bool,
}

impl Sleepers {
    /// Wakes one worker, if nobody polls.
    pub(super) fn wake(&self) {
        let mut state = self.lock();
        if state.pollers == 0 && !state.ticket {
            state.ticket = true;
            drop(state);
            self.bell.notify_one();
        }
    }

    /// Sends all workers home.
    pub(super) fn shut(&self) {
        self.lock().shut = true;
        self.bell.notify_all();
    }

    /// A worker begins to poll. `clear` clears the need-wake-up words.
    pub(super) fn begin_polling(&self, clear: impl FnOnce()) {
        let mut state = self.lock();
        state.pollers += 1;
        if core::mem::take(&mut state.flagged) {
            clear();
        }
    }

    /// A poller turns to long work: if it was the only one, a sleeper takes over.
    pub(super) fn begin_work(&self) {
        let mut state = self.lock();
        state.pollers -= 1;
        if state.pollers == 0 && state.sleeping > 0 && !state.ticket {
            state.ticket = true;
            drop(state);
            self.bell.notify_one();
        }
    }

    /// A poller is about to sleep. If it was the only one, `flag` sets the need-wake-up words; the caller then fences and looks once more.
    pub(super) fn begin_rest(&self, flag: impl FnOnce()) {
        let mut state = self.lock();
        state.pollers -= 1;
        if state.pollers == 0 && !state.flagged {
            state.flagged = true;
            flag();
        }
    }

    /// Sleeps until somebody wakes this worker, or until `until`. Afterwards it neither polls nor sleeps.
    pub(super) fn sleep(&self, until: Option<Instant>) {
        let mut state = self.lock();
        state.sleeping += 1;
        while !state.shut && !core::mem::take(&mut state.ticket) {
            state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.sleeping -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
