//! Jobs with bad pointers, on purpose: each must fail with the right address, and touch nothing it may not.

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use uaccel_runtime::{Error, FaultKind, Operation, Outcome, RawWork, Runtime};

const PAGE: usize = 4096;
const PAGES: usize = 4;
const FILLED: u8 = 0x5a;

/// Four pages: one for everything, one for nothing, one for everything, one for reading.
#[derive(Debug)]
pub struct BadPages {
    start: NonNull<u8>,
}

/// Jobs that differ in what is bad about them.
pub const KINDS: usize = 5;

/// What came of a job with a bad pointer.
#[derive(Debug)]
pub enum Ended {
    /// As it should.
    Well,
    /// With another error than that of its pointer.
    Otherwise(Error),
    /// Not as it should.
    Badly(String),
}

impl BadPages {
    /// Maps them.
    ///
    /// # Errors
    /// If the system does not.
    pub fn new() -> nix::Result<Self> {
        let len = NonZeroUsize::new(PAGES * PAGE).ok_or(nix::errno::Errno::EINVAL)?;
        // SAFETY: a fresh private mapping touches nothing that exists.
        let start =
            unsafe { mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE) }?;
        // Dropping unmaps from here on.
        let pages = Self { start: start.cast() };
        // SAFETY: the pages are mapped for writing, and ours.
        unsafe { pages.start.write_bytes(FILLED, PAGES * PAGE) };
        for (page, access) in [(1, ProtFlags::PROT_NONE), (3, ProtFlags::PROT_READ)] {
            // SAFETY: whole pages of ours, of which no reference exists.
            unsafe { mprotect(pages.at(page * PAGE).cast(), PAGE, access) }?;
        }
        Ok(pages)
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset <= PAGES * PAGE);
        // SAFETY: within the mapping.
        unsafe { self.start.add(offset) }
    }

    /// Whether all bytes from one offset to another, where reading is allowed, are as they were filled.
    fn is_filled(&self, from: usize, to: usize) -> bool {
        // SAFETY: readable pages of ours; no job is in flight, and a device that writes all the same is what is looked for: volatile, so
        // that every byte is really read.
        (from..to).all(|offset| unsafe { self.at(offset).read_volatile() } == FILLED)
    }

    /// Runs a job of this kind, `skew` bytes (below 1000) away from the page's start where it has a choice.
    pub fn run(&self, runtime: &Runtime, kind: usize, skew: usize) -> Ended {
        // From where, to where, how many, and what should be said. Page 1 may not be accessed, page 3 not be written.
        let (from, to, len, bad, access) = match kind % KINDS {
            0 => (PAGE + skew, 2 * PAGE, 64, PAGE + skew, FaultKind::Read),
            1 => (0, PAGE + skew, 64, PAGE + skew, FaultKind::Write),
            2 => (0, 3 * PAGE + skew, 64, 3 * PAGE + skew, FaultKind::Write),
            3 => (PAGE - 1 - skew, 2 * PAGE, skew + 64, PAGE, FaultKind::Read),
            _ => (0, 3 * PAGE - 1 - skew, skew + 64, 3 * PAGE, FaultKind::Write),
        };
        let mut work = RawWork::new(Operation::Copy);
        (work.source, work.source_len) = (self.at(from).as_ptr(), len);
        (work.destination, work.destination_len) = (self.at(to).as_ptr(), len);
        // SAFETY: source and destination are pages of ours that nobody else names, and the caller has made sure that this device reports
        // bad pointers.
        let result: Result<Outcome, Error> = unsafe { runtime.run_raw(&work) };
        // What was written is what the source held, so nothing may have changed anywhere.
        if !(self.is_filled(0, PAGE) && self.is_filled(2 * PAGE, 4 * PAGE)) {
            return Ended::Badly("a bad pointer changed memory".to_owned());
        }
        match result {
            Err(Error::BadPointer { fault, .. }) => {
                let expected = self.at(bad).addr().get() as u64;
                if (fault.address, fault.kind) == (expected, access) {
                    Ended::Well
                } else {
                    Ended::Badly(format!("bad pointer of kind {kind}: {fault}, not {expected:#x} {access:?}"))
                }
            }
            Err(error) => Ended::Otherwise(error),
            Ok(outcome) => Ended::Badly(format!("bad pointer of kind {kind} was good: {outcome:?}")),
        }
    }
}

impl Drop for BadPages {
    fn drop(&mut self) {
        // SAFETY: ours, and no job that names them is in flight: a call that borrows has returned.
        let unmapped = unsafe { munmap(self.start.cast(), PAGES * PAGE) };
        debug_assert!(unmapped.is_ok(), "unmapping our own pages: {unmapped:?}");
    }
}
