//! Device registers mapped into the process.

use std::io;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::mman::{MRemapFlags, MapFlags, ProtFlags, mmap, mmap_anonymous, mremap, munmap};

use super::fork_mark::ForkMark;
use super::sigbus::Watch;

/// Device registers at a fixed place: whatever becomes of the device, the addresses can be accessed until this is dropped.
///
/// The registers behind the addresses can be taken away ([`detach`](Self::detach)) and others put there ([`attach`](Self::attach)). Without any,
/// there is ordinary memory, which has no effect.
#[derive(Debug)]
pub(crate) struct DeviceMap {
    /// Before the place, so that it ends first: what is mapped there next is not ours.
    watch: Watch,
    place: Place,
    offset: i64,
    attached: AtomicBool,
}

/// Addresses that are ours.
#[derive(Debug)]
struct Place {
    start: NonNull<u8>,
    len: NonZeroUsize,
    fork: ForkMark,
}

// SAFETY: the pointer is only given out; the mapping belongs to the process, not to a thread.
unsafe impl Send for Place {}
// SAFETY: as for `Send`; changes of the mapping are single system calls.
unsafe impl Sync for Place {}

/// What was at such a place.
#[derive(Debug)]
pub(crate) struct Copied(Place);

const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

impl DeviceMap {
    /// Sets aside addresses for `len` bytes of a file's memory at `offset`, both whole pages. Nothing is attached.
    pub(crate) fn new(len: NonZeroUsize, offset: i64, fork: ForkMark) -> io::Result<Self> {
        let place = Place::empty(len, fork)?;
        // SAFETY: the watch goes with the map and ends before the place; the addresses are accessed by volatile accesses only.
        let watch = unsafe { Watch::new(place.start.expose_provenance().get(), len.get()) }?;
        Ok(Self { watch, place, offset, attached: AtomicBool::new(false) })
    }

    /// Where it starts.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.place.start
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.place.len.get()
    }

    /// Puts a file's registers there.
    pub(crate) fn attach(&self, file: &impl AsFd) -> io::Result<()> {
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        // SAFETY: replaces our own mapping in one step; all who have the address access it by volatile accesses only.
        unsafe { mmap(Some(self.place.start.addr()), self.place.len, READ_WRITE, flags, file, self.offset) }?;
        // Relaxed: a note for `detach`, which the same caller orders.
        self.attached.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the registers away, so that the mapping does not keep their file open.
    pub(crate) fn detach(&self) -> io::Result<()> {
        // In a child there is nothing: registers are not inherited.
        if !self.place.fork.is_home() || !self.attached.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED;
        // SAFETY: as in `attach`.
        unsafe { mmap_anonymous(Some(self.place.start.addr()), self.place.len, READ_WRITE, flags) }?;
        Ok(())
    }

    /// A copy of what is there now.
    pub(crate) fn copy(&self) -> io::Result<Copied> {
        let place = Place::empty(self.place.len, self.place.fork.clone())?;
        let (from, to) = (self.place.start.cast::<u64>(), place.start.cast::<u64>());
        for word in 0..self.len() / size_of::<u64>() {
            // SAFETY: both are mapped and as long; ours is accessed by volatile accesses only, and the copy by nobody else.
            unsafe { to.add(word).write_volatile(from.add(word).read_volatile()) };
        }
        Ok(Copied(place))
    }

    /// Puts a copy there, in one step, as ordinary memory.
    pub(crate) fn settle(&self, copy: Copied) -> io::Result<()> {
        if !self.place.fork.is_home() {
            return Ok(());
        }
        let (from, len) = (copy.0.start.cast(), self.place.len.get());
        let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
        // SAFETY: replaces our own mapping, as in `attach`, by pages that are ours alone.
        unsafe { mremap(from, len, len, flags, Some(self.place.start.cast())) }?;
        // Its addresses are free now, and not ours to unmap; its share of the mark still is to be given up.
        let copy = ManuallyDrop::new(copy);
        // SAFETY: the copy is used no more, and not dropped.
        drop(unsafe { ptr::read(&raw const copy.0.fork) });
        // Relaxed: as in `attach`.
        self.attached.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether an access has found the device gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch.is_lost()
    }
}

