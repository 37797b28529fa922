//! What a job costs besides its work: nothing that allocates, locks or enters the kernel.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use uaccel_runtime::{Lease, Runtime};

/// Counts allocations of the calling thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no counter any more, and is not the one that counts.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn bursts(lease: &mut Lease, count: usize) {
    lease
        .scope(|scope| {
            for _ in 0..count {
                for _ in 0..8 {
                    scope.nop().unwrap();
                }
                scope.finish(|answer| assert!(answer.is_ok())).unwrap();
            }
        })
        .unwrap();
}

fn allocations(device: &str, depth: usize) -> u64 {
    let runtime = Runtime::builder().device(device).depth(depth).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    bursts(&mut lease, 100);
    let before = ALLOCATIONS.get();
    bursts(&mut lease, 1000);
    ALLOCATIONS.get() - before
}

#[test]
fn a_job_through_a_lease_allocates_nothing() {
    // First: the counter counts.
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(ALLOCATIONS.get() - before, 1);

    for (device, depth) in [("null", 128), ("software", 128), ("sim", 8), ("sim", 128)] {
        assert_eq!(allocations(device, depth), 0, "{device} at depth {depth}");
    }
}
