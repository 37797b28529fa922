//! Sleeping on several descriptors at once, and being woken from outside.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// A descriptor that another thread makes readable.
#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Makes the descriptor readable until it is cleared.
    pub(crate) fn ring(&self) {
        // Fails only when the counter is full, and then the descriptor is readable anyway.
        let _ = self.0.write(1);
    }

    pub(crate) fn clear(&self) {
        // Fails only when nothing was rung.
        let _ = self.0.read();
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sleeps until one of `descriptors` is readable or has failed, at most `within`, and says which are.
pub(crate) fn sleep_on(descriptors: &[BorrowedFd<'_>], within: Duration) -> io::Result<Vec<bool>> {
    let mut entries: Vec<_> = descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    sleep(&mut entries, within)?;
    Ok(entries.iter().map(|entry| entry.revents().is_some_and(|events| !events.is_empty())).collect())
}

/// Sleeps until `signal` is readable, or either has failed or is hung up; at most `within`.
pub(crate) fn sleep_beside(signal: BorrowedFd<'_>, other: BorrowedFd<'_>, within: Duration) -> io::Result<()> {
    // A failure and a hang-up are told without being asked for.
    sleep(&mut [PollFd::new(signal, PollFlags::POLLIN), PollFd::new(other, PollFlags::empty())], within)
}

fn sleep(entries: &mut [PollFd<'_>], within: Duration) -> io::Result<()> {
    // Rounded up, so that a deadline is not polled for in a busy loop during its last millisecond.
    let millis = within.as_millis().saturating_add(u128::from(!within.subsec_nanos().is_multiple_of(1_000_000)));
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    match poll(entries, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
