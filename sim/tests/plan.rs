//! What a plan makes a device do.

mod support;

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use support::{Hand, PATIENCE, copy, device, failed, job, ok, pattern};
use uaccel_queue::{Operation, Quiet, Status, TransportError, Wake};
use uaccel_sim::{Mishap, Plan, Profile, Timing, When};
use uaccel_warp_abi::{Answer, Command, Mode, State};

/// Runs `jobs` jobs under a plan and counts the completions of each token; silence at the end.
fn count(plan: Plan, mode: Mode, jobs: u32, answers: usize) -> HashMap<u32, usize> {
    let device = device(plan);
    let mut hand = Hand::new(&device, mode);
    for token in 0..jobs {
        hand.submit(&job(token, Operation::Nop));
    }
    let mut seen = HashMap::new();
    for _ in 0..answers {
        *seen.entry(hand.wait().token).or_default() += 1;
    }
    hand.expect_silence();
    seen
}

#[test]
fn a_completion_is_lost() {
    for mode in [Mode::Ring, Mode::Mailbox] {
        let seen = count(Plan::default().with(When::Nth(3), Mishap::LostCompletion), mode, 10, 9);
        assert_eq!((seen.len(), seen.get(&0x1002)), (9, None));
    }
}

#[test]
fn a_completion_is_duplicated() {
    let seen = count(Plan::default().with(When::Nth(3), Mishap::DuplicatedCompletion), Mode::Ring, 10, 11);
    assert_eq!((seen.len(), seen[&0x1002]), (10, 2));
}

#[test]
fn every_so_manieth_has_a_wrong_token() {
    let seen = count(Plan::default().with(When::Every(4), Mishap::WrongToken), Mode::Ring, 12, 12);
    assert_eq!(seen.keys().filter(|token| !(0x1000..0x100c).contains(*token)).count(), 3);
}

#[test]
fn statuses_and_lengths_that_cannot_be() {
    let plan = Plan::default().with(When::Nth(1), Mishap::UnknownStatus).with(When::Nth(2), Mishap::ImpossibleLengths);
    let device = device(plan);
    let mut hand = Hand::new(&device, Mode::Ring);
    assert_eq!(Status::from_raw(hand.run(&job(1, Operation::Nop)).status), None);
    assert_eq!(hand.run(&job(2, Operation::Nop)).answer, Answer::Counts { consumed: u32::MAX, produced: u32::MAX });
    assert_eq!(hand.run(&job(3, Operation::Nop)), ok(3, 0, 0));
}

#[test]
fn a_completion_comes_late() {
    let device = device(Plan::default().with(When::Nth(1), Mishap::LateCompletion(3)));
    let mut hand = Hand::new(&device, Mode::Ring);
    for token in 0..5 {
        hand.submit(&job(token, Operation::Nop));
    }
    let order: Vec<u32> = (0..5).map(|_| hand.wait().token & 0xfff).collect();
    assert_eq!(order, [1, 2, 3, 0, 4]);
}

#[test]
fn chance_is_reproducible() {
    let lost = || {
        let plan = Plan { seed: 42, ..Plan::default() }.with(When::Chance(0.3), Mishap::WrongToken);
        let device = device(plan);
        let mut hand = Hand::new(&device, Mode::Ring);
        (0..50)
            .map(|token| {
                hand.submit(&job(token, Operation::Nop));
                hand.wait().token == 0x1000 | token
            })
            .collect::<Vec<_>>()
    };
    let first = lost();
    assert!(first.contains(&true) && first.contains(&false));
    assert_eq!(first, lost());
}

#[test]
fn a_device_failure_stops_the_queue_until_it_is_reset() {
    let device = device(Plan::default().with(When::Nth(2), Mishap::DeviceFailure(77)));
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&job(1, Operation::Nop));
    hand.arm();
    hand.submit(&job(2, Operation::Nop));
    // The first signal may still be for the job before.
    while hand.state() == State::Ready {
        assert_eq!(hand.transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
    }
    assert_eq!(hand.state(), State::Failed(77));
    hand.expect_silence();
    let Hand { transport, geometry, .. } = hand;
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    transport.reset(PATIENCE).unwrap();
    let mut hand = Hand::with(transport, geometry);
    assert_eq!(hand.run(&job(3, Operation::Nop)), ok(3, 0, 0));
}

