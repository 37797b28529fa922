//! What the driver makes of completions, sound and unsound.

use std::ptr;

use uaccel_queue::{DeviceError, Fault, FaultKind, Job, Operation, Outcome, SessionId, Status, Token};
use uaccel_warp_abi::{Answer, Geometry, State};

use crate::fake::Queue;

fn job(operation: Operation) -> impl FnOnce(&mut Job) {
    move |job| {
        job.operation = operation;
        job.session = SessionId(0);
        (job.source, job.source_len) = (ptr::without_provenance(0x1000), 100);
        (job.destination, job.destination_len) = (ptr::without_provenance_mut(0x2000), 100);
        (job.aux, job.aux_len) = (ptr::without_provenance(0x3000), 100);
    }
}

/// One job, one completion, and what the poll says.
fn outcome(operation: Operation, status: u8, answer: Answer) -> Result<Outcome, DeviceError> {
    let mut queue = Queue::new(16);
    let token = queue.send(0, job(operation)).raw();
    queue.complete(token, status, answer);
    let answers = queue.poll()?;
    assert_eq!(answers.len(), 1);
    assert_eq!(queue.poll().expect("nothing more").len(), 0);
    Ok(answers[0].1)
}

fn counts(consumed: u32, produced: u32) -> Answer {
    Answer::Counts { consumed, produced }
}

#[test]
fn counts_and_checksums() {
    assert_eq!(outcome(Operation::Compress, 0, counts(100, 40)).expect("sound"), Outcome::ok(100, 40));
    assert_eq!(outcome(Operation::Compare, 0, counts(100, 17)).expect("sound"), Outcome::ok(100, 17));
    for operation in [Operation::Crc32, Operation::Crc32c] {
        let expected = Outcome::ok(100, 0).with_checksum(0xe306_9283);
        assert_eq!(outcome(operation, 0, counts(100, 0xe306_9283)).expect("sound"), expected);
    }
}

#[test]
fn a_cipher_that_made_another_length_of_text_is_malformed() {
    for operation in [Operation::Encrypt, Operation::Decrypt] {
        assert_eq!(outcome(operation, 0, counts(100, 100)).expect("sound"), Outcome::ok(100, 100));
        let found = outcome(operation, 0, counts(100, 99));
        assert!(matches!(found, Err(DeviceError::Malformed { .. })), "{found:?}");
    }
}

#[test]
fn failures() {
    let small = outcome(Operation::Compress, 2, counts(0, 5000)).expect("the room needed may exceed the room there is");
    assert_eq!((small.status, small.produced), (Status::OutputTooSmall, 5000));
    for status in [3, 4, 5, 6, 7, 8, 10, 11, 12] {
        let found = outcome(Operation::Open, status, counts(7, 7)).expect("sound");
        assert_eq!(
            found,
            Outcome::failed(Status::from_raw(status).expect("a status")),
            "counts of a failure are not passed on"
        );
    }
    for (answer, kind) in [(Answer::ReadFault(0x1042), FaultKind::Read), (Answer::WriteFault(0x1042), FaultKind::Write)]
    {
        let expected = Outcome::faulted(Fault { address: 0x1042, kind });
        assert_eq!(outcome(Operation::Copy, 9, answer).expect("sound"), expected);
    }
}

#[test]
fn contradictions_end_the_queue() {
    // That there is more to come of a stream (13) is nothing that an engine without streams can say.
    for unknown in [13, 14, 255] {
        let found = outcome(Operation::Compress, unknown, counts(0, 0));
        assert!(matches!(found, Err(DeviceError::UnknownStatus { status, .. }) if status == unknown), "{found:?}");
    }
    assert!(matches!(outcome(Operation::Compress, 0, counts(101, 1)), Err(DeviceError::Overrun { consumed: 101, .. })));
    assert!(matches!(outcome(Operation::Compress, 0, counts(1, 101)), Err(DeviceError::Overrun { produced: 101, .. })));
    assert!(matches!(outcome(Operation::Crc32c, 0, counts(u32::MAX, 1)), Err(DeviceError::Overrun { .. })));
    assert!(matches!(outcome(Operation::Copy, 0, counts(100, 99)), Err(DeviceError::Malformed { .. })));
    assert!(matches!(outcome(Operation::Copy, 9, counts(0, 0)), Err(DeviceError::Malformed { .. })));
    assert!(matches!(outcome(Operation::Copy, 0, Answer::ReadFault(1)), Err(DeviceError::Malformed { .. })));
}

