//! A buffer that lies in the device's reach by itself.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;

use uaccel_queue::SharedMemory;
use zeroize::Zeroize;

use crate::buffers::{ReadBuf, Room, TextBuf, WriteBuf};
use crate::sys::fork_mark::ForkMark;

/// Bytes that the device finds in place, where its bus has such memory; else in ordinary memory. Made by
/// [`Runtime::shared_buffer`](crate::Runtime::shared_buffer), zeroed, or by [`Runtime::share`](crate::Runtime::share) of bytes that are there.
///
/// It owns its memory, so a device never knows memory that was given back: the device forgets it first. If the buffer is forgotten, so is the memory.
///
/// It is read and written as a slice, and any job may use it: borrowed, leased, or owned. Its length stays; an output lies at its start, and what is
/// behind keeps its content.
///
/// # Panics
/// In a child process made by `fork` registered memory does not exist: to read or write it there panics.
pub struct SharedBuffer(Memory);

enum Memory {
    /// With its length, and the mark of the process that has it.
    Registered(SharedMemory, usize, ForkMark),
    /// Bytes of the program's own. The device forgets them first, so that stands before.
    Adopted(SharedMemory, Box<[u8]>),
    Plain(Box<[u8]>),
}

impl SharedBuffer {
    /// The first `len` bytes of such memory, which has as many.
    pub(crate) fn registered(memory: SharedMemory, len: usize, fork: ForkMark) -> Self {
        debug_assert!(len <= memory.len(), "checked by whoever asked for it");
        let len = len.min(memory.len());
        Self(Memory::Registered(memory, len, fork))
    }

    /// Ordinary memory.
    pub(crate) fn plain(len: usize) -> Self {
        Self(Memory::Plain(vec![0; len].into_boxed_slice()))
    }

    /// Bytes of the program's own, which `memory` makes known to the device.
    pub(crate) fn adopted(memory: SharedMemory, bytes: Box<[u8]>) -> Self {
        debug_assert!(memory.start().as_ptr().cast_const() == bytes.as_ptr() && memory.len() == bytes.len());
        Self(Memory::Adopted(memory, bytes))
    }

    /// Bytes in ordinary memory.
    pub(crate) fn of(bytes: Box<[u8]>) -> Self {
        Self(Memory::Plain(bytes))
    }

    /// The bytes as ordinary memory: where they were given to [`Runtime::share`](crate::Runtime::share), those themselves; else a copy.
    #[must_use]
    #[track_caller]
    pub fn into_boxed_slice(self) -> Box<[u8]> {
        match self.0 {
            Memory::Plain(bytes) => bytes,
            Memory::Adopted(memory, bytes) => {
                drop(memory);
                bytes
            }
            Memory::Registered(..) => (*self).into(),
        }
    }

    /// Whether the device's side has it mapped; `false` if it is ordinary memory. After a daemon has come back, it is registered with that one.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        matches!(self.0, Memory::Registered(..) | Memory::Adopted(..))
    }

    #[track_caller]
    fn assert_home(&self) {
        let is_here = match &self.0 {
            Memory::Registered(_, _, fork) => fork.is_home(),
            Memory::Adopted(..) | Memory::Plain(_) => true,
        };
        assert!(is_here, "a shared buffer belongs to the process that made it, not to its children");
    }
}

impl Deref for SharedBuffer {
    type Target = [u8];

    #[track_caller]
    fn deref(&self) -> &[u8] {
        self.assert_home();
        let (start, len) = self.bytes();
        // SAFETY: initialised memory that is ours alone, and stays while `self` does. A job that writes it has it borrowed as mutable, or owns it.
        unsafe { slice::from_raw_parts(start, len) }
    }
}

impl DerefMut for SharedBuffer {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.assert_home();
        let Room { start, len, .. } = self.room();
        // SAFETY: as in `deref`; and nobody else has it borrowed. A job that reads it has it borrowed, or owns it.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }
}

// SAFETY: the bytes are on the heap or in a mapping, so they stay where they are; nobody writes them but by `&mut`.
unsafe impl ReadBuf for SharedBuffer {
    fn bytes(&self) -> (*const u8, usize) {
        match &self.0 {
            Memory::Registered(memory, len, _) => (memory.start().as_ptr(), *len),
            Memory::Adopted(_, bytes) | Memory::Plain(bytes) => (bytes.as_ptr(), bytes.len()),
        }
    }
}

/// The whole is the room; what lies behind the result keeps its content.
// SAFETY: the bytes are on the heap or in a mapping, so they stay where they are; nobody accesses them but by the value.
unsafe impl WriteBuf for SharedBuffer {
    fn room(&mut self) -> Room {
        match &mut self.0 {
            Memory::Registered(memory, len, _) => Room { start: memory.start().as_ptr(), len: *len, initialised: true },
            Memory::Adopted(_, bytes) | Memory::Plain(bytes) => bytes.room(),
        }
    }

    unsafe fn set_written(&mut self, _written: usize) {}

    fn wipe(&mut self) {
        self.zeroize();
    }
}

// SAFETY: all of the room is initialised.
unsafe impl TextBuf for SharedBuffer {
    fn text_len(&self) -> usize {
        self.bytes().1
    }
}

impl AsRef<[u8]> for SharedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for SharedBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

/// Not its content, which may be a secret or megabytes.
impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").field("len", &self.bytes().1).field("registered", &self.is_registered()).finish()
    }
}