#[test]
fn a_stalled_device_answers_nothing_and_stops_quietly() {
    let device = device(Plan { hold: true, ..Plan::default() });
    let mut hand = Hand::new(&device, Mode::Ring);
    let (source, mut out) = (pattern(100), vec![0; 100]);
    hand.submit(&copy(1, &source, &mut out));
    hand.expect_silence();
    assert_eq!(hand.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    assert_eq!(hand.state(), State::Stopped);
    device.plan().release();
    hand.expect_silence();
    assert_eq!(out, vec![0; 100], "a dropped job is not done later");
}

#[test]
fn what_was_held_goes_on_after_the_release() {
    let device = device(Plan { hold: true, ..Plan::default() });
    let mut hand = Hand::new(&device, Mode::Mailbox);
    let (source, mut out) = (pattern(100), vec![0; 100]);
    hand.submit(&copy(1, &source, &mut out));
    hand.submit(&job(2, Operation::Nop));
    hand.expect_silence();
    device.plan().release();
    let mut tokens = [hand.wait().token, hand.wait().token];
    tokens.sort_unstable();
    assert_eq!((tokens, out), ([0x1001, 0x1002], source));
}

#[test]
fn a_job_that_has_not_begun_is_cancelled() {
    let device = device(Plan { hold: true, ..Plan::default() });
    for mode in [Mode::Ring, Mode::Mailbox] {
        let mut hand = Hand::new(&device, mode);
        let (source, mut out) = (pattern(100), vec![0; 100]);
        hand.submit(&copy(1, &source, &mut out));
        hand.submit(&job(2, Operation::Nop));
        hand.expect_silence();
        hand.submit(&hand.command_descriptor(Command::Cancel, 5, 0x1001));
        let mut answers = [hand.wait(), hand.wait()];
        answers.sort_by_key(|answer| answer.token);
        assert_eq!((answers[0].token, answers[0].status), (5, 0));
        assert_eq!(answers[1], failed(1, Status::Canceled));
        hand.expect_silence();
        assert_eq!(out, vec![0; 100]);
    }
}

#[test]
fn cancelling_what_is_through_changes_nothing() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&job(1, Operation::Nop));
    assert_eq!(hand.command(Command::Cancel, 5, 0x1001), 0);
    assert_eq!(hand.command(Command::Cancel, 5, 0xdead_beef), 0);
    hand.expect_silence();
}

#[test]
fn a_deaf_device_proves_nothing() {
    let device = device(Plan { deaf: true, ..Plan::default() });
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&job(1, Operation::Nop));
    let short = Duration::from_millis(20);
    assert_eq!(hand.transport.stop(short).unwrap(), Quiet::Unproven);
    assert!(matches!(hand.transport.reset(short), Err(TransportError::TimedOut { .. })));
    hand.run(&job(2, Operation::Nop));
    device.plan().deafen(false);
    assert_eq!(hand.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    assert_eq!(device.stats().leaked_queues, 0);

    let second = Hand::new(&device, Mode::Ring);
    device.plan().deafen(true);
    drop(second);
    assert_eq!(device.stats().leaked_queues, 1);
}

#[test]
fn service_times_reorder_completions() {
    // A fixed time per byte on two engines: the long job is overtaken.
    let timing = Timing { ns_per_byte: 20_000.0, ..Timing::fixed(Duration::from_millis(1)).on(2) };
    let device = device(Plan::timed(timing));
    let mut hand = Hand::new(&device, Mode::Ring);
    let source = pattern(10_000);
    let (mut long, mut short) = (vec![0; 10_000], vec![0; 10]);
    let begun = Instant::now();
    hand.publish(&copy(1, &source, &mut long));
    hand.publish(&copy(2, &source[..10], &mut short));
    hand.ring_if_wanted();
    assert_eq!(hand.wait().token, 0x1002);
    assert_eq!(hand.wait().token, 0x1001);
    assert!(begun.elapsed() >= Duration::from_millis(200), "the service time has passed");
    assert_eq!(long, source);
}

