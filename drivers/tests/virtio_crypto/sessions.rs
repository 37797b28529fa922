//! Requests of the control queue.

use uaccel_queue::{Algorithm, DeviceError, Direction, Operation, SessionError, SessionId, Status, Transport};

use crate::device::{Answer, CONTROL, DEVICE_STATUS, Device, NEEDS_RESET, Nature, Request};
use crate::queue::{Queue, spec};

fn words(request: &Request) -> Vec<u32> {
    request.readable[..72].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn sessions_are_made_and_ended_as_the_specification_has_it() {
    let device = Device::new(Nature::default());
    let mut queue = Queue::over(&device, 4);
    queue.submitter.open_session(SessionId(3), &spec(Algorithm::Aes256Ctr, Direction::Inverse, 9)).expect("offered");
    let [create] = &device.asked()[..] else { panic!("one request") };
    // Header: create, cipher, flags, queue. Session: cipher, length of key, decrypt. Kind: cipher alone.
    let mut expected = [0; 18];
    (expected[0], expected[1], expected[4], expected[5], expected[6], expected[16]) = (2, 4, 4, 32, 2, 1);
    assert_eq!((create.queue, words(create)), (CONTROL, expected.to_vec()));
    assert_eq!(create.readable[72..], [9; 32]);
    assert_eq!(create.writable.iter().map(|piece| piece.1).collect::<Vec<_>>(), [16]);
    queue.submitter.close_session(SessionId(3));
    let [destroy] = &device.asked()[..] else { panic!("one request") };
    let mut expected = [0; 18];
    (expected[0], expected[4]) = (3, 1000);
    assert_eq!(words(destroy), expected);
    assert_eq!((destroy.readable.len(), destroy.writable[0].1), (72, 1));
    queue.submitter.close_session(SessionId(3));
    assert_eq!(device.asked(), [], "it is closed");
}

#[test]
fn keys_do_not_stay_in_memory() {
    let queue = Queue::new(4);
    let memory = queue.device.memory(CONTROL);
    let words = (0..memory.len() / 8).map(|word| memory.read(8 * word));
    assert!(words.into_iter().all(|word| word != u64::from_le_bytes([1; 8])), "the key, all ones");
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    for (status, expected) in
        [(1, Status::DeviceError), (3, Status::Unsupported), (5, Status::DeviceError), (6, Status::DeviceError)]
    {
        let device = Device::new(Nature::default());
        let mut queue = Queue::over(&device, 4);
        device.lie(CONTROL, move |mut answer| {
            answer.bytes[8] = status;
            Some(answer)
        });
        let result = queue.submitter.open_session(SessionId(0), &spec(Algorithm::Aes128Cbc, Direction::Forward, 1));
        assert!(matches!(result, Err(SessionError::Refused(found)) if found == expected), "{status}: {result:?}");
        let outcome = queue.outcome(|_| {});
        assert_eq!(outcome.status, Status::BadSession, "it is not open");
    }
}

#[test]
fn answers_that_cannot_be_are_errors() {
    type Lie = fn(Answer) -> Answer;
    let lies: [(&str, Lie); 5] = [
        ("not asked", |answer| Answer { head: 1, ..answer }),
        ("not asked", |answer| Answer { head: u32::MAX, ..answer }),
        ("another length", |answer| Answer { written: 15, ..answer }),
        ("another length", |answer| Answer { written: u32::MAX, ..answer }),
        ("does not exist", |mut answer| {
            answer.bytes[9] = 1;
            answer
        }),
    ];
    for (text, lie) in lies {
        let device = Device::new(Nature::default());
        let mut queue = Queue::over(&device, 4);
        device.lie(CONTROL, move |answer| Some(lie(answer)));
        match queue.submitter.open_session(SessionId(0), &spec(Algorithm::Aes128Cbc, Direction::Forward, 1)) {
            Err(SessionError::Device(DeviceError::Protocol(what))) => assert!(what.contains(text), "{what}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn one_number_for_two_sessions_is_an_error() {
    let mut queue = Queue::new(4);
    queue.device.lie(CONTROL, |mut answer| {
        if answer.written == 16 {
            answer.bytes[..8].copy_from_slice(&1000_u64.to_le_bytes());
        }
        Some(answer)
    });
    let result = queue.submitter.open_session(SessionId(1), &spec(Algorithm::Aes128Cbc, Direction::Forward, 2));
    assert!(matches!(result, Err(SessionError::Device(DeviceError::Protocol(_)))), "{result:?}");
}

#[test]
fn a_control_queue_that_does_not_answer_is_given_up() {
    let mut queue = Queue::new(4);
    queue.device.lie(CONTROL, |_| None);
    for _ in 0..2 {
        let result = queue.submitter.open_session(SessionId(1), &spec(Algorithm::Aes128Cbc, Direction::Forward, 2));
        assert!(matches!(result, Err(SessionError::Device(DeviceError::Transport(_)))), "{result:?}");
    }
    assert_eq!(queue.device.asked().len(), 1, "the place is taken");
    // What is open is not concerned.
    assert_eq!(queue.outcome(|_| {}).status, Status::Ok);
}

#[test]
fn a_session_is_for_one_direction() {
    let mut queue = Queue::new(4);
    assert_eq!(queue.outcome(|job| job.operation = Operation::Decrypt).status, Status::BadSession);
    assert_eq!(queue.outcome(|job| job.session = SessionId(u16::MAX)).status, Status::BadSession);
    assert_eq!(queue.outcome(|_| {}).status, Status::Ok);
    assert_eq!(queue.device.asked().len(), 1, "the others never came to the device");
}

#[test]
fn a_queue_that_goes_closes_what_is_open() {
    let mut queue = Queue::new(4);
    queue.submitter.open_session(SessionId(1), &spec(Algorithm::Aes256Cbc, Direction::Forward, 2)).expect("offered");
    let device = queue.device.clone();
    assert_eq!(device.sessions(), 2);
    drop(queue);
    assert_eq!(device.sessions(), 0);
}

#[test]
fn a_queue_that_was_stopped_or_has_failed_asks_for_nothing_when_it_goes() {
    let stop: [fn(&Device); 2] = [
        |device| assert!(device.stop(std::time::Duration::ZERO).is_ok()),
        |device| device.registers().write8(DEVICE_STATUS, device.registers().read8(DEVICE_STATUS) | NEEDS_RESET),
    ];
    for stop in stop {
        let queue = Queue::new(4);
        let device = queue.device.clone();
        stop(&device);
        drop(queue);
        assert_eq!((device.asked(), device.doorbells()), (vec![], vec![]));
    }
}
