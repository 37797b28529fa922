//! Requests and pointers that are wrong: a clear error each, and nothing else happens.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use device::{PATIENCE, engine, simulated};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use uaccel_runtime::{
    Algorithm, Direction, Error, Fault, FaultKind, Operation, RawWork, Runtime, SessionSpec, SpecError, Work,
};
use uaccel_sim::WarpConfig;

const PAGE: usize = 4096;

/// Two pages, the second of which has another protection.
struct TwoPages(NonNull<u8>);

impl TwoPages {
    fn new(second: ProtFlags) -> Self {
        let len = NonZeroUsize::new(2 * PAGE).unwrap();
        // SAFETY: a fresh mapping, and a change to half of it.
        unsafe {
            let start =
                mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE).unwrap();
            nix::sys::mman::mprotect(start.byte_add(PAGE), PAGE, second).unwrap();
            Self(start.cast())
        }
    }

    fn second(&self) -> u64 {
        self.0.as_ptr().addr() as u64 + PAGE as u64
    }
}

impl Drop for TwoPages {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and nobody has a reference.
        unsafe { munmap(self.0.cast(), 2 * PAGE).unwrap() }
    }
}

/// Runs a job that nobody vouches for.
fn run(runtime: &Runtime, work: &RawWork<'_>) -> Result<uaccel_runtime::Outcome, Error> {
    // SAFETY: the simulated engine reports bad pointers, and the tests touch nothing meanwhile.
    unsafe { runtime.run_raw(work) }
}

fn copy(source: *const u8, destination: *mut u8, len: usize) -> RawWork<'static> {
    let mut work = RawWork::new(Operation::Copy);
    (work.source, work.source_len) = (source, len);
    (work.destination, work.destination_len) = (destination, len);
    work
}

