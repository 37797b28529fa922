//! What is left in memory of jobs in pieces that were gathered: of secrets nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use uaccel_runtime::{Algorithm, Direction, Error, Pieces, Runtime, SessionSpec, Work};

/// A length that nothing else here has.
const LEN: usize = 12_345;

/// Counts what becomes of blocks of this length, or as much and a tag.
struct Watching;

static FREED: AtomicUsize = AtomicUsize::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Whatever is not written since is not found below. SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if layout.size() == LEN || layout.size() == LEN + 16 {
            // SAFETY: the block is the caller's, and was zeroed when it was new.
            let block = unsafe { std::slice::from_raw_parts(start, layout.size()) };
            LEFT.fetch_add(block.iter().filter(|byte| **byte != 0).count(), Ordering::Relaxed);
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static WATCHING: Watching = Watching;

/// On a stack, not in a vector: of these nothing is to be counted.
type Memory = [u8; LEN + 16];

#[test]
fn what_was_gathered_of_secrets_is_wiped_however_the_job_ends() {
    let runtime = Runtime::builder().device("software").build().unwrap();
    let key = |direction| SessionSpec::keyed(Algorithm::Aes128Gcm, direction, &[1; 16]).unwrap();
    let seal = runtime.session(key(Direction::Forward)).unwrap();
    let open = runtime.session(key(Direction::Inverse)).unwrap();
    let (text, mut sealed, mut back): ([u8; LEN], Memory, [u8; LEN]) = ([0xa5; LEN], [0; LEN + 16], [0; LEN]);
    let mut pieces = Pieces::new(text.chunks(1_000), sealed.chunks_mut(999));
    runtime.run(Work::session_in_pieces(&seal, &mut pieces).with_nonce([2; 12], b"")).unwrap();
    for good in [true, false] {
        sealed[7] ^= u8::from(!good);
        let mut pieces = Pieces::new(sealed.chunks(1_000), back.chunks_mut(999));
        let result = runtime.run(Work::session_in_pieces(&open, &mut pieces).with_nonce([2; 12], b""));
        assert!(if good { result.is_ok() } else { matches!(result, Err(Error::TagMismatch(_))) });
    }
    assert_eq!(back, text);
    assert_eq!(FREED.load(Ordering::Relaxed), 6, "what is watched for is there");
    assert_eq!(LEFT.load(Ordering::Relaxed), 0, "bytes of a secret were left behind");
}
