//! A daemon that is killed: one clear error for each job, the CPU if the policy says so, and a new connection when it is back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use uaccel_runtime::{Error, Fallback, OwnedWork, Runtime, Work};

use crate::bench::{eventually, noise};
use crate::server::Server;

#[test]
fn jobs_in_flight_fail_once_and_clearly_and_their_buffers_come_back() {
    let mut server = Server::start();
    let runtime = server.runtime();
    server.hold();
    let jobs: Vec<_> = (0..32)
        .map(|job| runtime.submit(OwnedWork::copy(vec![job; 10_000], vec![0xEE; 10_000])).expect("submitted"))
        .collect();
    server.kill();
    for (job, future) in (0..).zip(jobs) {
        let finished = future.wait();
        assert!(matches!(finished.result, Err(Error::DeviceFailed { .. })), "{:?}", finished.result);
        let (source, destination, ()) = finished.buffers.expect("a hang-up proves that nobody uses them");
        assert!(source == [job; 10_000] && destination == [0xEE; 10_000]);
    }
    assert_eq!(runtime.counters().lost, 0);
    // Nothing is there, and that is said at once; then it is there again.
    let error = runtime.run(Work::nop()).expect_err("no daemon");
    assert!(error.is_device_failure(), "{error}");
    server.restart();
    eventually("the runtime has a queue again", || runtime.run(Work::nop()).is_ok());
    let (source, mut room) = (noise(1, 50_000), vec![0; 50_000]);
    runtime.run(Work::copy(&source, &mut room)).expect("as before");
    assert!(source == room);
}

#[test]
fn a_lease_and_a_scope_end_with_one_answer_for_each_job() {
    let mut server = Server::start();
    let runtime = server.runtime();
    let mut lease = runtime.lease().expect("a queue");
    server.hold();
    let mut answers = [0; 20];
    let mut rooms = vec![vec![0; 3000]; 20];
    let source = noise(2, 3000);
    let mut tickets = Vec::new();
    lease
        .scope(|scope| {
            for room in &mut rooms {
                tickets.push(scope.copy(&source, room).expect("a place"));
            }
            scope.submit().expect("submitted");
            server.kill();
            let _ = scope.finish(|answer| {
                let job = tickets.iter().position(|ticket| *ticket == answer.ticket()).expect("a job of this scope");
                assert!(matches!(answer.outcome(), Err(Error::DeviceFailed { .. })), "{:?}", answer.outcome());
                answers[job] += 1;
            });
        })
        .expect("a scope");
    assert_eq!(answers, [1; 20]);
    server.restart();
    drop(lease);
    eventually("a new lease works", || runtime.lease().is_ok_and(|mut lease| lease.run(Work::nop()).is_ok()));
}

#[test]
fn with_a_policy_that_allows_it_the_cpu_takes_over_and_nobody_notices() {
    let mut server = Server::start();
    let runtime = server.builder().fallback(Fallback::OnError).build().expect("a runtime");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ends = Ends(&over);
        for thread in 0..2 {
            let (runtime, over) = (&runtime, &over);
            scope.spawn(move || {
                let source = noise(thread, 20_000);
                while !over.load(Ordering::SeqCst) {
                    let mut room = vec![0; 20_000];
                    runtime.run(Work::copy(&source, &mut room)).expect("by the device or by the CPU");
                    assert!(source == room);
                }
            });
        }
        for _ in 0..3 {
            let jobs = runtime.counters().jobs;
            eventually("the device works", || runtime.counters().jobs > jobs + 50);
            server.kill();
            let fallbacks = runtime.counters().fallbacks;
            eventually("the CPU works", || runtime.counters().fallbacks > fallbacks + 50);
            server.restart();
        }
        let jobs = runtime.counters().jobs;
        eventually("the device works again", || runtime.counters().jobs > jobs + 50);
    });
}

/// Ends the threads of a test that fails, which would wait for them otherwise.
struct Ends<'o>(&'o AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Threads of a client that count what comes of their jobs.
fn load(runtime: &Runtime, over: &AtomicBool, done: &AtomicU64, failed: &AtomicU64, seed: u64) {
    let source = noise(seed, 8000);
    while !over.load(Ordering::SeqCst) {
        let mut room = vec![0; 8000];
        match runtime.run(Work::copy(&source, &mut room)) {
            Ok(_) => {
                assert!(source == room);
                done.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                assert!(matches!(error, Error::DeviceFailed { .. } | Error::Open { .. }), "{error:?}");
                failed.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

#[test]
fn a_daemon_that_is_killed_and_restarted_under_load_serves_the_same_runtime_again() {
    let mut server = Server::start();
    let runtime = server.runtime();
    let (over, done, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        let _ends = Ends(&over);
        for seed in 0..4 {
            let (runtime, over, done, failed) = (&runtime, &over, &done, &failed);
            scope.spawn(move || load(runtime, over, done, failed, seed));
        }
        for _ in 0..4 {
            let before = done.load(Ordering::SeqCst);
            eventually("jobs are done", || done.load(Ordering::SeqCst) > before + 100);
            server.kill();
            let before = failed.load(Ordering::SeqCst);
            eventually("jobs fail", || failed.load(Ordering::SeqCst) > before + 4);
            server.restart();
        }
        let before = done.load(Ordering::SeqCst);
        eventually("jobs are done again", || done.load(Ordering::SeqCst) > before + 100);
    });
    let clients = server.status().clients;
    assert_eq!(clients.len(), 1, "{clients:?}");
}
