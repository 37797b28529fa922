//! Pages that are not as a job would like them.

use std::ptr;

/// What one page may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Nothing,
    Reading,
    Everything,
}

/// A run of pages, each with its own access.
#[derive(Debug)]
pub(crate) struct Pages {
    start: *mut u8,
    len: usize,
}

impl Pages {
    pub(crate) const SIZE: usize = 4096;

    pub(crate) fn new(accesses: &[Access]) -> Self {
        let len = accesses.len() * Self::SIZE;
        // SAFETY: a fresh anonymous mapping concerns no other memory.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        for (page, access) in accesses.iter().enumerate() {
            let protection = match access {
                Access::Nothing => libc::PROT_NONE,
                Access::Reading => libc::PROT_READ,
                Access::Everything => continue,
            };
            // SAFETY: a page of the mapping just made.
            let result = unsafe { libc::mprotect(start.byte_add(page * Self::SIZE), Self::SIZE, protection) };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        }
        Self { start: start.cast(), len }
    }

    /// The address of byte `offset`.
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len, "{offset} of {} bytes", self.len);
        self.start.wrapping_add(offset)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and the rig that used it, dropped before, has seen the device quiet.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}