#[test]
fn unknown_tokens_end_the_queue() {
    for raw in [0x8000_1001, 0x8000_0000, 0x8000_2000, 0x8000_1010, 0xffff_ffff, 0xffff_f000, 0xffff_efff, 0x1000] {
        let mut queue = Queue::new(16);
        let token = queue.send(0, job(Operation::Copy));
        assert_eq!(token.raw(), 0x8000_1000);
        queue.counts(raw, 0, 100, 100);
        assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(found)) if found.raw() == raw), "{raw:#x}");
        assert!(queue.cells.is_live(token), "the job is still in flight");
    }
}

#[test]
fn commands_that_were_not_given_are_not_answered() {
    for raw in [0, 1, 7, 8, 4095] {
        let mut queue = Queue::new(16);
        queue.send(0, job(Operation::Copy));
        queue.counts(raw, 0, 0, 0);
        assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(_))), "{raw}");
    }
}

#[test]
fn a_second_completion_is_not_believed() {
    let mut queue = Queue::new(16);
    let token = queue.send(0, job(Operation::Copy)).raw();
    queue.counts(token, 0, 100, 100);
    queue.counts(token, 0, 100, 100);
    assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(_))));
}

#[test]
fn a_late_completion_does_not_meet_the_slots_next_job() {
    let mut queue = Queue::new(16);
    let old = queue.send(0, job(Operation::Copy));
    queue.counts(old.raw(), 0, 100, 100);
    assert_eq!(queue.poll().expect("sound").len(), 1);
    let new = queue.send(0, job(Operation::Copy));
    queue.counts(old.raw(), 0, 100, 100);
    assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(found)) if found == old));
    assert!(queue.cells.is_live(new));
}

#[test]
fn answers_before_a_malformed_one_hold() {
    let mut queue = Queue::new(16);
    let tokens: Vec<Token> = (0..3).map(|slot| queue.send(slot, job(Operation::Copy))).collect();
    queue.counts(tokens[0].raw(), 0, 100, 100);
    queue.counts(tokens[1].raw(), 77, 0, 0);
    assert!(queue.poll().is_err());
    assert_eq!(tokens.iter().map(|token| queue.cells.is_live(*token)).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn the_wrong_phase_is_not_looked_at() {
    let mut queue = Queue::new(16);
    let token = queue.send(0, job(Operation::Copy)).raw();
    // As if left from the round before: everything right but the phase.
    let place = queue.geometry.completion(0);
    queue.memory.write(place, 100 | 100 << 32);
    queue.memory.publish(place + 8, u64::from(token));
    assert_eq!(queue.poll().expect("nothing there").len(), 0);
    // Completions further on are not looked at either: the device publishes in order.
    queue.memory.publish(queue.geometry.completion(1) + 8, u64::from(token) | 1 << 63);
    assert_eq!(queue.poll().expect("nothing there").len(), 0);
    queue.counts(token, 0, 100, 100);
    assert!(queue.poll().is_err(), "now both are there, and the second is one too many");
}

#[test]
fn a_stopped_device_is_reported_after_its_last_answers() {
    for (state, reason) in [(State::Stopped, 0), (State::Failed(42), 42), (State::Off, 0)] {
        let mut queue = Queue::new(16);
        let token = queue.send(0, job(Operation::Copy)).raw();
        queue.counts(token, 0, 100, 100);
        queue.state(state);
        assert_eq!(queue.poll().expect("one answer").len(), 1);
        assert!(matches!(queue.poll(), Err(DeviceError::Stopped(told)) if told == reason), "{state:?}");
    }
}

#[test]
fn an_answer_that_comes_right_before_the_stop_is_not_lost() {
    for round in 0..400 {
        let mut queue = Queue::new(16);
        let token = queue.send(0, job(Operation::Copy)).raw();
        let (memory, geometry) = (queue.memory.clone(), queue.geometry);
        let device = std::thread::spawn(move || {
            // The driver is to be caught between its look at the ring and its look at the state.
            for _ in 0..round % 50 {
                std::hint::spin_loop();
            }
            let place = geometry.completion(0);
            memory.write(place, 100 | 100 << 32);
            memory.publish(place + 8, u64::from(token) | 1 << 63);
            memory.publish(Geometry::STATE, State::Stopped.encode());
        });
        let mut answers = 0;
        while let Ok(found) = queue.poll() {
            answers += found.len();
        }
        device.join().expect("no panic inside");
        assert_eq!(answers, 1, "round {round}");
    }
}

#[test]
fn no_more_is_taken_than_there_is_room() {
    let mut queue = Queue::new(16);
    for slot in 0..5 {
        let token = queue.send(slot, job(Operation::Copy)).raw();
        queue.counts(token, 0, 100, 100);
    }
    assert_eq!(queue.poll_room(0).expect("sound").len(), 0);
    assert_eq!(queue.poll_room(2).expect("sound").iter().map(|answer| answer.0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(queue.poll_room(9).expect("sound").iter().map(|answer| answer.0).collect::<Vec<_>>(), [2, 3, 4]);
}
