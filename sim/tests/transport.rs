//! The transport: waking, stopping, resetting, closing.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use support::{Hand, MOMENT, PATIENCE, copy, device, device_with, job, ok, open, over, pattern};
use uaccel_queue::{AddressMode, Algorithm, Bus, Direction, Operation, Quiet, RegionKind, TransportError, Wake};
use uaccel_sim::{Plan, ThreadHostConfig, WarpConfig};
use uaccel_warp_abi::{Descriptor, Geometry, Mode, State, user_page};

fn soon() -> Option<Instant> {
    Some(Instant::now() + PATIENCE)
}

/// Lets the device fall asleep.
fn until_it_sleeps(hand: &Hand) {
    let begun = Instant::now();
    while hand.ring.observe(Geometry::NEED_WAKEUP) == 0 {
        assert!(begun.elapsed() < PATIENCE, "the device never sleeps");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_sleeping_device_is_woken_by_the_doorbell() {
    for workers in [1, 3] {
        let config = ThreadHostConfig { workers: Some(workers), ..ThreadHostConfig::default() };
        let device = device_with(WarpConfig::default(), config, Plan::default());
        let mut hand = Hand::new(&device, Mode::Ring);
        for token in 0..20 {
            until_it_sleeps(&hand);
            hand.publish(&job(token, Operation::Nop));
            assert!(hand.ring_if_wanted());
            assert_eq!(hand.wait(), ok(token, 0, 0));
        }
    }
}

#[test]
fn an_armed_sleeper_is_woken_once() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    for token in 0..20 {
        hand.arm();
        assert_eq!(hand.poll(), None);
        hand.submit(&job(token, Operation::Nop));
        assert_eq!(hand.transport.sleep(soon()).unwrap(), Wake::Signalled);
        assert_eq!(hand.wait(), ok(token, 0, 0));
    }
    hand.run(&job(50, Operation::Nop));
    assert_eq!(
        hand.transport.sleep(Some(Instant::now() + MOMENT)).unwrap(),
        Wake::TimedOut,
        "not armed, not signalled"
    );
    assert_eq!(device.stats().total.signals, 20);
}

#[test]
fn nobody_sleeps_over_an_answer() {
    // Arm, poll, sleep against submit, poll, sleep: each side goes to sleep as soon as it can.
    let device = device_with(
        WarpConfig::default(),
        ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() },
        Plan::default(),
    );
    let mut hand = Hand::new(&device, Mode::Mailbox);
    for token in 0..2000 {
        hand.submit(&job(token, Operation::Nop));
        let begun = Instant::now();
        let done = loop {
            if let Some(done) = hand.poll() {
                break done;
            }
            hand.arm();
            if let Some(done) = hand.poll() {
                break done;
            }
            hand.transport.sleep(Some(Instant::now() + PATIENCE)).unwrap();
            assert!(begun.elapsed() < PATIENCE, "slept over an answer");
        };
        assert_eq!(done, ok(token, 0, 0));
        if token % 50 == 0 {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

#[test]
fn an_idle_device_uses_no_cpu() {
    // Other tests run in this process: only the worker of this device is counted, by its name.
    let config = ThreadHostConfig { device: "idle-probe".to_owned(), workers: Some(1), ..ThreadHostConfig::default() };
    let device = device_with(WarpConfig::default(), config, Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&job(1, Operation::Nop));
    until_it_sleeps(&hand);
    thread::sleep(MOMENT);
    let before = cpu_time_of("idle-probe").expect("the worker is there");
    thread::sleep(Duration::from_millis(500));
    let after = cpu_time_of("idle-probe").expect("the worker is there");
    assert!(after - before <= Duration::from_millis(20), "{:?} in half a second", after - before);
}

/// The CPU time of this process's thread whose name begins with `name`.
fn cpu_time_of(name: &str) -> Option<Duration> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let task = tasks
        .map(|task| task.path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.starts_with(name)))?;
    let nanoseconds = std::fs::read_to_string(task.join("schedstat")).ok()?;
    nanoseconds.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
fn a_reactor_sees_the_signal_until_it_is_cleared() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.arm();
    hand.run(&job(1, Operation::Nop));
    assert!(hand.transport.wake_fd().is_some());
    let begun = Instant::now();
    while device.stats().total.signals == 0 {
        assert!(begun.elapsed() < PATIENCE);
        thread::yield_now();
    }
    hand.transport.clear_wake();
    // The counter is raised just before the descriptor; wait for the straggler.
    let _ = hand.transport.sleep(Some(Instant::now() + MOMENT));
    assert_eq!(hand.transport.sleep(Some(Instant::now())).unwrap(), Wake::TimedOut);
}

#[test]
fn names_numbers_and_limits() {
    let device =
        device_with(WarpConfig { queues: 2, ..WarpConfig::default() }, ThreadHostConfig::default(), Plan::default());
    assert!(matches!(device.open("nothing"), Err(TransportError::NoSuchDevice { .. })));
    let (first, second) = (open(&device), open(&device));
    assert!(matches!(device.open("sim0"), Err(TransportError::Busy(_))));
    assert_eq!(first.address_mode(), AddressMode::Shared);
    assert!(first.is_alive());
    drop(second);
    let second = open(&device);
    for _ in 0..8 {
        let ring = second.ring_memory(1).unwrap();
        assert_eq!((ring.len() % 4096, ring.device_address(0) % 4096, ring.read(0)), (0, 0, 0));
    }
    assert!(matches!(second.ring_memory(1), Err(TransportError::Refused(_))));
    second.reset(PATIENCE).unwrap();
    assert!(second.ring_memory(usize::MAX).is_err());
}

#[test]
fn a_queue_comes_back_from_a_reset() {
    let device = device(Plan::default());
    let geometry = Geometry::new(4, 4, Mode::Mailbox).unwrap();
    let mut hand = Hand::with(open(&device), geometry);
    for round in 0..5 {
        assert_eq!(
            hand.open_session(0, Algorithm::Sha256, Direction::Forward, 0, &[]),
            0,
            "sessions do not outlive a reset"
        );
        assert_eq!(hand.run(&job(round, Operation::Nop)), ok(round, 0, 0));
        assert_eq!(hand.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
        assert_eq!(hand.state(), State::Stopped);
        let (old, Hand { transport, .. }) = (hand.ring.clone(), hand);
        transport.reset(PATIENCE).unwrap();
        let page = transport.region(RegionKind::User).unwrap();
        assert_eq!((page.read(user_page::RING_BASE), page.read(user_page::IDENT) != 0), (0, true));
        hand = Hand::with(transport, geometry);
        assert_ne!(old.device_address(0), hand.ring.device_address(0));
    }
}

/// A job that keeps a worker for a while.
fn long_job(hand: &mut Hand, source: &[u8], out: &mut [u8]) -> Descriptor {
    assert_eq!(hand.open_session(0, Algorithm::Zstd, Direction::Forward, 19, &[]), 0);
    over(job(1, Operation::Compress), source, out)
}

#[test]
fn stopping_and_closing_wait_for_running_work() {
    let device = device(Plan::default());
    for close in [false, true] {
        let mut hand = Hand::new(&device, Mode::Ring);
        let (source, mut out) = (pattern(400_000), vec![0; 500_000]);
        let descriptor = long_job(&mut hand, &source, &mut out);
        hand.submit(&support::vouched(descriptor));
        thread::sleep(Duration::from_millis(2));
        if close {
            drop(hand);
        } else {
            // However it is caught, a proof is a proof.
            assert_eq!(hand.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
        }
        let at_proof = out.clone();
        thread::sleep(MOMENT);
        assert!(at_proof == out, "written after the device said that it is quiet");
    }
    assert_eq!(device.stats().leaked_queues, 0);
}

#[test]
fn small_jobs_overtake_a_large_one_where_a_worker_is_free() {
    let device = device_with(
        WarpConfig::default(),
        ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() },
        Plan::default(),
    );
    let mut hand = Hand::new(&device, Mode::Ring);
    let (source, mut out) = (pattern(1 << 20), vec![0; 2 << 20]);
    let descriptor = long_job(&mut hand, &source, &mut out);
    hand.submit(&descriptor);
    hand.submit(&job(2, Operation::Nop));
    assert_eq!((hand.wait().token, hand.wait().token), (0x1002, 0x1001));
}

#[test]
fn queues_are_served_side_by_side() {
    let device = device_with(
        WarpConfig::default(),
        ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() },
        Plan::default(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let mut hand = Hand::new(&device, if client % 2 == 0 { Mode::Ring } else { Mode::Mailbox });
            let stop = stop.clone();
            thread::spawn(move || {
                let source = pattern(100 + client);
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) || rounds == 0 {
                    let mut outs = vec![vec![0; source.len()]; 16];
                    for (token, out) in (0..).zip(&mut outs) {
                        hand.submit(&copy(token, &source, out));
                    }
                    outs.iter().for_each(|_| assert_eq!(hand.wait().status, 0));
                    assert!(outs.iter().all(|out| *out == source));
                    rounds += 1;
                }
            })
        })
        .collect();
    // Meanwhile queues come and go.
    for _ in 0..30 {
        Hand::new(&device, Mode::Ring).run(&job(1, Operation::Nop));
    }
    stop.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(device.stats().queues.len(), 0);
}

