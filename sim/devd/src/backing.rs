//! What one queue of a client stands on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapRaw;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, send, setsockopt, shutdown, socketpair, sockopt,
};
use uaccel_sim::UserPage;
use uaccel_sim::pool::{Backing, RingBlock, Rings};

use crate::alert::Alert;
use crate::memfd;
use crate::memory::ClientMemory;

/// Bytes of the buffer for signals, the least the kernel gives.
const SIGNALS: usize = 4608;
/// Pieces of ring memory a queue can have.
const RINGS: usize = 4;

/// What one queue stands on: registers and rings in memory files that the client maps too, a socket to wake the client, an eventfd for its doorbell.
///
/// The client can write all of the memory at any time. A signal is sent without waiting for the receiver, and nobody here reads or writes the eventfd, so
/// there is no call of ours that it could block.
#[derive(Debug)]
pub(crate) struct ClientBacking {
    page: MmapRaw,
    rings: Mutex<Handed>,
    memory: ClientMemory,
    signal: OwnedFd,
    bell: EventFd,
    alert: Arc<Alert>,
}

/// Ring memory that was handed out.
#[derive(Debug, Default)]
struct Handed {
    rings: Rings,
    /// How often any was, so that no address is ever used again.
    count: u32,
}

/// The client's side of a queue.
#[derive(Debug)]
pub(crate) struct Ends {
    /// The registers: a memory file of one page.
    pub(crate) page: OwnedFd,
    /// Becomes readable when the device signals.
    pub(crate) signal: OwnedFd,
}

/// Why there is no more ring memory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    #[error("a queue has at most {RINGS} pieces of ring memory until it is reset")]
    Pieces,
    #[error("{0} bytes of ring memory are none, or more than the largest ring of the device needs ({1})")]
    Length(u64, usize),
    #[error("ring memory cannot be made")]
    System(#[from] io::Error),
}

impl ClientBacking {
    /// A new queue, and what its client gets.
    pub(crate) fn new(memory: ClientMemory, alert: Arc<Alert>) -> io::Result<(Self, Ends)> {
        let (page_file, page) = memfd::create(c"uaccel-page", UserPage::SIZE)?;
        // Not a pipe: its reader holds the pipe's lock while the kernel copies to memory of his, which may not answer, and a writer waits for that lock even
        // if he asked not to wait. Who sends to a socket never waits for the receiver.
        let (read, signal) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
        // One byte that has not been read says it all, and nothing is taken from the client.
        setsockopt(&signal, sockopt::SndBuf, &SIGNALS)?;
        shutdown(signal.as_raw_fd(), Shutdown::Read)?;
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        let backing = Self { page, rings: Mutex::default(), memory, signal, bell, alert };
        Ok((backing, Ends { page: page_file, signal: read }))
    }

    /// The doorbell.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Hands out one more piece of ring memory, of at least `len` bytes and of `most` at most: its address, length and file.
    pub(crate) fn hand_out(&self, len: u64, most: usize) -> Result<(u64, usize, OwnedFd), RingError> {
        let fits = usize::try_from(len).ok().filter(|len| (1..=most).contains(len));
        let len = fits.and_then(|len| len.checked_next_multiple_of(4096)).ok_or(RingError::Length(len, most))?;
        let mut handed = self.lock();
        if handed.rings.len() >= RINGS {
            return Err(RingError::Pieces);
        }
        let (file, map) = memfd::create(c"uaccel-rings", len)?;
        handed.count = handed.count.checked_add(1).filter(|count| count >> 30 == 0).ok_or(RingError::Pieces)?;
        // No program has addresses in the upper half.
        let base = 1 << 63 | u64::from(handed.count) << 32;
        handed.rings.push(Arc::new(RingBlock::new(map, base)));
        Ok((base, len, file))
    }

    fn lock(&self) -> MutexGuard<'_, Handed> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backing for ClientBacking {
    type Memory = ClientMemory;

    fn page(&self) -> &UserPage {
        // SAFETY: the mapping is page-aligned, of that size, writable, and lives as long as `self`; the file cannot shrink. `UserPage` is made of
        // atomic words, for which every value is valid, whoever writes it.
        unsafe { &*self.page.as_mut_ptr().cast::<UserPage>() }
    }

    fn rings(&self) -> Rings {
        self.lock().rings.clone()
    }

    fn forget_rings(&self) {
        self.lock().rings.clear();
    }

    fn memory(&self) -> ClientMemory {
        self.memory.clone()
    }

    fn signal(&self) {
        // A full socket is readable already; without a reader nobody wants to know.
        let _ = send(self.signal.as_raw_fd(), &[1], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
    }

    /// The client reads its own end.
    fn clear_signal(&self) -> bool {
        false
    }

    fn give_up(&self) {
        self.alert.give_up();
    }
}
