//! The protocols between host and device under the model checker, and the table of jobs itself.
//!
//! Each protocol is tried as it is, and with one ordering taken out: then the checker must find the schedule that
//! breaks it, or it would not be looking. Run with `RUSTFLAGS="--cfg loom" cargo test -p uaccel-queue --test loom
//! --release`.
#![cfg(loom)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use loom::thread;
use uaccel_queue::sync::atomic::{AtomicU64, Ordering, fence};
use uaccel_queue::{Batch, Cells, Done, Operation, Outcome, Token};

/// Expects the checker to find a schedule in which the model fails.
fn must_fail(model: impl Fn() + Sync + Send + 'static) {
    let found = catch_unwind(AssertUnwindSafe(|| loom::model(model))).is_err();
    assert!(found, "the checker found nothing wrong");
}

fn barrier(kept: bool) {
    if kept {
        fence(Ordering::SeqCst);
    }
}

/// Submission against a device that goes to sleep: it must see the descriptor, or the host must see that it wants a
/// doorbell.
fn submission(host: bool, device: bool) {
    let published = Arc::new(AtomicU64::new(0));
    let need_wakeup = Arc::new(AtomicU64::new(0));
    let engine = {
        let (published, need_wakeup) = (Arc::clone(&published), Arc::clone(&need_wakeup));
        thread::spawn(move || {
            need_wakeup.store(1, Ordering::Relaxed);
            barrier(device);
            published.load(Ordering::Acquire) != 0
        })
    };
    published.store(1, Ordering::Release);
    barrier(host);
    let rings = need_wakeup.load(Ordering::Relaxed) != 0;
    let sees = engine.join().expect("no panic inside");
    assert!(rings || sees, "the device sleeps over a descriptor");
}

/// The same with a device that fences on every thread at once: wherever the host is just then, it makes a full fence, and the
/// device goes on when it has. The host has no fence of its own.
fn submission_fenced_for(point: usize) {
    let words = Arc::new([(); 4].map(|()| AtomicU64::new(0)));
    let engine = {
        let words = Arc::clone(&words);
        thread::spawn(move || {
            let [published, need_wakeup, demanded, made] = &*words;
            need_wakeup.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            demanded.store(1, Ordering::Release);
            while made.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            fence(Ordering::SeqCst);
            published.load(Ordering::Acquire) != 0
        })
    };
    let [published, need_wakeup, demanded, made] = &*words;
    let interrupted = |here: usize| {
        if here == point {
            while demanded.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            fence(Ordering::SeqCst);
            made.store(1, Ordering::Release);
        }
    };
    interrupted(0);
    published.store(1, Ordering::Release);
    interrupted(1);
    let rings = need_wakeup.load(Ordering::Relaxed) != 0;
    interrupted(2);
    let sees = engine.join().expect("no panic inside");
    assert!(rings || sees, "the device sleeps over a descriptor");
}

#[test]
fn a_device_that_fences_for_both_is_woken() {
    for point in 0..3 {
        loom::model(move || submission_fenced_for(point));
    }
}

#[test]
fn a_sleeping_device_is_woken() {
    loom::model(|| submission(true, true));
}

#[test]
fn without_the_hosts_fence_a_device_sleeps_on() {
    must_fail(|| submission(false, true));
}

#[test]
fn without_the_devices_fence_a_device_sleeps_on() {
    must_fail(|| submission(true, false));
}

/// Completion against a host that goes to sleep: it must find the completion, or the device must see that it wants a
/// signal.
fn completion(host: bool, device: bool) {
    let published = Arc::new(AtomicU64::new(0));
    let arm = Arc::new(AtomicU64::new(0));
    let engine = {
        let (published, arm) = (Arc::clone(&published), Arc::clone(&arm));
        thread::spawn(move || {
            published.store(1, Ordering::Release);
            barrier(device);
            arm.load(Ordering::Relaxed) != 0
        })
    };
    arm.store(1, Ordering::Relaxed);
    barrier(host);
    let finds = published.load(Ordering::Acquire) != 0;
    let signals = engine.join().expect("no panic inside");
    assert!(signals || finds, "the host sleeps over a completion");
}

#[test]
fn a_sleeping_host_is_woken() {
    loom::model(|| completion(true, true));
}

#[test]
fn without_the_hosts_fence_a_host_sleeps_on() {
    must_fail(|| completion(false, true));
}

#[test]
fn without_the_devices_fence_a_host_sleeps_on() {
    must_fail(|| completion(true, false));
}

