//! Bad pointers are completions.

mod support;

use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use support::{Hand, copy, device, job, ok, over, pattern};
use uaccel_queue::{Algorithm, Direction, Operation, Status};
use uaccel_sim::Plan;
use uaccel_warp_abi::{Answer, Completion, Descriptor, Mode};

const PAGE: usize = 4096;

/// Two pages of memory of which the second can be taken away.
struct Pages(NonNull<std::ffi::c_void>);

impl Pages {
    fn new() -> Self {
        let len = NonZeroUsize::new(2 * PAGE).unwrap();
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address the kernel chooses.
        Self(unsafe { mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }.unwrap())
    }

    fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    fn protect_second(&self, flags: ProtFlags) {
        // SAFETY: the page belongs to this value, and nobody holds a reference into it.
        unsafe { mprotect(self.0.byte_add(PAGE), PAGE, flags) }.unwrap();
    }

    fn byte(&self, offset: usize) -> u8 {
        // SAFETY: inside the mapping, on a page the test left readable.
        unsafe { self.0.cast::<u8>().add(offset).read_volatile() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and the device has answered all jobs that named it.
        unsafe { munmap(self.0, 2 * PAGE) }.unwrap();
    }
}

fn fault(answer: Answer) -> Completion {
    Completion { token: 0x1001, status: Status::Fault as u8, answer }
}

fn on_both(test: impl Fn(&mut Hand)) {
    for mode in [Mode::Ring, Mode::Mailbox] {
        test(&mut Hand::new(&device(Plan::default()), mode));
    }
}

#[test]
fn null_and_nonsense_pointers() {
    on_both(|hand| {
        let (source, mut out) = (pattern(64), vec![0; 64]);
        let good = copy(1, &source, &mut out);
        for address in [0, 8, 0x1000, 1 << 47, 1 << 63, u64::MAX - 4096] {
            assert_eq!(hand.run(&Descriptor { source: address, ..good }), fault(Answer::ReadFault(address)));
            assert_eq!(hand.run(&Descriptor { destination: address, ..good }), fault(Answer::WriteFault(address)));
        }
        assert_eq!(hand.run(&good), ok(1, 64, 64), "neighbours are untouched");
    });
}

#[test]
fn a_range_that_runs_into_a_hole_faults_at_the_hole() {
    on_both(|hand| {
        let pages = Pages::new();
        pages.protect_second(ProtFlags::PROT_NONE);
        let hole = pages.address() + PAGE as u64;
        let (source, mut out) = (pattern(2 * PAGE), vec![0; 2 * PAGE]);
        for (start, len) in [(0, 2 * PAGE), (PAGE - 1, 2), (100, PAGE), (PAGE, 1)] {
            let good = copy(1, &source[..len], &mut out[..len]);
            let start = pages.address() + start as u64;
            assert_eq!(hand.run(&Descriptor { source: start, ..good }), fault(Answer::ReadFault(hole)));
            assert_eq!(hand.run(&Descriptor { destination: start, ..good }), fault(Answer::WriteFault(hole)));
        }
        let last = copy(1, &source[..PAGE], &mut out[..PAGE]);
        assert_eq!(hand.run(&Descriptor { destination: pages.address(), ..last }), ok(1, PAGE, PAGE));
    });
}

#[test]
fn protection_is_honoured() {
    on_both(|hand| {
        let pages = Pages::new();
        pages.protect_second(ProtFlags::PROT_READ);
        let read_only = pages.address() + PAGE as u64;
        let (source, mut out) = (pattern(64), vec![0xff; 64]);
        let into = Descriptor { destination: read_only, ..copy(1, &source, &mut out) };
        assert_eq!(hand.run(&into), fault(Answer::WriteFault(read_only)));
        assert_eq!(pages.byte(PAGE), 0);
        let from = Descriptor { source: read_only, ..copy(1, &source, &mut out) };
        assert_eq!(hand.run(&from), ok(1, 64, 64));
        assert_eq!(out, vec![0; 64]);
    });
}

#[test]
fn only_what_is_produced_is_written() {
    on_both(|hand| {
        assert_eq!(hand.open_session(0, Algorithm::Sha256, Direction::Forward, 0, &[]), 0);
        let pages = Pages::new();
        pages.protect_second(ProtFlags::PROT_NONE);
        // The room runs into the hole, the digest does not.
        let start = pages.address() + (PAGE - 32) as u64;
        let descriptor =
            Descriptor { destination: start, destination_len: 64, ..over(job(1, Operation::Digest), b"abc", &mut []) };
        assert_eq!(hand.run(&descriptor), ok(1, 3, 32));
        assert_eq!(pages.byte(PAGE - 32), 0xba);
    });
}

#[test]
fn faults_are_counted() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    let mut out = [0; 8];
    hand.run(&Descriptor { source: 16, ..copy(1, &[0; 8], &mut out) });
    hand.run(&job(2, Operation::Nop));
    let stats = device.stats();
    assert_eq!((stats.total.jobs, stats.total.faults, stats.total.bytes), (2, 1, 8));
    assert_eq!(stats.queues.len(), 1);
}

#[test]
fn memory_that_is_taken_away_between_jobs_faults() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    let pages = Pages::new();
    let start = pages.address();
    let mut out = vec![0; PAGE];
    let job = Descriptor { source: start, source_len: 4096, ..copy(1, &[], &mut out) };
    assert_eq!(hand.run(&job), ok(1, PAGE, PAGE));
    drop(pages);
    // Something else may be mapped there by now, but nothing crashes; usually it faults.
    let after = hand.run(&job).status;
    assert!([Status::Ok as u8, Status::Fault as u8].contains(&after));
}
