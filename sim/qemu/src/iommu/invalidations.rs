//! Invalidations of more pages than the emulated IOMMU takes at a time.
//!
//! For a range that lies across a boundary of 1 GiB, Linux (7.3, `drivers/iommu/intel/cache.c`) asks for the smallest aligned block that has it, which is larger, by a
//! page-selective invalidation of first-level translations (VT-d Specification 6.5.2.4). QEMU takes none of more than 2^18 pages (`VTD_MAMV`): it reports an error in the queue, forgets
//! nothing, and devices go on to see what was mapped there before. So an 8-byte window lies over the queue's tail register. What is written to it goes on to where it belongs, after such
//! requests in the queue were made into requests to forget all of the PASID, which is more, and is taken.

use core::ffi::{c_uint, c_void};
use std::sync::OnceLock;

use super::{REGISTERS, lay_window};
use crate::ffi::{Functions, MemoryRegionOps};

/// Offsets of registers (VT-d Specification 11.4.9): the queue's head, its tail, and where it is.
const HEAD: u64 = 0x80;
const TAIL: u64 = 0x88;
const ADDRESS: u64 = 0x90;
/// The most pages of one invalidation, as a power of two: QEMU's `VTD_MAMV` (`hw/i386/intel_iommu_internal.h`).
const MOST: u64 = 18;

/// What the window stands on.
struct Window {
    functions: &'static Functions,
    /// QEMU's own registers of the IOMMU.
    registers: *mut c_void,
}

// SAFETY: the pointer is only passed to functions of QEMU, under its big lock.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

static WINDOW: OnceLock<Window> = OnceLock::new();

static OPERATIONS: MemoryRegionOps = MemoryRegionOps::new(read, write, 4);

/// The invalidation queue, as its registers say (VT-d Specification 11.4.9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Queue {
    base: u64,
    /// Bytes.
    len: u64,
    /// Bytes of a descriptor.
    step: u64,
}

impl Queue {
    const fn new(address: u64) -> Self {
        let wide = address >> 11 & 1 != 0;
        Self { base: address & !0xfff, len: 4096 << (address & 7), step: if wide { 32 } else { 16 } }
    }

    /// Where the descriptors are from `head` up to `tail`, as offsets: none if either is impossible.
    fn between(self, head: u64, tail: u64) -> impl Iterator<Item = u64> {
        let possible = |offset: u64| offset < self.len && offset.is_multiple_of(self.step);
        let mut next = head;
        let over = !possible(head) || !possible(tail);
        core::iter::from_fn(move || {
            (!over && next != tail).then(|| {
                let offset = next;
                next = (next + self.step) % self.len;
                offset
            })
        })
    }
}

/// What a descriptor is made into, if it asks for too much at a time.
const fn widened([low, high]: [u64; 2]) -> Option<[u64; 2]> {
    /// Type, and granularity: page-selective in a PASID; all of a PASID.
    const TYPE: u64 = 0xf;
    const FIRST_LEVEL: u64 = 6;
    const GRANULARITY: u64 = 0x3 << 4;
    const PAGES: u64 = 0x3 << 4;
    const ALL: u64 = 0x2 << 4;
    /// The pages, as a power of two.
    const MASK: u64 = 0x3f;

    let is_too_much = low & TYPE == FIRST_LEVEL && low & GRANULARITY == PAGES && high & MASK > MOST;
    if is_too_much { Some([low & !GRANULARITY | ALL, 0]) } else { None }
}

extern "C" fn read(_: *mut c_void, offset: u64, size: c_uint) -> u64 {
    let Some(Window { functions, registers }) = WINDOW.get() else { return 0 };
    let mut value = 0;
    // SAFETY: QEMU's own region, under the big lock; the value outlives the call.
    unsafe { (functions.memory_region_dispatch_read)(*registers, TAIL + offset, &raw mut value, order(size), 0) };
    value
}

extern "C" fn write(_: *mut c_void, offset: u64, value: u64, size: c_uint) {
    let Some(Window { functions, registers }) = WINDOW.get() else { return };
    if offset == 0 {
        widen(functions, value);
    }
    // SAFETY: QEMU's own region, under the big lock.
    unsafe { (functions.memory_region_dispatch_write)(*registers, TAIL + offset, value, order(size), 0) };
}

/// The size of an access, as `MemOp` (`exec/memop.h`).
const fn order(size: c_uint) -> c_uint {
    size.trailing_zeros()
}

/// Makes what is in the queue, and is asked for by the new tail, into what is taken.
fn widen(functions: &Functions, tail: u64) {
    let memory = functions.address_space_memory;
    let mut result = 0;
    // SAFETY: reads registers of the machine, under the big lock.
    let mut register =
        |offset| unsafe { (functions.address_space_ldq_le)(memory, REGISTERS + offset, 0, &raw mut result) };
    let (queue, head) = (Queue::new(register(ADDRESS)), register(HEAD));
    for offset in queue.between(head, tail) {
        let mut words = [0; 2];
        let access = |words: &mut [u64; 2], write| {
            // SAFETY: memory of the machine, under the big lock; the words are as long as said.
            unsafe {
                (functions.address_space_rw)(memory, queue.base + offset, 0, words.as_mut_ptr().cast(), 16, write)
            }
        };
        if access(&mut words, false) == 0
            && let Some(mut all) = widened(words.map(u64::from_le))
        {
            all = all.map(u64::to_le);
            access(&mut all, true);
        }
    }
}

/// Lays the window over the tail register. The second call does nothing.
pub(super) fn watch(functions: &'static Functions) {
    // SAFETY: the machine's memory, under the big lock.
    let found = unsafe { (functions.memory_region_find)((functions.get_system_memory)(), REGISTERS + TAIL, 8) };
    let registers = found.region;
    if !registers.is_null() && found.offset == TAIL && WINDOW.set(Window { functions, registers }).is_ok() {
        lay_window(functions, REGISTERS + TAIL, &OPERATIONS, c"iommu-queue-tail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_stays_and_what_is_too_much_asks_for_all() {
        // Type 6, granularity 3, domain 0x1234, PASID 0x56789.
        let pages = 0x0005_6789_1234_0036;
        assert_eq!(widened([pages, 0x5000_4000_0000 | 18]), None);
        assert_eq!(widened([pages, 0x5000_4000_0000 | 19]), Some([0x0005_6789_1234_0026, 0]));
        assert_eq!(widened([0x0005_6789_1234_0026, 19]), None, "all of a PASID");
        assert_eq!(widened([0x0000_0000_1234_0032, 19]), None, "second level, where Linux keeps to the limit");
    }

    #[test]
    fn a_queue_is_walked_over_its_end_and_never_for_ever() {
        let queue = Queue::new(0x1234_5000 | 1 << 11);
        assert_eq!(queue, Queue { base: 0x1234_5000, len: 4096, step: 32 });
        assert_eq!(queue.between(4032, 64).collect::<Vec<_>>(), [4032, 4064, 0, 32]);
        assert_eq!(queue.between(64, 64).count(), 0);
        for (head, tail) in [(4096, 0), (0, 4096), (16, 64), (0, 16), (u64::MAX, 0)] {
            assert_eq!(queue.between(head, tail).count(), 0, "{head}, {tail}");
        }
        assert_eq!(Queue::new(0x7), Queue { base: 0, len: 4096 << 7, step: 16 });
    }
}