#[test]
fn transports_outlive_the_host_value() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    drop(device);
    assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
}

#[test]
fn an_unplugged_device_is_gone() {
    let device = device(Plan::default());
    let hand = Hand::new(&device, Mode::Ring);
    let transport = hand.transport.clone();
    let sleeper = thread::spawn(move || transport.sleep(None));
    thread::sleep(Duration::from_millis(10));
    device.unplug();
    assert!(matches!(sleeper.join().unwrap(), Err(TransportError::Gone)));
    assert!(!hand.transport.is_alive());
    assert_eq!(hand.state(), State::Failed(0));
    assert!(matches!(hand.transport.reset(PATIENCE), Err(TransportError::Gone)));
    assert!(device.devices().is_empty());
    assert!(device.open("sim0").is_err());
}

#[test]
fn a_forked_child_has_no_device() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&job(1, Operation::Nop));
    // SAFETY: the child calls nothing that takes a lock or allocates, and leaves by `_exit`.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let transport = &hand.transport;
            let gone = matches!(transport.ring_memory(64), Err(TransportError::Gone))
                && matches!(transport.sleep(None), Err(TransportError::Gone))
                && matches!(transport.stop(PATIENCE), Err(TransportError::Gone))
                && matches!(transport.reset(PATIENCE), Err(TransportError::Gone))
                && !transport.is_alive();
            transport.ring_doorbell(user_page::SUBMIT, 1);
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(i32::from(!gone)) }
        }
        ForkResult::Parent { child } => assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0)),
    }
    assert_eq!(hand.run(&job(2, Operation::Nop)), ok(2, 0, 0));
}