#[test]
fn one_engine_serves_one_after_the_other() {
    let device = device(Plan::timed(Timing::fixed(Duration::from_millis(10)).on(1)));
    let mut hand = Hand::new(&device, Mode::Mailbox);
    let begun = Instant::now();
    for token in 0..5 {
        hand.submit(&job(token, Operation::Nop));
    }
    for token in 0..5 {
        assert_eq!(hand.wait(), ok(token, 0, 0));
    }
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_job_that_is_not_alone_is_answered_later_and_keeps_no_engine_for_it() {
    let timing = |accompanied| Timing { accompanied, ..Timing::fixed(Duration::from_millis(1)).on(1) };
    let device = device(Plan::timed(timing(Duration::from_secs(3600))));
    let mut hand = Hand::new(&device, Mode::Ring);
    // One at a time, none has company, or it would not be answered.
    for token in 0..20 {
        hand.run(&job(token, Operation::Nop));
    }
    // The first has none, the others have it.
    let accompanied = Duration::from_millis(100);
    device.plan().set(Plan::timed(timing(accompanied)));
    let begun = Instant::now();
    for token in 20..30 {
        hand.publish(&job(token, Operation::Nop));
    }
    hand.ring_if_wanted();
    for _ in 20..30 {
        hand.wait();
    }
    assert!(begun.elapsed() >= accompanied);
}

#[test]
fn times_beyond_all_measure_do_not_end_the_engine() {
    let timing = Timing { accompanied: Duration::MAX, page_fault: Duration::MAX, ..Timing::fixed(Duration::MAX) };
    assert!(timing.missing(u32::MAX).service(u64::MAX, u32::MAX) < Duration::MAX);
    let device = device(Plan::timed(timing.on(1)));
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.publish(&job(0, Operation::Nop));
    hand.publish(&job(1, Operation::Nop));
    hand.ring_if_wanted();
    // Booked by then, in the order of submission, and never through.
    device.plan().set(Plan::default());
    hand.publish(&job(2, Operation::Nop));
    hand.ring_if_wanted();
    hand.wait();
}

#[test]
fn missing_pages_are_counted() {
    let mut timing = Profile::hisilicon_zip().timing;
    timing.page_fault_rate = 1.0;
    let device = device(Plan::timed(timing));
    let mut hand = Hand::new(&device, Mode::Ring);
    let (source, mut out) = (pattern(16384), vec![0; 16384]);
    hand.run(&copy(1, &source, &mut out));
    let pages = device.stats().total.page_requests;
    assert!((8..=10).contains(&pages), "{pages}");
    device.plan().set(Plan::timed(timing.missing(3)));
    hand.run(&copy(2, &source, &mut out));
    assert_eq!(device.stats().total.page_requests, 2 * pages + 3);
}

#[test]
fn a_timed_job_is_dropped_by_a_stop() {
    let device = device(Plan::timed(Timing::fixed(Duration::from_millis(300))));
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.submit(&job(1, Operation::Nop));
    thread::sleep(Duration::from_millis(50));
    assert_eq!(hand.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    thread::sleep(Duration::from_millis(350));
    hand.expect_silence();
}

#[test]
fn a_plan_is_withdrawn_while_the_device_runs() {
    let device = device(Plan::default().with(When::Every(1), Mishap::LostCompletion));
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.submit(&job(1, Operation::Nop));
    hand.expect_silence();
    device.plan().set(Plan::default());
    assert_eq!(hand.run(&job(2, Operation::Nop)), ok(2, 0, 0));
    assert_eq!(device.plan().get(), Plan::default());
}
