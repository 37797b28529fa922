//! Jobs that write where they read: which may, on which device, and what becomes of the others.

mod altered_warp;
mod device;

use std::sync::Arc;

use altered_warp::AlteredWarp;
use device::{PATIENCE, simulated};
use uaccel_runtime::{
    Algorithm, Builder, Direction, Error, Fallback, Operation, OperationSet, OwnedWork, RawWork, Runtime, Session,
    SessionSpec, Work,
};
use uaccel_sim::WarpConfig;

const KEY: [u8; 16] = [1; 16];
const IV: [u8; 16] = [2; 16];

fn session(runtime: &Runtime, algorithm: Algorithm) -> Session {
    runtime.session(SessionSpec::keyed(algorithm, Direction::Forward, &KEY).unwrap()).unwrap()
}

fn engine() -> Builder {
    simulated(WarpConfig::default()).0.deadline(PATIENCE)
}

/// From one buffer to another, on the CPU.
fn encrypted(text: &[u8]) -> Vec<u8> {
    let runtime = Runtime::builder().device("software").build().unwrap();
    let mut made = vec![0; text.len()];
    let session = session(&runtime, Algorithm::Aes128Ctr);
    runtime.run(Work::session(&session, text, &mut made).with_iv(IV)).unwrap();
    made
}

#[test]
fn a_cipher_works_on_the_text_where_it_stands() {
    let text: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    for builder in [engine(), Runtime::builder().device("software")] {
        let runtime = builder.build().unwrap();
        let session = session(&runtime, Algorithm::Aes128Ctr);
        let mut memory = text.clone();
        let outcome = runtime.run(Work::session_in_place(&session, &mut memory).with_iv(IV)).unwrap();
        assert_eq!((outcome.consumed, outcome.produced), (10_000, 10_000));
        assert!(memory == encrypted(&text), "on {}", runtime.device());

        let mut memory = text.clone();
        runtime.lease().unwrap().run(Work::session_in_place(&session, &mut memory).with_iv(IV)).unwrap();
        assert!(memory == encrypted(&text), "on a lease of {}", runtime.device());
    }
}

#[test]
fn pointers_that_nobody_vouches_for_may_be_equal_but_not_overlap_by_a_part() {
    let runtime = engine().build().unwrap();
    let session = session(&runtime, Algorithm::Aes128Ctr);
    let mut memory = vec![7; 200];
    let start = memory.as_mut_ptr();
    let mut work = RawWork::new(Operation::Encrypt);
    work.session = Some(&session);
    work.immediate = IV;
    (work.source, work.source_len) = (start, 100);
    (work.destination, work.destination_len) = (start, 200);
    // SAFETY: the memory lives on, and nobody else touches it.
    unsafe { runtime.run_raw(&work) }.unwrap();
    assert!(memory[..100] == encrypted(&[7; 100]) && memory[100..] == [7; 100]);
    for shift in [1, 99] {
        work.destination = start.wrapping_add(shift);
        work.destination_len = 100;
        // SAFETY: as above.
        let refused = unsafe { runtime.run_raw(&work) };
        assert!(matches!(refused, Err(Error::InvalidInput { .. })), "{shift}: {refused:?}");
    }
    work.destination = start.wrapping_add(100);
    // SAFETY: as above.
    unsafe { runtime.run_raw(&work) }.unwrap();
}

#[test]
fn what_makes_another_length_is_refused_in_place() {
    let runtime = engine().build().unwrap();
    let seal = session(&runtime, Algorithm::Aes128Gcm);
    let mut text = [5; 100];
    let refused = runtime.run(Work::session_in_place(&seal, &mut text).with_nonce([0; 12], b""));
    assert!(matches!(refused, Err(Error::InvalidInput { operation: Operation::Seal, .. })), "{refused:?}");
    let rejected = runtime.submit(OwnedWork::session_in_place(&seal, text.to_vec())).unwrap_err();
    assert!(matches!(rejected.error, Error::InvalidInput { operation: Operation::Seal, .. }));
    assert_eq!(rejected.work.into_buffers().1, [5; 100]);
}

/// The Warp driver on a device that reads and writes in pieces.
fn piecemeal() -> Arc<AlteredWarp> {
    Arc::new(AlteredWarp::new("warp in pieces", |mut queue| {
        queue.granted.in_place = OperationSet::default();
        queue
    }))
}

#[test]
fn a_device_that_cannot_leaves_it_to_the_cpu_or_says_so() {
    let runtime = engine().driver(piecemeal()).build().unwrap();
    let own = session(&runtime, Algorithm::Aes128Ctr);
    let mut text = [5; 100];
    let refused = runtime.run(Work::session_in_place(&own, &mut text).with_iv(IV));
    assert!(matches!(refused, Err(Error::NotInPlace { operation: Operation::Encrypt, .. })), "{refused:?}");
    assert_eq!(refused.unwrap_err().to_string(), "device 'warp0' does not encrypt in place");
    assert_eq!(text, [5; 100]);

    let runtime = engine().driver(piecemeal()).fallback(Fallback::OnError).build().unwrap();
    let own = session(&runtime, Algorithm::Aes128Ctr);
    runtime.run(Work::session_in_place(&own, &mut text).with_iv(IV)).unwrap();
    assert!(text[..] == encrypted(&[5; 100]));
    let owned = runtime.submit(OwnedWork::session_in_place(&own, vec![5; 100]).with_iv(IV)).unwrap();
    assert!(owned.wait().into_output().unwrap().1 == encrypted(&[5; 100]));
    assert_eq!(runtime.counters().fallbacks, 2);
}
