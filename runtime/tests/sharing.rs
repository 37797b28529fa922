//! One runtime, many threads.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use device::{PATIENCE, simulated};
use uaccel_runtime::{Algorithm, Direction, Fallback, OwnedWork, Runtime, SessionSpec, Work};
use uaccel_sim::WarpConfig;

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
