//! Memory that can be handed over to a job.

use std::sync::Arc;

/// Memory that a job may own and read.
///
/// # Safety
/// Until the value is dropped or written through `&mut`: [`ReadBuf::bytes`] returns the same range at each call, also after the value has been moved, so the bytes are
/// not stored in the value itself; and nobody writes them.
pub unsafe trait ReadBuf: Send + 'static {
    /// The bytes to read.
    fn bytes(&self) -> (*const u8, usize);
}

/// Memory that a job may own and write.
///
/// # Safety
/// Until the value is dropped or accessed: [`WriteBuf::room`] returns the same range at each call, also after the value has been moved, so the
/// bytes are not stored in the value itself; and nobody else accesses them.
pub unsafe trait WriteBuf: Send + 'static {
    /// The room to write, and whether it is all initialised.
    fn room(&mut self) -> Room;

    /// Tells the value that the first `written` bytes of the room now hold a result.
    ///
    /// # Safety
    /// They are initialised, and no more than the room.
    unsafe fn set_written(&mut self, written: usize);

    /// Overwrites the room with zeros, because it may hold a secret that nobody is going to fetch.
    fn wipe(&mut self);
}

/// Memory that a job may own, read, and write where it reads.
///
/// # Safety
/// [`TextBuf::text_len`] is no more than the length of [`WriteBuf::room`], whose bytes up to there are initialised.
pub unsafe trait TextBuf: WriteBuf {
    /// How many bytes of text stand at the start of the room.
    fn text_len(&self) -> usize;
}

// SAFETY: a vector's bytes are the start of its capacity.
unsafe impl TextBuf for Vec<u8> {
    fn text_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: all of the room is initialised.
unsafe impl TextBuf for Box<[u8]> {
    fn text_len(&self) -> usize {
        self.len()
    }
}

/// Room to write.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The first byte.
    pub start: *mut u8,
    /// The length.
    pub len: usize,
    /// Whether every byte of it is initialised.
    pub initialised: bool,
}

// SAFETY: a vector's bytes are on the heap.
unsafe impl ReadBuf for Vec<u8> {
    fn bytes(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

// SAFETY: a boxed slice's bytes are on the heap.
unsafe impl ReadBuf for Box<[u8]> {
    fn bytes(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

// SAFETY: shared bytes are on the heap, and immutable while shared.
unsafe impl ReadBuf for Arc<[u8]> {
    fn bytes(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

// SAFETY: static bytes neither move nor change.
unsafe impl ReadBuf for &'static [u8] {
    fn bytes(&self) -> (*const u8, usize) {
        (self.as_ptr(), self.len())
    }
}

// SAFETY: there are no bytes.
unsafe impl ReadBuf for () {
    fn bytes(&self) -> (*const u8, usize) {
        (std::ptr::null(), 0)
    }
}

/// The whole capacity is the room; the length becomes what was written.
// SAFETY: a vector's bytes are on the heap.
unsafe impl WriteBuf for Vec<u8> {
    fn room(&mut self) -> Room {
        Room { start: self.as_mut_ptr(), len: self.capacity(), initialised: self.len() == self.capacity() }
    }

    unsafe fn set_written(&mut self, written: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.set_len(written) }
    }

    fn wipe(&mut self) {
        self.clear();
        zeroize::Zeroize::zeroize(self.spare_capacity_mut());
    }
}

/// The whole slice is the room; what lies behind the result keeps its content.
// SAFETY: a boxed slice's bytes are on the heap.
unsafe impl WriteBuf for Box<[u8]> {
    fn room(&mut self) -> Room {
        Room { start: self.as_mut_ptr(), len: self.len(), initialised: true }
    }

    unsafe fn set_written(&mut self, _written: usize) {}

    fn wipe(&mut self) {
        zeroize::Zeroize::zeroize(&mut self[..]);
    }
}

// SAFETY: there are no bytes.
unsafe impl WriteBuf for () {
    fn room(&mut self) -> Room {
        Room { start: std::ptr::null_mut(), len: 0, initialised: true }
    }

    unsafe fn set_written(&mut self, _written: usize) {}

    fn wipe(&mut self) {}
}
