//! Requests of the data queue, and what the driver makes of their answers.

use std::sync::atomic::Ordering;

use uaccel_queue::{DeviceError, JobFlags, Operation, Outcome, Status};

use crate::device::{Answer, DATA, DEVICE_STATUS, NEEDS_RESET};
use crate::queue::Queue;

#[test]
fn a_job_is_a_chain_as_the_specification_has_it() {
    let mut queue = Queue::new(4);
    queue.send(2);
    let [request] = &queue.device.asked()[..] else { panic!("one request") };
    // Header: encrypt, cipher, session. Operation: lengths of IV, source, destination. Kind: cipher alone.
    let mut expected = [0_u32; 18];
    (expected[1], expected[2], expected[6], expected[7], expected[8], expected[16]) = (3, 1000, 16, 64, 64, 1);
    let words: Vec<_> =
        request.readable[..72].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!((request.queue, request.head, words), (DATA, 8, expected.to_vec()));
    assert_eq!(request.readable[72..], [[2; 16].as_slice(), &[2; 64]].concat());
    assert_eq!(request.writable.iter().map(|piece| piece.1).collect::<Vec<_>>(), [64, 1]);
    assert_eq!(queue.poll().expect("sound"), [(2, Outcome::ok(64, 64))]);
}

#[test]
fn statuses_of_jobs() {
    for (status, expected) in [
        (1, Status::DeviceError),
        (2, Status::DeviceError),
        (3, Status::Unsupported),
        (4, Status::BadSession),
        (5, Status::DeviceError),
        (6, Status::DeviceError),
    ] {
        let mut queue = Queue::new(4);
        queue.device.lie(DATA, move |mut answer| {
            answer.bytes[64] = status;
            Some(answer)
        });
        assert_eq!(queue.outcome(|_| {}), Outcome::failed(expected), "{status}");
    }
}

/// What a poll says of an answer that was changed.
fn lied(lie: impl Fn(Answer) -> Answer + Send + 'static) -> DeviceError {
    let mut queue = Queue::new(4);
    queue.device.lie(DATA, move |answer| Some(lie(answer)));
    queue.send(0);
    queue.poll().expect_err("a lie")
}

#[test]
fn answers_that_cannot_be_end_the_queue() {
    // Its second descriptor; a job that is not in flight; beyond the ring.
    for head in [1, 4, 16, u32::MAX, 0x1_0000] {
        let error = lied(move |answer| Answer { head, ..answer });
        assert!(matches!(error, DeviceError::Protocol(_)), "{head}: {error:?}");
    }
    for written in [0, 1, 64, 66, u32::MAX] {
        let error = lied(move |answer| Answer { written, ..answer });
        assert!(matches!(error, DeviceError::Malformed { .. }), "{written}: {error:?}");
    }
    // The status that stood there before, since none was written; and one that does not exist.
    for bytes in [vec![], [vec![0; 64], vec![7]].concat()] {
        let status = *bytes.get(64).unwrap_or(&0xff);
        let error = lied(move |answer| Answer { bytes: bytes.clone(), ..answer });
        assert!(matches!(error, DeviceError::UnknownStatus { status: found, .. } if found == status), "{error:?}");
    }
}

#[test]
fn an_answer_that_comes_twice_ends_the_queue() {
    let mut queue = Queue::new(4);
    queue.send_all(&[0, 1], |_| {});
    assert_eq!(queue.poll().expect("sound").len(), 2);
    queue.device.lie(DATA, |_| None);
    queue.send(1);
    queue.device.push((0, 65), 1);
    assert!(matches!(queue.poll(), Err(DeviceError::Protocol(_))));
}

#[test]
fn a_used_ring_that_is_ahead_or_runs_back_ends_the_queue() {
    for steps in [1, 2, 0x8000, u16::MAX] {
        let mut queue = Queue::new(4);
        queue.device.push((0, 65), steps);
        assert!(matches!(queue.poll(), Err(DeviceError::Protocol(_))), "{steps}");
    }
}

