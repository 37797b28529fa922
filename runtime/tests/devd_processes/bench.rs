//! What the tests have in common.

use std::time::{Duration, Instant};

use uaccel_runtime::{Error, FaultKind, Operation, Outcome, RawWork, Runtime};

/// Long enough that only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Short: some tests let it pass on purpose.
pub(crate) const DEADLINE: Duration = Duration::from_millis(200);
/// Long enough for a device to do what it must not do.
pub(crate) const GRACE: Duration = Duration::from_millis(300);

/// Waits for something that somebody else does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Bytes without structure.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            // Xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[5]
        })
        .collect()
}

/// A copy that nobody vouches for.
pub(crate) fn copy(from: *const u8, to: *mut u8, len: usize) -> RawWork<'static> {
    let mut work = RawWork::new(Operation::Copy);
    (work.source, work.source_len) = (from, len);
    (work.destination, work.destination_len) = (to, len);
    work
}

/// A checksum that nobody vouches for.
pub(crate) fn crc32c(from: *const u8, len: usize) -> RawWork<'static> {
    let mut work = RawWork::new(Operation::Crc32c);
    (work.source, work.source_len) = (from, len);
    work
}

/// Runs a job on pages of a test.
pub(crate) fn run(runtime: &Runtime, work: &RawWork<'_>) -> Result<Outcome, Error> {
    // SAFETY: the tests' pages are reached through pointers only, and stay mapped until the call has returned; the device reports bad pointers.
    unsafe { runtime.run_raw(work) }
}

/// The address and the kind of a bad pointer.
#[track_caller]
pub(crate) fn fault(result: Result<Outcome, Error>) -> (u64, FaultKind) {
    match result {
        Err(Error::BadPointer { fault, .. }) => (fault.address, fault.kind),
        other => panic!("no bad pointer: {other:?}"),
    }
}