/// Mailbox mode with three parties: a thread submits, the device answers, another thread waits. The waiting thread
/// looks only at lines that the submitting thread has recorded, so the record has to come before the descriptor.
fn mailbox(record_first: bool) {
    let recorded = Arc::new(AtomicU64::new(0));
    let descriptor = Arc::new(AtomicU64::new(0));
    let answer = Arc::new(AtomicU64::new(0));
    let arm = Arc::new(AtomicU64::new(0));
    let engine = {
        let (descriptor, answer, arm) = (Arc::clone(&descriptor), Arc::clone(&answer), Arc::clone(&arm));
        thread::spawn(move || {
            if descriptor.load(Ordering::Acquire) == 0 {
                // Not there yet: the schedules of interest are the others.
                return None;
            }
            answer.store(1, Ordering::Release);
            fence(Ordering::SeqCst);
            Some(arm.load(Ordering::Relaxed) != 0)
        })
    };
    let waiting = {
        let (recorded, answer, arm) = (Arc::clone(&recorded), Arc::clone(&answer), Arc::clone(&arm));
        thread::spawn(move || {
            arm.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            recorded.load(Ordering::Acquire) != 0 && answer.load(Ordering::Acquire) != 0
        })
    };
    if record_first {
        recorded.store(1, Ordering::Release);
        descriptor.store(1, Ordering::Release);
    } else {
        descriptor.store(1, Ordering::Release);
        recorded.store(1, Ordering::Release);
    }
    let finds = waiting.join().expect("no panic inside");
    if let Some(signals) = engine.join().expect("no panic inside") {
        assert!(signals || finds, "the host sleeps over an answer");
    }
}

#[test]
fn a_recorded_line_is_looked_at() {
    loom::model(|| mailbox(true));
}

#[test]
fn a_line_recorded_too_late_is_missed() {
    must_fail(|| mailbox(false));
}

/// Two rounds of one slot: built and launched here, answered by a device, completed and handed back there. The checker
/// watches the cells: a job or an outcome that two threads touch without an order between them fails the model.
fn slot(publish: Ordering, answer: Ordering, hand_back: Ordering) {
    let cells = Arc::new(Cells::new(1));
    let descriptor = Arc::new(AtomicU64::new(0));
    let free = Arc::new(AtomicU64::new(0));
    let completer = {
        let (cells, descriptor, free) = (Arc::clone(&cells), Arc::clone(&descriptor), Arc::clone(&free));
        thread::spawn(move || {
            for round in 1..=2 {
                let mut word = descriptor.load(answer);
                while word >> 32 != round {
                    thread::yield_now();
                    word = descriptor.load(answer);
                }
                let token = Token::from_raw(u32::try_from(word & 0xffff_ffff).expect("the low half"));
                let mut slots = [0];
                // SAFETY: the only completer.
                let mut done = unsafe { Done::new(&cells, &mut slots) };
                let found = done.find(token).expect("the job is in flight");
                assert_eq!((found.job().token, found.job().source_len as u64), (token, round));
                found.complete(Outcome::ok(round, 0)).expect("no more than the job has");
                assert!(done.complete(token, &Outcome::ok(0, 0)).is_err(), "once is enough");
                // SAFETY: just answered.
                assert_eq!(unsafe { cells.outcome(0) }.consumed, round);
                free.store(round, hand_back);
            }
        })
    };
    for round in 1..=2_usize {
        while free.load(Ordering::Acquire) != round as u64 - 1 {
            thread::yield_now();
        }
        // SAFETY: the slot was handed back.
        unsafe {
            cells.build(0, |job| {
                job.operation = Operation::Crc32;
                job.source_len = round;
            });
        }
        // SAFETY: built, and not in flight.
        let batch = unsafe { Batch::new(&cells, &[0]) };
        let token = batch.launch(0);
        descriptor.store((round as u64) << 32 | u64::from(token.raw()), publish);
    }
    completer.join().expect("no panic inside");
}

#[test]
fn a_slot_is_one_partys_at_a_time() {
    loom::model(|| slot(Ordering::Release, Ordering::Acquire, Ordering::Release));
}

#[test]
fn an_unordered_publication_is_found() {
    must_fail(|| slot(Ordering::Relaxed, Ordering::Acquire, Ordering::Release));
}

#[test]
fn an_unordered_answer_is_found() {
    must_fail(|| slot(Ordering::Release, Ordering::Relaxed, Ordering::Release));
}

#[test]
fn an_unordered_hand_back_is_found() {
    must_fail(|| slot(Ordering::Release, Ordering::Acquire, Ordering::Relaxed));
}

/// A device may make up the token of a job that is just being launched. The completer then refuses it, or finds the job
/// whole: the checker would see a job that is read while it is built.
#[test]
fn a_guessed_token_is_refused_or_found_whole() {
    loom::model(|| {
        let cells = Arc::new(Cells::new(1));
        let guess = Token::first(0).next();
        let completer = {
            let cells = Arc::clone(&cells);
            thread::spawn(move || {
                let mut slots = [0];
                // SAFETY: the only completer.
                let mut done = unsafe { Done::new(&cells, &mut slots) };
                let Ok(found) = done.find(guess) else { return false };
                assert_eq!(found.job().source_len, 7);
                found.complete(Outcome::ok(7, 0)).is_ok()
            })
        };
        // SAFETY: nobody else has the slot.
        unsafe {
            cells.build(0, |job| {
                job.operation = Operation::Crc32;
                job.source_len = 7;
            });
        }
        // SAFETY: built, and not in flight.
        let batch = unsafe { Batch::new(&cells, &[0]) };
        assert_eq!(batch.launch(0), guess);
        let believed = completer.join().expect("no panic inside");
        assert_eq!(cells.is_live(guess), !believed);
    });
}
