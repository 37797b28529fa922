//! A worker that has seen a session once allocates nothing for its later jobs.
//!
//! Counts what goes through Rust's allocator. The C libraries have their own; of those, only Zstandard allocates at all while it
//! works, and only when a level needs larger tables than before.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use support::{formats, levels, prose, size};
use uaccel_queue::{Algorithm, Direction, Family, SessionSpec, Status};
use uaccel_units::{Input, Scratch, Unit, bound};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything through to the system's allocator; the counter is a constant-initialised thread local without a destructor,
// so that touching it does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the ones asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the ones asked for, and `alloc` got the pointer from there.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs the unit twice on the same scratch; the second job must not allocate.
fn assert_warm_run_is_free(unit: &Unit, input: &Input<'_>, room: usize, expected: Status) {
    let (mut scratch, mut destination) = (Scratch::new(), vec![0; room]);
    assert_eq!(unit.run(&mut scratch, input, &mut destination).status, expected);
    let before = ALLOCATIONS.get();
    let outcome = unit.run(&mut scratch, input, &mut destination);
    assert_eq!(ALLOCATIONS.get() - before, 0, "{unit:?} allocates for a job that ends {expected:?}");
    assert_eq!(outcome.status, expected);
}

#[test]
fn compression_allocates_nothing_once_warm() {
    let text = prose(10_000);
    for algorithm in formats() {
        for level in levels(algorithm) {
            let unit = support::compressor(algorithm, level);
            let room = size(bound(algorithm, text.len() as u64).expect("has a bound"));
            let stream = support::compress(algorithm, level, &text);
            assert_warm_run_is_free(&unit, &Input::new(&text), room, Status::Ok);
            assert_warm_run_is_free(&unit, &Input::new(&text), stream.len(), Status::Ok);
            assert_warm_run_is_free(&unit, &Input::new(&text), 10, Status::OutputTooSmall);
            if algorithm.windows().is_some() {
                let spec = SessionSpec::compression(algorithm, Direction::Forward, level).expect("valid");
                let unit = Unit::new(&spec.with_window(4_096).expect("valid")).expect("supported");
                assert_warm_run_is_free(&unit, &Input::new(&text), room, Status::Ok);
            }
            let unit = support::decompressor(algorithm);
            assert_warm_run_is_free(&unit, &Input::new(&stream), text.len(), Status::Ok);
            assert_warm_run_is_free(&unit, &Input::new(&stream), text.len() - 1, Status::OutputTooSmall);
            assert_warm_run_is_free(&unit, &Input::new(&[]), 10, Status::Truncated);
        }
    }
}

#[test]
fn ciphers_and_digests_never_allocate() {
    let text = prose(5_000);
    for algorithm in [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305] {
        let key = vec![1; algorithm.key_len().expect("fixed")];
        for (direction, status) in [(Direction::Forward, Status::Ok), (Direction::Inverse, Status::TagMismatch)] {
            let unit = Unit::new(&SessionSpec::keyed(algorithm, direction, &key).expect("fits")).expect("supported");
            assert_warm_run_is_free(&unit, &Input::aead(&text, b"aad", [0; 12]), text.len() + 16, status);
        }
    }
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == Family::Cipher) {
        let key: Vec<u8> = (0..64).take(algorithm.key_len().expect("fixed")).collect();
        for direction in [Direction::Forward, Direction::Inverse] {
            let unit = Unit::new(&SessionSpec::keyed(algorithm, direction, &key).expect("fits")).expect("supported");
            let (whole, part) = (Input::cipher(&text[..4_096], [9; 16]), Input::cipher(&text[..15], [9; 16]));
            assert_warm_run_is_free(&unit, &whole, text.len(), Status::Ok);
            assert_warm_run_is_free(&unit, &whole, 100, Status::OutputTooSmall);
            let counts = algorithm.text_lengths().is_some_and(|lengths| lengths.contains(15));
            assert_warm_run_is_free(&unit, &part, 100, if counts { Status::Ok } else { Status::InvalidJob });
        }
    }
    for (algorithm, key) in [(Algorithm::Sha256, &b""[..]), (Algorithm::Sha512, b""), (Algorithm::HmacSha256, b"key")] {
        let unit = Unit::new(&SessionSpec::digest(algorithm, key).expect("valid")).expect("supported");
        assert_warm_run_is_free(&unit, &Input::new(&text), 64, Status::Ok);
    }
}
