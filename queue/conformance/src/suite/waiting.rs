//! Arming, sleeping, waking.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{Operation, Status, Transport, Wake};

use crate::Backend;
use crate::request::Request;
use crate::rig::Rig;

/// Sleeps in the way the contract has it: arm, poll once more, sleep, until something is answered.
fn sleep_until_answered(rig: &mut Rig, deadline: Instant) -> usize {
    loop {
        let answered = rig.poll().len();
        if answered > 0 {
            return answered;
        }
        rig.completer.arm();
        let answered = rig.poll().len();
        if answered > 0 {
            return answered;
        }
        let began = Instant::now();
        assert!(began < deadline, "an answer was never signalled");
        rig.transport.sleep(Some(deadline)).expect("the device is there");
    }
}

/// A sleeper is woken by the answer, not by its deadline.
pub fn signals_wake_sleepers(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.wakes {
        return;
    }
    for round in 0..200 {
        let request = match round % 3 {
            0 => Request::new(Operation::Nop),
            1 => Request::new(Operation::Crc32c).source(&[7; 100_000]),
            _ => Request::copy(&[9; 64]),
        };
        if !rig.offers(request.operation) {
            continue;
        }
        if round % 10 == 0 {
            // Long enough for the device to fall asleep, too.
            std::thread::sleep(Duration::from_millis(5));
        }
        let deadline = rig.deadline();
        while rig.submit(std::slice::from_ref(&request)).is_empty() {
            assert!(Instant::now() < deadline, "the queue takes no job");
        }
        while rig.in_flight() > 0 {
            sleep_until_answered(&mut rig, deadline);
        }
        assert!(Instant::now() < deadline, "woken by the deadline");
    }
}

/// A signal that comes between arming and sleeping ends the sleep.
pub fn signals_before_sleep_are_kept(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.wakes || !rig.offers(Operation::Nop) {
        return;
    }
    for _ in 0..20 {
        // Signals of earlier rounds are used up first.
        rig.transport.clear_wake();
        rig.completer.arm();
        let deadline = rig.deadline();
        while rig.submit(&[Request::new(Operation::Nop)]).is_empty() {
            assert!(Instant::now() < deadline, "the queue takes no job");
        }
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(rig.transport.sleep(Some(deadline)).expect("the device is there"), Wake::Signalled);
        assert_eq!(rig.wait_all().len(), 1);
    }
}

/// The descriptor becomes readable with the signal, and can be reset.
pub fn descriptors_wake_pollers(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.wakes || !rig.offers(Operation::Nop) {
        return;
    }
    let transport = Arc::clone(&rig.transport);
    for _ in 0..20 {
        transport.clear_wake();
        rig.completer.arm();
        assert_eq!(rig.poll().len(), 0);
        let deadline = rig.deadline();
        while rig.submit(&[Request::new(Operation::Nop)]).is_empty() {
            assert!(Instant::now() < deadline, "the queue takes no job");
        }
        assert!(is_readable(&*transport, backend.patience()), "the descriptor shows the signal");
        let reply = rig.wait_all().pop().expect("an answer").1;
        reply.expect(Status::Ok);
        transport.clear_wake();
        assert!(!is_readable(&*transport, Duration::ZERO), "the signal was taken back");
    }
}

/// A signal that a sleep has taken back is shown no more; the next one is, whoever waits for it and how.
pub fn descriptors_wake_pollers_after_sleeps(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.wakes || !rig.offers(Operation::Nop) {
        return;
    }
    let transport = Arc::clone(&rig.transport);
    for round in 0..20 {
        if round % 2 == 0 {
            transport.clear_wake();
        }
        rig.completer.arm();
        assert_eq!(rig.poll().len(), 0);
        let deadline = rig.deadline();
        while rig.submit(&[Request::new(Operation::Nop)]).is_empty() {
            assert!(Instant::now() < deadline, "the queue takes no job");
        }
        if round % 2 == 0 {
            while transport.sleep(Some(deadline)).expect("the device is there") != Wake::Signalled {
                assert!(Instant::now() < deadline, "no signal in round {round}");
            }
        } else {
            assert!(is_readable(&*transport, backend.patience()), "the descriptor shows the signal of round {round}");
        }
        rig.wait_all().pop().expect("an answer").1.expect(Status::Ok);
    }
}

/// Whether the descriptor shows a signal, now or within a while.
fn is_readable(transport: &dyn Transport, within: Duration) -> bool {
    let Some(fd) = transport.wake_fd() else { panic!("a queue that wakes has a descriptor") };
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = i32::try_from(within.as_millis()).expect("a short wait");
    // SAFETY: one entry, which outlives the call.
    unsafe { libc::poll(&raw mut entry, 1, millis) == 1 }
}

/// A sleep on a queue where nothing happens ends at its time.
pub fn empty_sleeps_end(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    rig.completer.arm();
    let began = Instant::now();
    for _ in 0..3 {
        rig.transport.sleep(Some(Instant::now() + Duration::from_millis(20))).expect("the device is there");
    }
    assert!(began.elapsed() < backend.patience(), "a sleep of 20 ms took {:?}", began.elapsed());
}