impl Place {
    /// Ordinary memory, zeroed.
    fn empty(len: NonZeroUsize, fork: ForkMark) -> io::Result<Self> {
        // SAFETY: a fresh private mapping touches nothing that exists.
        let start = unsafe { mmap_anonymous(None, len, READ_WRITE, MapFlags::MAP_PRIVATE) }?;
        // From here on dropping unmaps.
        Ok(Self { start: start.cast(), len, fork })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A child did not inherit registers; something else may be there by now.
        if !self.fork.is_home() {
            return;
        }
        // SAFETY: ours, and whoever had the address is gone.
        let unmapped = unsafe { munmap(self.start.cast(), self.len.get()) };
        debug_assert!(unmapped.is_ok(), "unmapping our own pages: {unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use nix::unistd::ftruncate;

    use super::*;

    const LEN: NonZeroUsize = NonZeroUsize::new(4096).expect("a page is not empty");

    /// A file whose memory goes away as a removed device's does: the kernel says so by the same signal.
    fn device() -> OwnedFd {
        let file = memfd_create("registers", MFdFlags::MFD_CLOEXEC).expect("a file in memory");
        ftruncate(&file, 4096).expect("a page");
        file
    }

    fn map() -> DeviceMap {
        DeviceMap::new(LEN, 0, ForkMark::new().expect("a page")).expect("a map")
    }

    fn store(map: &DeviceMap, value: u64) {
        // SAFETY: a mapped page, accessed by volatile accesses only.
        unsafe { map.start().cast::<u64>().write_volatile(value) }
    }

    fn load(map: &DeviceMap) -> u64 {
        // SAFETY: as in `store`.
        unsafe { map.start().cast::<u64>().read_volatile() }
    }

    #[test]
    fn registers_that_went_away_are_noticed_and_survived() {
        let (map, file) = (map(), device());
        map.attach(&file).expect("registers");
        store(&map, 7);
        assert_eq!(load(&map), 7);
        assert!(!map.is_lost());
        ftruncate(&file, 0).expect("the device goes");
        store(&map, 8);
        assert!(map.is_lost());
        assert_eq!(load(&map), 8, "ordinary memory, without effect");
    }

    #[test]
    fn loads_survive_too_and_other_devices_are_not_concerned() {
        let (gone, stays) = (map(), map());
        let (gone_file, stays_file) = (device(), device());
        gone.attach(&gone_file).expect("registers");
        stays.attach(&stays_file).expect("registers");
        store(&stays, 5);
        ftruncate(&gone_file, 0).expect("the device goes");
        assert_eq!(load(&gone), 0);
        assert!(gone.is_lost());
        assert!(!stays.is_lost());
        assert_eq!(load(&stays), 5);
    }

    #[test]
    fn detached_registers_are_not_written() {
        let (map, file) = (map(), device());
        map.attach(&file).expect("registers");
        store(&map, 1);
        map.detach().expect("taken away");
        store(&map, 2);
        map.attach(&file).expect("registers");
        assert_eq!(load(&map), 1);
    }

    #[test]
    fn what_was_copied_stays_when_the_memory_is_another_queues() {
        let (map, file) = (map(), device());
        map.attach(&file).expect("memory");
        store(&map, 7);
        let marks = map.place.fork.holders();
        let kept = map.copy().expect("memory for a copy");
        store(&map, 8);
        map.settle(kept).expect("put there");
        assert_eq!(map.place.fork.holders(), marks, "nothing is left of the copy but its pages");
        assert_eq!(load(&map), 7);
        store(&map, 9);
        map.attach(&file).expect("memory");
        assert_eq!(load(&map), 8, "what came after has not reached the file");
        map.detach().expect("taken away");
        assert_eq!(load(&map), 0);
    }

    #[test]
    fn places_are_watched_again_after_others_were_dropped() {
        for _ in 0..3 {
            let (map, file) = (map(), device());
            map.attach(&file).expect("registers");
            ftruncate(&file, 0).expect("the device goes");
            store(&map, 1);
            assert!(map.is_lost());
        }
    }
}
