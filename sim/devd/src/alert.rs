//! What a session is told by others.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// What a session is told by others: it sleeps on this as well as on its connection.
#[derive(Debug)]
pub(crate) struct Alert {
    bell: EventFd,
    given_up: AtomicBool,
    draining: AtomicBool,
}

impl Alert {
    pub(crate) fn new() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { bell, given_up: AtomicBool::new(false), draining: AtomicBool::new(false) })
    }

    /// The client's memory has kept the device waiting for too long.
    pub(crate) fn give_up(&self) {
        self.raise(&self.given_up);
    }

    /// The server ends.
    pub(crate) fn drain(&self) {
        self.raise(&self.draining);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn raise(&self, flag: &AtomicBool) {
        // Release, pairs with the acquire load of whoever was woken by the bell.
        flag.store(true, Ordering::Release);
        // It is never read, so it stays readable: there is no way back from either.
        let _ = self.bell.write(1);
    }
}

impl AsFd for Alert {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
