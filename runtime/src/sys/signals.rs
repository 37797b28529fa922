//! One descriptor for the signals of several.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

/// Becomes readable when one of its descriptors does.
///
/// It asks those that have woken it: once, where a descriptor shows a signal once, as those of uacce do. Whoever takes signals from the descriptors themselves takes them here as well.
#[derive(Debug)]
pub(crate) struct Signals(Epoll);

impl Signals {
    /// Without any.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Adds the file behind a descriptor.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?)
    }

    /// Takes the file behind a descriptor out, before another one is put there.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.delete(fd)?)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}
