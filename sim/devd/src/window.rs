//! Memory that a client has registered: shared with the server, so that jobs need no call to reach it.

use core::sync::atomic::{AtomicBool, Ordering};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::{PoisonError, RwLock};

use memmap2::MmapRaw;
use uaccel_sim::Span;

use crate::memfd::{self, MemfdError};

/// One piece of a client's memory that is mapped here as well.
///
/// Its bytes can change at any time, so nobody makes a slice of them: they are moved by calls of the C library, under a lock, so that none is looked at twice
/// by what comes behind.
struct Window {
    id: u32,
    address: u64,
    map: MmapRaw,
}

/// The windows of one client.
#[derive(Default)]
pub struct Windows {
    /// Whether there is one: spares who has none the lock.
    any: AtomicBool,
    /// By address. Held for reading while bytes are moved, so that who takes a window off the list knows that nobody uses it any more.
    list: RwLock<Vec<Window>>,
}

/// Why there can be no such window.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// No memory of a program can be there.
    #[error("{len:#x} bytes at {address:#x} are no place for a window: it is made of whole pages")]
    Place {
        /// Where it should be.
        address: u64,
        /// How long.
        len: u64,
    },
    /// There is one already.
    #[error("the window at {address:#x} overlaps one that is there; unregister that first")]
    Overlap {
        /// Where it should be.
        address: u64,
    },
    /// Its memory cannot be used.
    #[error(transparent)]
    Memory(#[from] MemfdError),
}

const PAGE: u64 = 4096;

impl Windows {
    /// Adds a window of `len` bytes at the client's `address`, behind which is the memory file `fd`.
    ///
    /// # Errors
    /// See [`WindowError`].
    pub fn add(&self, id: u32, address: u64, len: u64, fd: BorrowedFd<'_>) -> Result<(), WindowError> {
        let place = WindowError::Place { address, len };
        let whole = len != 0 && address.is_multiple_of(PAGE) && len.is_multiple_of(PAGE);
        // The upper half is never a program's; ring memory has its addresses there.
        let below = address.checked_add(len).is_some_and(|end| end <= 1 << 63);
        let (true, true, Ok(size)) = (whole, below, usize::try_from(len)) else { return Err(place) };
        let map = memfd::adopt(fd, size)?;
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if list.iter().any(|other| address < other.end() && other.address < address + len) {
            return Err(WindowError::Overlap { address });
        }
        let at = list.partition_point(|other| other.address < address);
        list.insert(at, Window { id, address, map });
        // Relaxed: a job that names the window was published after the reply to its registration, through the ring's own ordering and this thread's
        // system calls; who is late reaches the same bytes the slow way.
        self.any.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a window away, and says how long it was; when this returns, nobody uses it any more. `None` if there is none of that number.
    pub fn remove(&self, id: u32) -> Option<u64> {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        let at = list.iter().position(|window| window.id == id)?;
        let window = list.remove(at);
        self.any.store(!list.is_empty(), Ordering::Relaxed);
        Some(window.map.len() as u64)
    }

    /// Takes all windows away.
    pub fn clear(&self) {
        self.list.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.any.store(false, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Whether `address` is in one.
    #[must_use]
    pub fn has(&self, address: u64) -> bool {
        self.with(address, 0, |_, _| ()).is_some()
    }

    /// Reads as much as lies in the window that has `address`; `None` if none has.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.with(address, into.len(), |start, len| {
            // SAFETY: `len` bytes at `start` are mapped while the list is locked (`with`), and the file cannot shrink (`adopt`); the
            // target is a slice of its own with as many bytes. The copy is the C library's, so that bytes which change meanwhile are only
            // stale or mixed.
            unsafe { libc::memcpy(into.as_mut_ptr().cast(), start.cast_const().cast(), len) };
            len
        })
    }

    /// Writes as much as lies in the window that has `address`; `None` if none has.
    pub fn write(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.with(address, from.len(), |start, len| {
            // SAFETY: as in `read`, the other way; the mapping is writable.
            unsafe { libc::memcpy(start.cast(), from.as_ptr().cast(), len) };
            len
        })
    }

    /// Copies between windows, if both ranges, of one length, lie in windows as a whole. Ranges of one window may overlap; those of two windows with the
    /// same file behind them are copied in any order.
    pub fn copy(&self, source: Span, destination: Span) -> bool {
        if self.is_empty() || source.len != destination.len {
            return false;
        }
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let whole = |span: Span| {
            let (start, room) = place(&list, span.address)?;
            (room >= span.len).then_some(start)
        };
        let (Some(from), Some(to)) = (whole(source), whole(destination)) else { return false };
        // SAFETY: both ranges are mapped while the list is locked; they may overlap, which `memmove` allows.
        unsafe { libc::memmove(to.cast(), from.cast_const().cast(), source.len) };
        true
    }

    /// Calls with the place of `address` here, and how many of `len` bytes are there.
    fn with<R>(&self, address: u64, len: usize, call: impl FnOnce(*mut u8, usize) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        let (start, room) = place(&list, address)?;
        Some(call(start, room.min(len)))
    }
}

/// Where `address` is here, and how many bytes follow in its window.
fn place(list: &[Window], address: u64) -> Option<(*mut u8, usize)> {
    let behind = list.partition_point(|window| window.address <= address);
    list.get(behind.checked_sub(1)?)?.place(address)
}

impl Window {
    fn end(&self) -> u64 {
        self.address + self.map.len() as u64
    }

    /// The same for this one.
    fn place(&self, address: u64) -> Option<(*mut u8, usize)> {
        let offset = usize::try_from(address.checked_sub(self.address)?).ok()?;
        let room = self.map.len().checked_sub(offset).filter(|room| *room > 0)?;
        Some((self.map.as_mut_ptr().wrapping_add(offset), room))
    }
}

impl fmt::Debug for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Windows").field("count", &self.len()).finish_non_exhaustive()
    }
}
