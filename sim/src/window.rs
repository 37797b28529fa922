//! Memory of the host that a job may use in place. The one place where addresses become slices.

use core::fmt;
use core::ptr::NonNull;
use core::slice;

/// Bytes of the host that a job reads in place.
pub struct SourceWindow {
    base: NonNull<u8>,
    len: usize,
}

/// Bytes of the host that a job writes in place.
pub struct TargetWindow {
    base: NonNull<u8>,
    len: usize,
    initialised: bool,
}

// SAFETY: `SourceWindow::new`'s caller made the promise for every thread.
unsafe impl Send for SourceWindow {}
// SAFETY: `TargetWindow::new`'s caller made the promise for every thread.
unsafe impl Send for TargetWindow {}

impl SourceWindow {
    /// A window of `len` bytes at `base`; `None` where no slice can be.
    ///
    /// # Safety
    /// Until the window is dropped the bytes stay mapped and readable, hold initialised data, and nobody writes them.
    #[must_use]
    pub unsafe fn new(base: u64, len: usize) -> Option<Self> {
        Some(Self { base: pointer(base, len)?, len })
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: not null and of a possible length (`pointer`), and mapped, initialised and unchanged while `self` lives (`new`).
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl TargetWindow {
    /// A window of `len` bytes at `base`; `None` where no slice can be.
    ///
    /// # Safety
    /// Until the window is dropped the bytes stay mapped and writable, and nobody else reads or writes them. If `initialised`, they hold
    /// initialised data now.
    #[must_use]
    pub unsafe fn new(base: u64, len: usize, initialised: bool) -> Option<Self> {
        Some(Self { base: pointer(base, len)?, len, initialised })
    }

    /// The room in bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no room.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes. What was not initialised is zero.
    #[inline]
    pub fn bytes(&mut self) -> &mut [u8] {
        if !self.initialised {
            // SAFETY: writable and ours alone (`new`); writing through a raw pointer needs no initialised bytes.
            unsafe { self.base.as_ptr().write_bytes(0, self.len) };
            self.initialised = true;
        }
        // SAFETY: not null and of a possible length (`pointer`), mapped, writable and ours alone while `self` lives (`new`),
        // initialised by the host or above.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }

    /// Overwrites the start with `bytes`, as far as there is room, without caring what was there.
    #[inline]
    pub fn copy_from(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(self.len);
        // SAFETY: `len` bytes are readable and writable; the target is ours alone, hence overlaps no slice.
        unsafe { self.base.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), len) };
        self.initialised |= len == self.len;
    }
}

/// The pointer for a slice of `len` bytes at `base`, if there can be one.
#[inline]
fn pointer(base: u64, len: usize) -> Option<NonNull<u8>> {
    let address = usize::try_from(base).ok()?;
    address.checked_add(len)?;
    isize::try_from(len).ok()?;
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
}

impl fmt::Debug for SourceWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceWindow").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for TargetWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetWindow").field("len", &self.len).finish_non_exhaustive()
    }
}