#[track_caller]
fn assert_fault(result: Result<uaccel_runtime::Outcome, Error>, address: u64, kind: FaultKind) {
    match result {
        Err(Error::BadPointer { fault, .. }) => assert_eq!(fault, Fault { address, kind }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pointer_to_nothing_is_reported_with_its_address_and_neighbours_are_unharmed() {
    let (runtime, _plan) = engine();
    let mut destination = vec![0; PAGE];
    assert_fault(run(&runtime, &copy(16 as *const u8, destination.as_mut_ptr(), 64)), 16, FaultKind::Read);

    let pages = TwoPages::new(ProtFlags::PROT_NONE);
    // SAFETY: inside the mapping.
    let straddling = unsafe { pages.0.as_ptr().add(PAGE - 100) };
    assert_fault(run(&runtime, &copy(straddling, destination.as_mut_ptr(), 200)), pages.second(), FaultKind::Read);

    runtime.run(Work::copy(&[1; 64], &mut destination)).expect("the queue goes on");
}

#[test]
fn a_read_only_destination_is_reported_and_not_written() {
    let (runtime, _plan) = engine();
    let source = vec![0xAB; PAGE];
    let pages = TwoPages::new(ProtFlags::PROT_READ);
    // SAFETY: inside the mapping.
    let second = unsafe { pages.0.as_ptr().add(PAGE) };
    assert_fault(run(&runtime, &copy(source.as_ptr(), second, PAGE)), pages.second(), FaultKind::Write);
    // SAFETY: readable, and the engine has finished.
    assert!(unsafe { std::slice::from_raw_parts(second, PAGE) }.iter().all(|byte| *byte == 0));
}

#[test]
fn misaligned_pointers_work() {
    let (runtime, _plan) = engine();
    let source: Vec<u8> = (0..=255).collect();
    for offset in 0..16 {
        let mut destination = vec![0; 300];
        // SAFETY: 200 bytes fit behind any of the offsets, in both.
        let work = unsafe { copy(source.as_ptr().add(offset), destination.as_mut_ptr().add(2 * offset + 1), 200) };
        run(&runtime, &work).unwrap();
        assert_eq!(destination[2 * offset + 1..][..200], source[offset..][..200]);
    }
}

#[test]
fn null_with_a_length_overlap_and_ranges_past_the_end_are_refused_before_the_device_sees_them() {
    let (runtime, _plan) = engine();
    let mut bytes = vec![0u8; 200];
    let start = bytes.as_mut_ptr();
    let refused = [
        copy(std::ptr::null(), start, 10),
        copy(start, std::ptr::null_mut(), 10),
        // SAFETY: inside the vector.
        copy(start, unsafe { start.add(50) }, 100),
        copy(start, start, 100),
        copy(start, (usize::MAX - 5) as *mut u8, 100),
    ];
    for work in refused {
        let result = run(&runtime, &work);
        assert!(matches!(result, Err(Error::InvalidInput { operation: Operation::Copy, .. })), "{work:?}: {result:?}");
    }
    assert_eq!(runtime.counters().jobs, 0);
    run(&runtime, &copy(std::ptr::null(), std::ptr::null_mut(), 0)).expect("nothing at all is no bad pointer");
}

#[test]
fn lengths_beyond_the_device_are_refused_with_the_limit() {
    let (runtime, _plan) = engine();
    let limit = runtime.granted().max_transfer;
    let mut byte = 0;
    for len in [usize::try_from(limit).unwrap() + 1, 1 << 32, (1 << 32) + 1, 1 << 40] {
        let result = run(&runtime, &copy(0x10_0000_0000 as *const u8, &raw mut byte, len));
        match result {
            // The ranges may overlap at such lengths; both answers are right.
            Err(Error::TooLarge { len: refused, limit: said, .. }) => assert_eq!((refused, said), (len as u64, limit)),
            Err(Error::InvalidInput { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_output_that_is_too_small_says_how_much_is_needed() {
    let (runtime, _plan) = engine();
    let result = runtime.run(Work::copy(&[0; 100], &mut [0; 99]));
    assert!(matches!(result, Err(Error::OutputTooSmall { needed: Some(100), room: 99, .. })), "{result:?}");

    let seal =
        runtime.session(SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Forward, &[0; 16]).unwrap()).unwrap();
    let result = runtime.run(Work::session(&seal, &[0; 100], &mut [0; 115]).with_nonce([0; 12], b""));
    assert!(matches!(result, Err(Error::OutputTooSmall { needed: Some(116), room: 115, .. })), "{result:?}");
}

#[test]
fn sessions_with_wrong_parameters_are_refused_with_the_value() {
    let key = SessionSpec::keyed(Algorithm::Aes256Gcm, Direction::Forward, &[0; 16]).unwrap_err();
    assert_eq!(key, SpecError::KeyLength { algorithm: Algorithm::Aes256Gcm, expected: 32, actual: 16 });
    assert_eq!(key.to_string(), "aes-256-gcm takes a key of 32 bytes, not 16");
    let level = SessionSpec::compression(Algorithm::Gzip, Direction::Forward, Some(10)).unwrap_err();
    assert_eq!(level.to_string(), "gzip has no level 10; it takes 0 to 9");
}

#[test]
fn an_unknown_device_is_refused_with_a_report_of_those_there_are() {
    let error = Runtime::builder().device("no-such-thing").build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("there is no device 'no-such-thing'"), "{text}");
    assert!(text.contains("software"), "{text}");
}

#[test]
fn jobs_without_length_succeed() {
    let (runtime, _plan) = engine();
    assert_eq!(runtime.run(Work::copy(&[], &mut [])).unwrap().produced, 0);
    assert_eq!(runtime.run(Work::compare(&[], &[])).unwrap().produced, 0);
    assert_eq!(runtime.run(Work::crc32c(&[], 0)).unwrap().checksum, 0);
    runtime.run(Work::fill(&mut [], 1)).unwrap();
}

#[test]
fn ranges_of_different_lengths_are_not_compared() {
    let (runtime, _plan) = engine();
    let result = runtime.run(Work::compare(&[0; 3], &[0; 4]));
    assert!(matches!(result, Err(Error::InvalidInput { .. })), "{result:?}");
}

#[test]
fn a_pointer_that_goes_bad_while_its_job_waits_is_a_fault_of_that_job() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    let pages = TwoPages::new(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    let mut destination = vec![0u8; PAGE];
    plan.hold();
    let (source, target) = (pages.second() as usize, destination.as_mut_ptr().addr());
    let job = std::thread::spawn({
        let runtime = runtime.clone();
        move || run(&runtime, &copy(source as *const u8, target as *mut u8, PAGE))
    });
    // Whether the engine has taken the job by then or not, it has not read the page.
    std::thread::sleep(std::time::Duration::from_millis(20));
    // SAFETY: the page is ours, and nobody but the engine looks at it.
    unsafe {
        let second = NonNull::new(pages.0.as_ptr().add(PAGE)).unwrap();
        nix::sys::mman::mprotect(second.cast(), PAGE, ProtFlags::PROT_NONE).unwrap();
    }
    plan.release();
    assert_fault(job.join().unwrap(), pages.second(), FaultKind::Read);
}
