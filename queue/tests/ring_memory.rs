//! Memory of rings, record by record and many at once.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uaccel_queue::RingMemory;

const WORDS: usize = 64;

fn memory() -> RingMemory {
    let words: Arc<[AtomicU64; WORDS]> = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
    // SAFETY: aligned, as long as it says, zeroed, and kept by the memory itself.
    unsafe { RingMemory::new(NonNull::from(&*words).cast(), 0x1000, WORDS * 8, words) }
}

#[test]
fn records_in_a_row_are_the_records_one_by_one() {
    let memory = memory();
    for (index, record) in memory.records::<4>(32, 15).iter().enumerate() {
        for (at, word) in record.iter().enumerate() {
            word.store((10 * index + at) as u64, Ordering::Relaxed);
        }
    }
    for index in 0..15 {
        let record = memory.record::<4>(32 + index * 32);
        let found = record.each_ref().map(|word| word.load(Ordering::Relaxed));
        assert_eq!(found, std::array::from_fn(|at| (10 * index + at) as u64));
    }
    assert_eq!(memory.read(0), 0, "what is in front is untouched");
    assert!(memory.records::<8>(WORDS * 8, 0).is_empty());
}

#[test]
#[should_panic(expected = "16 records of 4 words at offset 32 of 512 bytes")]
fn records_beyond_the_end_are_a_mistake() {
    let _ = memory().records::<4>(32, 16);
}

#[test]
#[should_panic(expected = "at offset 4 of")]
fn records_that_are_not_aligned_are_a_mistake() {
    let _ = memory().records::<1>(4, 1);
}

#[test]
#[should_panic(expected = "at offset 520 of")]
fn records_that_begin_beyond_the_end_are_a_mistake() {
    let _ = memory().records::<1>(520, 0);
}
