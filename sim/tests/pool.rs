//! The pool: users do not hold up each other.

mod pool_users;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pool_users::{Behaviour, Diary, User, pool};
use support::{Hand, MOMENT, PATIENCE, copy, ok, pattern};
use uaccel_queue::{Quiet, Status};
use uaccel_sim::pool::PoolConfig;
use uaccel_warp_abi::{Answer, Geometry};

/// A job of this many bytes is long.
const LONG: usize = 4 << 20;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn until_it_sleeps(hand: &Hand) {
    until("the device sleeps", || hand.ring.observe(Geometry::NEED_WAKEUP) != 0);
}

fn shared() -> PoolConfig {
    PoolConfig { lanes: 1, ..PoolConfig::for_many_processes("pool") }
}

#[test]
fn memory_that_does_not_answer_stalls_its_user_alone() {
    let pool = pool(shared());
    let mut bad = User::new(&pool, 1, 4, Behaviour::default());
    let mut good = User::new(&pool, 2, 4, Behaviour::default());
    let source = pattern(100);
    let (mut stalled, mut copied) = (vec![0; 100], vec![0; 100]);
    bad.behaviour.block(true);
    bad.hand.submit(&copy(1, &source, &mut stalled));
    until("a thread is held up", || bad.behaviour.inside.load(Ordering::SeqCst) == 1);
    for token in 0..100 {
        copied.fill(0);
        assert_eq!(good.hand.run(&copy(token, &source, &mut copied)), ok(token, 100, 100));
        assert_eq!(copied, source);
    }
    until("the user counts as blocked", || bad.account.snapshot().blocked);
    // More of its jobs cost no more threads.
    bad.hand.submit(&copy(2, &source, &mut copied));
    good.hand.run(&copy(3, &source, &mut [0; 100]));
    assert_eq!(bad.behaviour.inside.load(Ordering::SeqCst), 1);
    bad.behaviour.block(false);
    assert_eq!([bad.hand.wait(), bad.hand.wait()], [ok(1, 100, 100), ok(2, 100, 100)]);
    assert_eq!(stalled, source);
    until("the user is served again", || !bad.account.snapshot().blocked);
    assert!(!bad.behaviour.given_up.load(Ordering::SeqCst));
}

