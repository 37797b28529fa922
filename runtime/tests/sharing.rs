//! One runtime, many threads.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use device::{PATIENCE, simulated};
use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};
use uaccel_runtime::{Algorithm, Direction, Fallback, JobFuture, OwnedWork, Runtime, SessionSpec, Work};
use uaccel_sim::{Plan, Simulator, ThreadHostConfig, WarpConfig};

fn shared_between_threads(runtime: &Runtime) {
    let seal =
        runtime.session(SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Forward, &[1; 16]).unwrap()).unwrap();
    let open =
        runtime.session(SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Inverse, &[1; 16]).unwrap()).unwrap();
    std::thread::scope(|threads| {
        for thread in 0..8u8 {
            let (seal, open) = (&seal, &open);
            threads.spawn(move || {
                for round in 0..100u8 {
                    let nonce = [thread ^ round; 12];
                    let text = vec![thread.wrapping_mul(31) ^ round; 1 + usize::from(round) * 40];
                    let mut sealed = vec![0; text.len() + 16];
                    let mut back = vec![0; text.len()];
                    runtime.run(Work::session(seal, &text, &mut sealed).with_nonce(nonce, &[thread])).unwrap();
                    runtime.run(Work::session(open, &sealed, &mut back).with_nonce(nonce, &[thread])).unwrap();
                    assert_eq!(text, back);
                    let job = runtime.submit(OwnedWork::copy(text.clone(), back)).unwrap();
                    assert_eq!(job.wait().into_output().unwrap().1, text);
                }
            });
        }
    });
    assert_eq!(runtime.counters().fallbacks, 0);
    assert_eq!(runtime.counters().failures, 0);
}

#[test]
fn threads_share_many_queues() {
    let (builder, _plan) = simulated(WarpConfig::default());
    shared_between_threads(&builder.deadline(PATIENCE).build().unwrap());
}

#[test]
fn threads_share_one_queue() {
    let (builder, _plan) = simulated(WarpConfig::default());
    shared_between_threads(&builder.deadline(PATIENCE).queues(1).build().unwrap());
}

#[test]
fn threads_share_the_cpu() {
    let runtime = Runtime::builder().device("software").fallback(Fallback::Never).deadline(PATIENCE).build().unwrap();
    shared_between_threads(&runtime);
}

#[test]
fn more_sessions_than_a_queue_has_take_turns() {
    let config = WarpConfig { sessions: 3, ..WarpConfig::default() };
    let (builder, _plan) = simulated(config);
    let runtime = builder.deadline(PATIENCE).queues(1).build().unwrap();
    let sessions: Vec<_> = (0..10)
        .map(|n| {
            let spec = SessionSpec::keyed(Algorithm::Aes256Gcm, Direction::Forward, &[n; 32]).unwrap();
            (n, runtime.session(spec).unwrap())
        })
        .collect();
    let mut first = Vec::new();
    for round in 0..3 {
        for (n, session) in &sessions {
            let mut sealed = vec![0; 32];
            runtime.run(Work::session(session, &[0; 16], &mut sealed).with_nonce([0; 12], b"")).unwrap();
            if round == 0 {
                assert!(!first.contains(&sealed), "key {n} is not the one that was used");
                first.push(sealed);
            } else {
                assert_eq!(first[usize::from(*n)], sealed);
            }
        }
    }
}

#[test]
fn handles_are_send_and_what_is_shared_is_sync() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Runtime>();
    sync::<Runtime>();
    send::<uaccel_runtime::Session>();
    sync::<uaccel_runtime::Session>();
    send::<uaccel_runtime::Lease>();
    send::<uaccel_runtime::JobFuture<Vec<u8>, Vec<u8>>>();
}

/// Waits on a thread of its own, so that a future that is never answered fails the test.
#[track_caller]
fn assert_done(job: JobFuture<Vec<u8>, Vec<u8>>) {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(job.wait().into_output()));
    let output = receive.recv_timeout(PATIENCE / 4).expect("an answer");
    assert_eq!(output.unwrap().1, [7; 100]);
}

#[test]
fn a_lease_that_rests_keeps_no_future_from_its_answer() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).queues(1).build().unwrap();
    let work = || OwnedWork::copy(vec![7; 100], vec![0; 100]);
    plan.hold();
    let job = runtime.submit(work()).unwrap();
    let mut lease = runtime.lease().unwrap();
    plan.release();
    assert_done(job);
    plan.hold();
    let job = lease.submit(work()).unwrap();
    assert!(lease.granted().unwrap().depth > 0);
    plan.release();
    assert_done(job);
}

#[test]
fn a_lease_with_owned_jobs_in_flight_keeps_its_queue_from_other_leases() {
    let (builder, _plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).queues(2).build().unwrap();
    let mut first = runtime.lease().unwrap();
    assert_done(first.submit(OwnedWork::copy(vec![7; 100], vec![0; 100])).unwrap());
    let mut second = runtime.lease().unwrap();
    // Were it one queue, the one lease would wait for the other to end.
    second.run(Work::nop()).unwrap();
    first.run(Work::nop()).unwrap();
    // A queue is everybody's again with the end of its lease.
    drop((first, second));
    let _both = [runtime.lease().unwrap(), runtime.lease().unwrap()];
}

/// A bus that counts how often a device is opened, and takes its time.
#[derive(Debug)]
struct Counting(Arc<dyn Bus>, AtomicUsize);

impl Bus for Counting {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.0.devices()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        // So that other threads come to want one as well.
        std::thread::sleep(Duration::from_millis(20));
        self.0.open(device)
    }
}

#[test]
fn no_more_queues_are_opened_than_were_allowed() {
    let threads = ThreadHostConfig { device: "warp0".to_owned(), ..ThreadHostConfig::default() };
    let host = Simulator::warp(WarpConfig::default(), threads, Plan::default()).unwrap();
    let bus = Arc::new(Counting(host, AtomicUsize::new(0)));
    let builder = Runtime::builder().bus(bus.clone()).device("warp0").fallback(Fallback::Never);
    let runtime = builder.deadline(PATIENCE).queues(2).build().unwrap();
    // Each holds its lease for a moment, so that there is none for the next.
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let mut lease = runtime.lease().unwrap();
                lease.run(Work::nop()).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            });
        }
    });
    assert_eq!(bus.1.load(Ordering::Relaxed), 2);
}

#[test]
fn asking_for_any_number_of_queues_is_no_overflow() {
    let runtime = Runtime::builder().device("software").queues(usize::MAX).build().unwrap();
    runtime.run(Work::nop()).unwrap();
}