#[test]
fn answers_before_a_lie_hold() {
    let mut queue = Queue::new(4);
    queue.device.lie(DATA, |answer| Some(Answer { head: if answer.head == 8 { 3 } else { answer.head }, ..answer }));
    queue.send_all(&[0, 1, 2, 3], |_| {});
    let (answers, polled) = queue.try_poll();
    assert!(matches!(polled, Err(DeviceError::Protocol(_))), "{polled:?}");
    assert_eq!(answers, [(0, Outcome::ok(64, 64)), (1, Outcome::ok(64, 64))]);
}

#[test]
fn a_device_that_gives_up_is_noticed_when_somebody_is_about_to_wait() {
    let mut queue = Queue::new(4);
    queue.device.lie(DATA, |_| None);
    queue.send(0);
    let registers = queue.device.registers().clone();
    registers.write8(DEVICE_STATUS, registers.read8(DEVICE_STATUS) | NEEDS_RESET);
    assert_eq!(queue.poll().expect("nobody waits yet").len(), 0);
    queue.completer.arm();
    match queue.poll() {
        Err(DeviceError::Stopped(reads)) => assert_eq!(reads & u32::from(NEEDS_RESET), u32::from(NEEDS_RESET)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn signals_come_when_somebody_waits_and_only_then() {
    let mut queue = Queue::new(4);
    let signals = |queue: &Queue| queue.device.signals.load(Ordering::Relaxed);
    queue.send(0);
    queue.poll().expect("sound");
    assert_eq!(signals(&queue), 0);
    queue.completer.arm();
    assert_eq!(queue.poll().expect("sound").len(), 0);
    queue.send(0);
    assert_eq!(signals(&queue), 1);
    assert_eq!(queue.poll().expect("sound").len(), 1);
    queue.send(0);
    assert_eq!(signals(&queue), 1, "nobody waits any more");
    assert_eq!(queue.poll().expect("sound").len(), 1);
}

#[test]
fn indices_run_over_and_slots_come_in_any_order() {
    let mut queue = Queue::new(3);
    for round in 0..25_000_u32 {
        let slots = [[0, 1, 2], [2, 0, 1], [1, 2, 0]][(round % 3) as usize];
        queue.send_all(&slots[..=(round % 2) as usize + 1], |_| {});
        let answers = queue.poll().expect("sound");
        assert_eq!(answers.len(), (round % 2) as usize + 2, "round {round}");
        assert!(answers.iter().all(|(_, outcome)| *outcome == Outcome::ok(64, 64)), "round {round}");
        if round % 1000 == 0 {
            queue.device.asked();
            queue.device.doorbells();
        }
    }
}

#[test]
fn jobs_that_the_device_has_no_part_in_never_come_to_it() {
    let mut queue = Queue::new(4);
    assert_eq!(queue.outcome(|job| job.source_len = 0), Outcome::ok(0, 0));
    assert_eq!(queue.outcome(|job| job.operation = Operation::Nop), Outcome::ok(0, 0));
    assert_eq!(queue.outcome(|job| job.operation = Operation::Copy), Outcome::failed(Status::Unsupported));
    assert_eq!(queue.outcome(|job| job.source_len = 63), Outcome::failed(Status::InvalidJob));
    assert_eq!(queue.outcome(|job| job.source_len = (1 << 32) + 16), Outcome::failed(Status::InvalidJob));
    assert_eq!(queue.outcome(|job| job.source_len = (1 << 20) + 16), Outcome::failed(Status::InvalidJob));
    for flag in [JobFlags::CHAINED, JobFlags::SCATTER] {
        assert_eq!(queue.outcome(|job| job.flags |= flag), Outcome::failed(Status::InvalidJob));
    }
    let small = queue.outcome(|job| job.destination_len = 63);
    assert_eq!((small.status, small.produced), (Status::OutputTooSmall, 64));
    assert_eq!(queue.device.asked(), []);
}
