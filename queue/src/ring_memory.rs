//! Memory that host and device share: rings, completion lines, status words.

use core::any::Any;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// A piece of memory that host and device share.
///
/// It belongs to the transport, which knows what the device can reach; the driver gets the host's pointer, the device's address
/// and the length. The other side writes rings at any time, so they are only ever touched through atomics, never through a slice; what one side at a time has the use of
/// is a [`buffer`](RingMemory::buffer).
/// Offsets are in bytes and a multiple of 8.
#[derive(Clone)]
pub struct RingMemory {
    host: NonNull<AtomicU64>,
    device: u64,
    len: usize,
    /// Keeps the memory mapped for as long as anybody can reach it.
    _keeper: Arc<dyn Any + Send + Sync>,
}

// SAFETY: every access is atomic, and the keeper may be dropped on any thread.
unsafe impl Send for RingMemory {}
// SAFETY: every access is atomic.
unsafe impl Sync for RingMemory {}

impl RingMemory {
    /// Describes memory at `host`, which the device knows as `device`.
    ///
    /// # Safety
    /// `host` is 8-byte aligned and points to `len` bytes, zeroed at first, which stay mapped readable and writable until
    /// `keeper` is dropped, and which everybody in this process accesses atomically.
    #[must_use]
    pub unsafe fn new(host: NonNull<u8>, device: u64, len: usize, keeper: Arc<dyn Any + Send + Sync>) -> Self {
        Self { host: host.cast(), device, len, _keeper: keeper }
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The device's address of byte `offset`.
    #[must_use]
    pub fn device_address(&self, offset: usize) -> u64 {
        self.device + offset as u64
    }

    /// The byte at `offset`, for data that only one side touches at a time, and that a record published elsewhere hands over: buffers beside rings.
    /// Whoever reaches it through the pointer sees to it that nobody else does meanwhile.
    ///
    /// # Panics
    /// If `offset` is beyond the end: a mistake of the caller.
    #[must_use]
    pub fn buffer(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len, "offset {offset} of {} bytes", self.len);
        // SAFETY: inside the memory `new`'s caller described, or one past its end.
        unsafe { self.host.cast().add(offset) }
    }

    /// The word at `offset`.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8, or the word does not lie inside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(8) && offset < self.len && self.len - offset >= 8,
            "offset {offset} of {} bytes",
            self.len
        );
        // SAFETY: inside the memory `new`'s caller described, aligned, mapped while `self` lives, and only accessed atomically.
        unsafe { self.host.add(offset / 8).as_ref() }
    }

    /// The `WORDS` words of the record at `offset`: one check instead of one per word.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8, or the record does not lie inside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn record<const WORDS: usize>(&self, offset: usize) -> &[AtomicU64; WORDS] {
        let inside = offset.is_multiple_of(8) && offset <= self.len && self.len - offset >= WORDS * 8;
        assert!(inside, "record of {WORDS} words at offset {offset} of {} bytes", self.len);
        // SAFETY: inside the memory `new`'s caller described, aligned, mapped while `self` lives, and only accessed atomically.
        unsafe { self.host.add(offset / 8).cast().as_ref() }
    }

    /// The `count` records of `WORDS` words that stand one behind the other from `offset` on: one check for whoever goes through many of them.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8, or the records do not lie inside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn records<const WORDS: usize>(&self, offset: usize, count: usize) -> &[[AtomicU64; WORDS]] {
        let inside = offset.is_multiple_of(8) && offset <= self.len && (self.len - offset) / (WORDS * 8) >= count;
        assert!(inside, "{count} records of {WORDS} words at offset {offset} of {} bytes", self.len);
        // SAFETY: inside the memory `new`'s caller described, aligned, mapped while `self` lives, and only accessed atomically.
        unsafe { core::slice::from_raw_parts(self.host.as_ptr().add(offset / 8).cast(), count) }
    }

    /// Tells the processor that the line at `offset` is about to be written: it is fetched, and taken from the other side, while other things are done. A hint, which
    /// changes nothing that could be read, and does no harm with an offset outside.
    ///
    /// Stores wait in order until each has its line, and there are only so many that can wait.
    #[inline]
    pub fn expect_write(&self, offset: usize) {
        crate::prefetch::for_write(self.host.as_ptr().cast::<u8>().wrapping_add(offset));
    }

    /// Tells the processor that the line at `offset` is about to be read. A hint, as [`expect_write`](Self::expect_write); asked for too early, the line has to be taken from the other side again.
    #[inline]
    pub fn expect_read(&self, offset: usize) {
        crate::prefetch::for_read(self.host.as_ptr().cast::<u8>().wrapping_add(offset));
    }

    /// Stores a word that a later [`publish`](Self::publish) makes visible.
    #[inline]
    pub fn write(&self, offset: usize, value: u64) {
        // Relaxed: ordered by the publication of the record it is part of.
        self.word(offset).store(value, Ordering::Relaxed);
    }

    /// Reads a word of a record whose publication has been seen.
    #[inline]
    #[must_use]
    pub fn read(&self, offset: usize) -> u64 {
        // Relaxed: ordered by the acquire load that saw the record's publication.
        self.word(offset).load(Ordering::Relaxed)
    }

    /// Stores the word that makes a record valid. Release: pairs with the other side's acquire load of the same word, which then
    /// sees every earlier write of the record.
    #[inline]
    pub fn publish(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Ordering::Release);
    }

    /// Loads the word that makes a record valid. Acquire: pairs with the other side's release store, see [`publish`](Self::publish).
    #[inline]
    #[must_use]
    pub fn observe(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Acquire)
    }
}

impl fmt::Debug for RingMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingMemory")
            .field("device", &format_args!("{:#x}", self.device))
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
