//! Who polls, who sleeps, and who has to be woken.
//!
//! A worker either polls all queues, or is busy with long work, or sleeps. As long as one polls, users need no doorbell. The last one that
//! stops polling in order to sleep sets the need-wake-up word of every queue, and whoever polls next clears it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

/// Who polls, who sleeps, and who has to be woken.
///
/// Workers sleep on a set of bells, each an eventfd that nobody ever reads: every write to one is an event of its own, and wakes one worker. One bell is the
/// pool's, the others belong to users in other processes.
#[derive(Debug)]
pub(super) struct Sleepers {
    state: Mutex<State>,
    bells: Epoll,
    own: EventFd,
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
    pub(super) fn new() -> nix::Result<Self> {
        let bells = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let own = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let sleepers = Self { state: Mutex::default(), bells, own };
        sleepers.add(sleepers.own.as_fd())?;
        Ok(sleepers)
    }

    /// Has writes to `bell` wake a sleeper.
    pub(super) fn add(&self, bell: BorrowedFd<'_>) -> nix::Result<()> {
        self.bells.add(bell, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0))
    }

    /// Ends that.
    pub(super) fn remove(&self, bell: BorrowedFd<'_>) -> nix::Result<()> {
        self.bells.delete(bell)
    }

    /// Wakes one worker, if nobody polls.
    pub(super) fn wake(&self) {
        let mut state = self.lock();
        if state.pollers == 0 && !state.ticket {
            state.ticket = true;
            drop(state);
            self.ring();
        }
    }

    /// Sends all workers home.
    pub(super) fn shut(&self) {
        self.lock().shut = true;
        self.ring();
    }

    /// Whether anybody polls.
    pub(super) fn anybody_polls(&self) -> bool {
        self.lock().pollers != 0
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
            self.ring();
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

    /// Sleeps until a bell wakes this worker, or until `until`. Afterwards it neither polls nor sleeps.
    pub(super) fn sleep(&self, until: Option<Instant>) {
        {
            let mut state = self.lock();
            if state.shut || core::mem::take(&mut state.ticket) {
                return;
            }
            state.sleeping += 1;
        }
        if let Err(error) = self.doze(until) {
            tracing::error!(%error, "worker cannot sleep");
            std::thread::sleep(core::time::Duration::from_millis(1));
        }
        let mut state = self.lock();
        state.sleeping -= 1;
        state.ticket = false;
        if state.shut {
            drop(state);
            // The event woke this worker only.
            self.ring();
        }
    }

    /// Waits for one event.
    fn doze(&self, until: Option<Instant>) -> io::Result<()> {
        let mut events = [EpollEvent::empty()];
        let timeout = match until {
            None => EpollTimeout::NONE,
            Some(until) => {
                // To the microsecond, which the set of bells does not know by itself.
                let left = TimeSpec::from_duration(until.saturating_duration_since(Instant::now()));
                let mut any = [PollFd::new(self.bells.0.as_fd(), PollFlags::POLLIN)];
                interruptible(ppoll(&mut any, Some(left), None))?;
                EpollTimeout::ZERO
            }
        };
        interruptible(self.bells.wait(&mut events, timeout))
    }

    fn ring(&self) {
        // The counter can only be too full to count on after 2⁶⁴ wake-ups.
        let _ = self.own.write(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A signal ends a sleep early, which is no error.
fn interruptible<T>(result: nix::Result<T>) -> io::Result<()> {
    match result {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
