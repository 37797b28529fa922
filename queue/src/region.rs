//! Device registers mapped into the process.

use core::any::Any;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
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
    /// A copy of the function's PCI configuration space, as it was when the device had been opened and its interrupts connected: its header and capabilities. Empty where there is none.
    Configuration,
    /// What the kernel said of this queue when it gave it, in the layout of the device's interface. Says something new after a reset.
    Description,
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

    /// A region with a copy of `bytes`, for what a device says once. What does not fill a word of 8 bytes is filled up with zeroes.
    #[must_use]
    pub fn copied(kind: RegionKind, bytes: &[u8]) -> Self {
        let words: Arc<[AtomicU64]> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                AtomicU64::new(u64::from_ne_bytes(word))
            })
            .collect();
        let (base, len) = (NonNull::from(&*words).cast(), size_of_val(&*words));
        // SAFETY: aligned words that the keeper keeps, and that are accessed through the region alone.
        unsafe { Self::new(kind, base, len, Arc::new(words)) }
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

    /// Writes a 16-bit register.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 2 or lies outside: a mistake of the driver.
    #[inline]
    pub fn write16(&self, offset: usize, value: u16) {
        // SAFETY: as in `write`.
        unsafe { self.at::<u16>(offset).write_volatile(value.to_le()) }
    }

    /// Reads a 16-bit register.
    ///
    /// # Panics
    /// If `offset` is not a multiple of 2 or lies outside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn read16(&self, offset: usize) -> u16 {
        // SAFETY: as in `write`.
        u16::from_le(unsafe { self.at::<u16>(offset).read_volatile() })
    }

    /// Writes an 8-bit register.
    ///
    /// # Panics
    /// If `offset` lies outside: a mistake of the driver.
    #[inline]
    pub fn write8(&self, offset: usize, value: u8) {
        // SAFETY: as in `write`.
        unsafe { self.at::<u8>(offset).write_volatile(value) }
    }

    /// Reads an 8-bit register.
    ///
    /// # Panics
    /// If `offset` lies outside: a mistake of the driver.
    #[inline]
    #[must_use]
    pub fn read8(&self, offset: usize) -> u8 {
        // SAFETY: as in `write`.
        unsafe { self.at::<u8>(offset).read_volatile() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_read_in_every_width_and_filled_up_with_zeroes() {
        let region = Region::copied(RegionKind::Configuration, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((region.kind(), region.len()), (RegionKind::Configuration, 16));
        assert_eq!((region.read8(3), region.read16(2), region.read32(4)), (4, 0x0403, 0x0807_0605));
        assert_eq!(region.read(8), 0x0a09);
        region.write8(8, 0xff);
        region.write16(10, 0x1234);
        assert_eq!(region.read(8), 0x1234_0aff);
        assert!(Region::copied(RegionKind::Configuration, &[]).is_empty());
    }

    #[test]
    #[should_panic(expected = "register 0x3 of 8 bytes")]
    fn registers_are_aligned() {
        let _ = Region::copied(RegionKind::User, &[0; 8]).read16(3);
    }

    #[test]
    #[should_panic(expected = "register 0x8 of 8 bytes")]
    fn registers_are_inside() {
        Region::copied(RegionKind::User, &[0; 8]).write8(8, 0);
    }
}
