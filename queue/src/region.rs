//! Device registers mapped into the process.

use core::any::Any;
use core::fmt;
use core::ptr::NonNull;
use std::sync::Arc;

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionKind {
    /// The registers of one queue, harmless in the hands of its user.
    User,
    /// Memory the kernel shares with the device for this queue.
    Shared,
    /// The registers of the whole device, for whoever holds it all. Never among the regions of a queue.
    Control,
}

/// Device registers mapped into the process. Accesses are volatile, of exactly the width asked for, and in program order; there
/// is never a reference to the memory behind.
#[derive(Clone)]
pub struct Region {
    kind: RegionKind,
    base: NonNull<u8>,
    len: usize,
    /// Keeps the registers mapped for as long as anybody can reach them.
    _keeper: Arc<dyn Any + Send + Sync>,
}

// SAFETY: registers may be accessed from any thread; accesses are volatile and do not tear.
unsafe impl Send for Region {}
// SAFETY: as for `Send`.
unsafe impl Sync for Region {}

impl Region {
    /// Describes registers at `base`.
    ///
    /// # Safety
    /// `base` is 8-byte aligned and points to `len` bytes that stay mapped until `keeper` is dropped. If it is ordinary memory, every
    /// other access to it is volatile or atomic and of the same width.
    #[must_use]
    pub unsafe fn new(kind: RegionKind, base: NonNull<u8>, len: usize, keeper: Arc<dyn Any + Send + Sync>) -> Self {
        Self { kind, base, len, _keeper: keeper }
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        self.kind
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

    /// Writes a 64-bit register.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8 or lies outside: a mistake of the driver.
    #[inline]
    pub fn write(&self, offset: usize, value: u64) {
        // SAFETY: `at` checks alignment and bounds; the mapping lives as long as `self`.
        unsafe { self.at::<u64>(offset).write_volatile(value.to_le()) }
    }

    /// Reads a 64-bit register.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 8 or lies outside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn read(&self, offset: usize) -> u64 {
        // SAFETY: `at` checks alignment and bounds; the mapping lives as long as `self`.
        u64::from_le(unsafe { self.at::<u64>(offset).read_volatile() })
    }

    /// Writes a 32-bit register.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 4 or lies outside: a mistake of the driver.
    #[inline]
    pub fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as in `write`.
        unsafe { self.at::<u32>(offset).write_volatile(value.to_le()) }
    }

    /// Reads a 32-bit register.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 4 or lies outside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn read32(&self, offset: usize) -> u32 {
        // SAFETY: as in `write`.
        u32::from_le(unsafe { self.at::<u32>(offset).read_volatile() })
    }

    /// The register of type `T` at `offset`, checked to be aligned and inside.
    #[inline]
    fn at<T>(&self, offset: usize) -> NonNull<T> {
        let width = size_of::<T>();
        assert!(
            offset.is_multiple_of(width) && offset < self.len && self.len - offset >= width,
            "register {offset:#x} of {} bytes",
            self.len
        );
        // SAFETY: inside the mapping `new`'s caller described.
        unsafe { self.base.add(offset).cast() }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("kind", &self.kind).field("len", &self.len).finish_non_exhaustive()
    }
}
