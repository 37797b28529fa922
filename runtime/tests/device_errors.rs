//! A device that breaks the protocol: an error for the job, a fresh queue for the next, no undefined behaviour.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use device::{PATIENCE, simulated};
use uaccel_runtime::{Error, OwnedWork, Work};
use uaccel_sim::{Mishap, Plan, WarpConfig, When};

/// What the third of ten jobs meets must not hurt the others.
fn survives(mishap: Mishap) {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).queues(1).build().unwrap();
    plan.set(Plan::default().with(When::Nth(3), mishap));
    let mut failed = 0;
    for round in 0..10u8 {
        let source = [round; 1000];
        let mut destination = [0; 1000];
        match runtime.run(Work::copy(&source, &mut destination)) {
            Ok(_) => assert_eq!(source, destination, "round {round}"),
            Err(Error::DeviceFailed { device, cause }) => {
                assert_eq!(&*device, "warp0");
                assert!(!cause.is_empty());
                failed += 1;
            }
            Err(other) => panic!("round {round}: {other:?}"),
        }
    }
    // A doubled completion comes after the job was answered, so it may hit the next job, or nobody.
    let expected = if mishap == Mishap::DuplicatedCompletion { 0..=1 } else { 1..=1 };
    assert!(expected.contains(&failed), "{failed} jobs failed");
    assert!(failed == 0 || runtime.counters().resets == 1, "{:?}", runtime.counters());
}

#[test]
fn a_completion_for_an_unknown_token_retires_the_queue() {
    survives(Mishap::WrongToken);
}

#[test]
fn a_completion_that_claims_more_than_it_was_given_retires_the_queue() {
    survives(Mishap::ImpossibleLengths);
}

#[test]
fn a_completion_with_an_unknown_status_retires_the_queue() {
    survives(Mishap::UnknownStatus);
}

#[test]
fn a_doubled_completion_answers_nothing_twice() {
    survives(Mishap::DuplicatedCompletion);
}

#[test]
fn a_device_that_fails_is_reset() {
    survives(Mishap::DeviceFailure(7));
}

#[test]
fn a_lost_completion_is_found_at_the_deadline() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.queues(1).build().unwrap();
    plan.set(Plan::default().with(When::Nth(1), Mishap::LostCompletion));
    let mut destination = [0; 8];
    assert!(matches!(runtime.run(Work::copy(&[1; 8], &mut destination)), Err(Error::Deadline(_))));
    runtime.run(Work::copy(&[1; 8], &mut destination)).unwrap();
    assert_eq!(destination, [1; 8]);
}

#[test]
fn futures_on_a_queue_that_fails_all_end_and_give_their_buffers_back() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).queues(1).build().unwrap();
    plan.hold();
    let jobs: Vec<_> = (0..20).map(|n| runtime.submit(OwnedWork::copy(vec![n; 500], vec![0; 500])).unwrap()).collect();
    plan.set(Plan::default().with(When::Nth(1), Mishap::DeviceFailure(1)));
    for (n, job) in jobs.into_iter().enumerate() {
        let finished = job.wait();
        let (source, _, ()) = finished.buffers.expect("the device was proven quiet");
        assert_eq!(source, vec![n as u8; 500]);
        assert!(matches!(finished.result, Ok(_) | Err(Error::DeviceFailed { .. })), "{:?}", finished.result);
    }
    let job = runtime.submit(OwnedWork::copy(vec![1; 500], vec![0; 500])).unwrap();
    assert_eq!(job.wait().into_output().unwrap().1, vec![1; 500]);
}
