//! Signals that come as bytes through a socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::read;

use super::signal;

/// The end of a socket, or of a pipe, that becomes readable with a signal, and when nobody is left who could send one.
#[derive(Debug)]
pub(crate) struct SignalSocket {
    end: OwnedFd,
    ended: AtomicBool,
}

impl SignalSocket {
    pub(crate) fn new(end: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_truncate(fcntl(&end, FcntlArg::F_GETFL)?);
        fcntl(&end, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self { end, ended: AtomicBool::new(false) })
    }

    /// Takes the signals that are there, and says whether there were any.
    pub(crate) fn take(&self) -> bool {
        // As many as nobody takes back one by one; what is left shows again.
        let mut bytes = [0; 256];
        match read(&self.end, &mut bytes) {
            Ok(0) => {
                // Relaxed: a note that stays, and orders nothing.
                self.ended.store(true, Ordering::Relaxed);
                false
            }
            Ok(_) => true,
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Err(errno) => {
                tracing::warn!(%errno, "signals cannot be read");
                self.ended.store(true, Ordering::Relaxed);
                false
            }
        }
    }

    /// Whether no signal can come any more.
    pub(crate) fn has_ended(&self) -> bool {
        // Relaxed: see `take`.
        self.ended.load(Ordering::Relaxed)
    }

    /// Sleeps until there is a signal or none can come, until `other` is hung up, or for `within`. Takes what signals there are and says whether there
    /// were any.
    pub(crate) fn sleep(&self, other: BorrowedFd<'_>, within: Duration) -> io::Result<bool> {
        signal::sleep_beside(self.end.as_fd(), other, within)?;
        Ok(self.take())
    }
}

impl AsFd for SignalSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}
