//! Jobs on addresses that nobody vouches for, and what else tests on a device need.

use std::time::{Duration, Instant};

use uaccel_runtime::{Error, Operation, Outcome, RawWork, Runtime};

/// Long enough that only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that somebody else does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A copy between addresses that nobody vouches for.
pub(crate) fn copy(source: *const u8, destination: *mut u8, len: usize) -> RawWork<'static> {
    let mut work = RawWork::new(Operation::Copy);
    (work.source, work.source_len) = (source, len);
    (work.destination, work.destination_len) = (destination, len);
    work
}

/// A checksum of memory that nobody vouches for.
pub(crate) fn crc32c(source: *const u8, len: usize) -> RawWork<'static> {
    let mut work = RawWork::new(Operation::Crc32c);
    (work.source, work.source_len) = (source, len);
    work
}

/// A fill of memory that nobody vouches for.
pub(crate) fn fill(destination: *mut u8, len: usize, pattern: u64) -> RawWork<'static> {
    let mut work = RawWork::new(Operation::Fill);
    (work.destination, work.destination_len) = (destination, len);
    work.immediate[..8].copy_from_slice(&pattern.to_le_bytes());
    work
}

/// Runs a job on addresses that nobody vouches for.
pub(crate) fn run(runtime: &Runtime, work: &RawWork<'_>) -> Result<Outcome, Error> {
    // SAFETY: the device reports addresses that are bad, and these tests leave the others alone meanwhile or say so.
    unsafe { runtime.run_raw(work) }
}

/// Bytes without a pattern, different for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    // xorshift64*, Vigna 2016; state must not be 0.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next).flatten().take(len.next_multiple_of(8)).collect();
    bytes.truncate(len);
    bytes
}
