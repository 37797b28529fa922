//! A page at a place that nobody can guess.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::rand::{GetRandomFlags, getrandom};

use super::fork_mark::ForkMark;

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("a page is not empty");
/// The largest page of a kernel that these pages are aligned to.
const STEP: u64 = 64 << 10;
/// Where programs, libraries, stacks and heaps are not: in address spaces of 47 bits and more; else, of 39.
const PLACES: [Range<u64>; 2] = [1 << 44..5 << 44, 1 << 35..3 << 35];
/// How often another place is tried when there is something already.
const TRIES: usize = 16;

/// A page that only this program has, where no other program has anything but by a chance of one in millions.
///
/// Whoever writes to a process by its number goes through this first, and is stopped where it is missing: the number may be another program's by then.
#[derive(Debug)]
pub(crate) struct GatePage {
    start: NonNull<u64>,
    canary: [u64; 2],
    fork: ForkMark,
}

// SAFETY: the pointer is only for unmapping; the mapping belongs to the process, not to a thread.
unsafe impl Send for GatePage {}
// SAFETY: as for `Send`.
unsafe impl Sync for GatePage {}

impl GatePage {
    /// A fresh page, which begins with two words that nobody can guess either.
    pub(crate) fn new(fork: ForkMark) -> io::Result<Self> {
        let mut failed = Errno::ENOMEM;
        for place in &PLACES {
            for _ in 0..TRIES {
                let steps = (place.end - place.start) / STEP;
                let Ok(address) = usize::try_from(place.start + random()? % steps * STEP) else { continue };
                match map(address) {
                    Ok(start) => return Self { start, canary: [random()?, random()?], fork }.furnished(),
                    Err(errno) => failed = errno,
                }
                // Not about what is there, but about how far addresses go.
                if failed != Errno::EEXIST {
                    break;
                }
            }
        }
        Err(failed.into())
    }

    /// Writes the canary.
    fn furnished(self) -> io::Result<Self> {
        // SAFETY: changes only what a child sees of a page that is ours alone.
        unsafe { madvise(self.start.cast(), PAGE.get(), MmapAdvise::MADV_DONTFORK) }?;
        let [low, high] = self.canary;
        // SAFETY: the first two words of our own page; who else is to write there does not know it yet.
        unsafe {
            self.start.write_volatile(low);
            self.start.add(1).write_volatile(high);
        }
        Ok(self)
    }

    /// Where it is.
    pub(crate) fn address(&self) -> u64 {
        self.start.expose_provenance().get() as u64
    }

    /// What stands there.
    pub(crate) fn canary(&self) -> [u64; 2] {
        self.canary
    }
}

/// Maps a page at this address, if nothing is there.
fn map(address: usize) -> Result<NonNull<u64>, Errno> {
    let wish = NonZeroUsize::new(address).ok_or(Errno::EINVAL)?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
    // SAFETY: a fresh private mapping that replaces nothing.
    let start = unsafe { mmap_anonymous(Some(wish), PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }?;
    if start.addr() != wish {
        // A kernel before 4.17 takes the address for a hint.
        // SAFETY: just mapped, and nobody has the address.
        unsafe { munmap(start, PAGE.get()) }?;
        return Err(Errno::EEXIST);
    }
    Ok(start.cast())
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // As few bytes as these are never given in part.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u64::from_le_bytes(bytes))
}

impl Drop for GatePage {
    fn drop(&mut self) {
        // A child did not inherit it; something else may be there by now.
        if !self.fork.is_home() {
            return;
        }
        // SAFETY: ours. Who writes there from outside finds nothing from now on, which is what it is for.
        let unmapped = unsafe { munmap(self.start.cast(), PAGE.get()) };
        debug_assert!(unmapped.is_ok(), "unmapping our own page: {unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_gate_is_elsewhere_and_holds_its_own_canary() {
        let fork = ForkMark::new().expect("a page");
        let gates: Vec<_> = (0..64).map(|_| GatePage::new(fork.clone()).expect("a gate")).collect();
        let places: BTreeSet<_> = gates.iter().map(GatePage::address).collect();
        let canaries: BTreeSet<_> = gates.iter().map(GatePage::canary).collect();
        assert_eq!((places.len(), canaries.len()), (64, 64));
        for gate in &gates {
            // SAFETY: the first words of a mapped page that nobody writes.
            let found = unsafe { [gate.start.read_volatile(), gate.start.add(1).read_volatile()] };
            assert_eq!(found, gate.canary());
        }
    }
}