#[test]
fn a_user_whose_memory_never_answers_is_given_up_once_and_stops_only_when_it_does() {
    let pool = pool(PoolConfig { memory_patience: Duration::from_millis(30), ..shared() });
    let mut bad = User::new(&pool, 1, 4, Behaviour::default());
    let mut good = User::new(&pool, 2, 4, Behaviour::default());
    let (source, mut target) = (pattern(100), vec![0; 100]);
    bad.behaviour.block(true);
    bad.hand.submit(&copy(1, &source, &mut target));
    until("the user is given up", || bad.behaviour.given_up.load(Ordering::SeqCst));
    assert_eq!(bad.hand.transport.stop(MOMENT).unwrap(), Quiet::Unproven);
    good.hand.run(&copy(1, &source, &mut [0; 100]));
    bad.behaviour.block(false);
    assert_eq!(bad.hand.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    bad.hand.transport.reset(PATIENCE).unwrap();
}

#[test]
fn a_long_job_holds_up_nobody_elses_short_ones_nor_its_own_users() {
    let pool = pool(PoolConfig { stand_ins: false, ..shared() });
    let mut long = User::new(&pool, 1, 4, Behaviour::default());
    let mut short = User::new(&pool, 2, 4, Behaviour::default());
    let (source, mut target) = (pattern(LONG), vec![0; LONG]);
    long.behaviour.block(true);
    long.hand.submit(&copy(1, &source, &mut target));
    until("the long job runs", || long.behaviour.inside.load(Ordering::SeqCst) == 1);
    for token in 0..100 {
        short.hand.run(&copy(token, &source[..64], &mut [0; 64]));
    }
    assert_eq!(long.hand.poll(), None);
    long.behaviour.block(false);
    assert_eq!(long.hand.wait(), ok(1, LONG, LONG));
    assert_eq!(target, source);
}

#[test]
fn a_long_job_that_has_not_begun_is_cancelled() {
    let pool = pool(PoolConfig { stand_ins: false, ..shared() });
    let mut user = User::new(&pool, 1, 4, Behaviour::default());
    let (source, mut first, mut second) = (pattern(LONG), vec![0; LONG], vec![0; LONG]);
    user.behaviour.block(true);
    user.hand.submit(&copy(1, &source, &mut first));
    until("the first job runs", || user.behaviour.inside.load(Ordering::SeqCst) == 1);
    let descriptor = copy(2, &source, &mut second);
    user.hand.submit(&descriptor);
    let cancel = user.hand.command_descriptor(uaccel_warp_abi::Command::Cancel, 0, descriptor.token);
    user.hand.submit(&cancel);
    let mut answers = [user.hand.wait(), user.hand.wait()];
    answers.sort_by_key(|answer| answer.token);
    assert_eq!(answers[0].status, Status::Ok as u8, "the command");
    assert_eq!(answers[1], support::failed(2, Status::Canceled));
    user.behaviour.block(false);
    assert_eq!(user.hand.wait(), ok(1, LONG, LONG));
    assert!(second.iter().all(|byte| *byte == 0));
}

#[test]
fn time_is_shared_by_weight() {
    // One job of this length fills a turn.
    const LEN: usize = 160 << 10;
    let diary = Arc::new(Diary::default());
    let pool = pool(PoolConfig { stand_ins: false, lanes: 0, clock: Some(diary.clock.clone()), ..shared() });
    let mut gate = User::new(&pool, 1, 1, Behaviour::default());
    let mut light = User::new(&pool, 2, 1, Behaviour::slow(&diary, 'l'));
    let mut heavy = User::new(&pool, 3, 4, Behaviour::slow(&diary, 'h'));
    let source = pattern(LEN);
    let (mut one, mut two) = (vec![0; LEN], vec![0; LEN]);
    gate.behaviour.block(true);
    gate.hand.submit(&copy(1, &source[..1], &mut [0]));
    until("the worker is held up", || gate.behaviour.inside.load(Ordering::SeqCst) == 1);
    for token in 0..60 {
        light.hand.publish(&copy(token, &source, &mut one));
        heavy.hand.publish(&copy(token, &source, &mut two));
    }
    gate.behaviour.block(false);
    for _ in 0..60 {
        heavy.hand.wait();
        light.hand.wait();
    }
    let others = diary.before(48, 'h', 'l');
    assert!((10..=16).contains(&others), "of a quarter of the weight, {others} jobs beside 48");
    let [light, heavy] = [light, heavy].map(|user| user.account.snapshot());
    assert_eq!((light.jobs, light.bytes, light.faults), (60, 60 * LEN as u64, 0));
    assert!(light.wait > heavy.wait && light.service > Duration::ZERO, "{light:?} {heavy:?}");
}

#[test]
fn who_was_idle_has_nothing_made_up_and_who_was_busy_alone_pays_nothing_later() {
    const LEN: usize = 160 << 10;
    let diary = Arc::new(Diary::default());
    let pool = pool(PoolConfig { stand_ins: false, lanes: 0, clock: Some(diary.clock.clone()), ..shared() });
    let mut gate = User::new(&pool, 1, 1, Behaviour::default());
    let mut first = User::new(&pool, 2, 4, Behaviour::slow(&diary, 'f'));
    let mut second = User::new(&pool, 3, 4, Behaviour::slow(&diary, 's'));
    let source = pattern(LEN);
    let (mut one, mut two) = (vec![0; LEN], vec![0; LEN]);
    for token in 0..40 {
        first.hand.run(&copy(token, &source, &mut one));
    }
    // From here on both have work.
    gate.behaviour.block(true);
    gate.hand.submit(&copy(1, &source[..1], &mut [0]));
    until("the worker is held up", || gate.behaviour.inside.load(Ordering::SeqCst) == 1);
    diary.clear();
    for token in 0..60 {
        first.hand.publish(&copy(token, &source, &mut one));
        second.hand.publish(&copy(token, &source, &mut two));
    }
    gate.behaviour.block(false);
    for _ in 0..60 {
        first.hand.wait();
        second.hand.wait();
    }
    let others = diary.before(30, 's', 'f');
    assert!((27..=33).contains(&others), "of the same weight, {others} jobs beside 30");
}

#[test]
fn jobs_of_a_batch_are_read_and_written_in_one_call() {
    let pool = pool(shared());
    let mut user = User::new(&pool, 1, 4, Behaviour::default());
    let source = pattern(16 * 64);
    let mut target = vec![0; source.len()];
    until_it_sleeps(&user.hand);
    for (token, (from, to)) in source.chunks(64).zip(target.chunks_mut(64)).enumerate() {
        user.hand.publish(&copy(u32::try_from(token).unwrap(), from, to));
    }
    user.hand.ring_if_wanted();
    for _ in 0..16 {
        assert_eq!(user.hand.wait().status, Status::Ok as u8);
    }
    assert_eq!(target, source);
    let count = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::SeqCst);
    let calls = &user.behaviour;
    assert_eq!([count(&calls.many_reads), count(&calls.reads)], [1, 0]);
    assert_eq!([count(&calls.many_writes), count(&calls.writes)], [1, 0]);
}

#[test]
fn memory_is_told_who_vouches_for_it() {
    let pool = pool(shared());
    let mut user = User::new(&pool, 1, 4, Behaviour::default());
    let source = pattern(64);
    let mut target = vec![0; source.len()];
    for (vouch, vouched) in [(false, 0), (true, 2)] {
        target.fill(0);
        let descriptor = copy(1, &source, &mut target);
        let descriptor = if vouch { support::vouched(descriptor) } else { descriptor };
        assert_eq!(user.hand.run(&descriptor).status, Status::Ok as u8);
        assert_eq!((user.behaviour.vouched.load(Ordering::SeqCst), &target), (vouched, &source));
    }
}

#[test]
fn a_bad_address_in_a_batch_is_the_fault_of_its_job_alone() {
    let pool = pool(shared());
    let mut user = User::new(&pool, 1, 4, Behaviour::default());
    let source = pattern(64);
    let mut targets = vec![[0_u8; 64]; 8];
    until_it_sleeps(&user.hand);
    for (token, target) in (0..).zip(&mut targets) {
        let mut descriptor = copy(token, &source, target);
        match token {
            2 => descriptor.source = 0x1000,
            5 => descriptor.destination = 0x2000,
            _ => {}
        }
        user.hand.publish(&descriptor);
    }
    user.hand.ring_if_wanted();
    for _ in 0..8 {
        let answer = user.hand.wait();
        match answer.token & 0xfff {
            2 => assert_eq!(answer.answer, Answer::ReadFault(0x1000)),
            5 => assert_eq!(answer.answer, Answer::WriteFault(0x2000)),
            _ => assert_eq!(answer.status, Status::Ok as u8),
        }
    }
    for (token, target) in targets.iter().enumerate() {
        assert_eq!(target == source.as_slice(), token != 2 && token != 5, "target {token}");
    }
    assert_eq!(user.account.snapshot().faults, 2);
}
