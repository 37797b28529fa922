//! Session entries and the commands around them.

use uaccel_queue::{Algorithm, Cancel, Direction, Operation, SessionError, SessionId, SessionSpec, Status};
use uaccel_warp_abi::{Command, SessionEntry};

use crate::fake::Queue;

fn hmac(key: &[u8]) -> SessionSpec {
    SessionSpec::digest(Algorithm::HmacSha256, key).expect("any key")
}

fn entry(queue: &Queue, id: u16) -> Vec<u8> {
    let offset = queue.geometry.session(id);
    (0..SessionEntry::WORDS).flat_map(|word| queue.memory.observe(offset + 8 * word).to_le_bytes()).collect()
}

#[test]
fn an_entry_is_written_read_and_wiped() {
    let mut queue = Queue::new(16);
    let spec = SessionSpec::keyed(Algorithm::Aes256Gcm, Direction::Inverse, &[0xab; 32]).expect("32 bytes");
    queue.submitter.open_session(SessionId(3), &spec).expect("offered");
    let command = queue.fetch(0).expect("published");
    assert_eq!((command.opcode, command.session), (Command::OpenSession as u8, 3));
    assert!(command.token < 4096, "no job has such a token");
    let mut expected = vec![33, 0, 1, 0, 32, 0, 0, 0];
    expected.extend([0xab; 32]);
    expected.resize(256, 0);
    assert_eq!(entry(&queue, 3), expected);
    assert_eq!(queue.poll().expect("nothing").len(), 0);
    assert_eq!(entry(&queue, 3), expected, "the device may not have read it yet");
    queue.counts(command.token, 0, 0, 0);
    assert_eq!(queue.poll().expect("no job").len(), 0);
    assert_eq!(entry(&queue, 3), [0; 256]);
}

#[test]
fn a_refused_session_is_wiped_too() {
    let mut queue = Queue::new(16);
    queue.submitter.open_session(SessionId(0), &hmac(b"secret")).expect("offered");
    let token = queue.fetch(0).expect("published").token;
    queue.counts(token, Status::Unsupported as u8, 0, 0);
    assert_eq!(queue.poll().expect("no job").len(), 0);
    assert_eq!(entry(&queue, 0), [0; 256]);
}

#[test]
fn what_was_never_answered_is_wiped_at_the_end() {
    let mut queue = Queue::new(16);
    queue.submitter.open_session(SessionId(7), &hmac(b"secret")).expect("offered");
    let (memory, geometry) = (queue.memory.clone(), queue.geometry);
    assert_ne!(memory.observe(geometry.session(7) + 8), 0);
    drop(queue);
    assert!((0..SessionEntry::WORDS).all(|word| memory.observe(geometry.session(7) + 8 * word) == 0));
}

#[test]
fn what_an_entry_cannot_hold_is_refused() {
    let mut queue = Queue::new(16);
    queue.submitter.open_session(SessionId(0), &hmac(&[1; SessionEntry::MAX_KEY])).expect("fits");
    let refused = queue.submitter.open_session(SessionId(1), &hmac(&[1; SessionEntry::MAX_KEY + 1]));
    assert!(matches!(refused, Err(SessionError::Refused(_))));
    let refused = queue.submitter.open_session(SessionId(16), &hmac(b""));
    assert!(matches!(refused, Err(SessionError::OutOfRange(SessionId(16)))));
}

#[test]
fn a_window_that_the_engine_does_not_keep_to_is_refused() {
    let mut queue = Queue::new(16);
    let spec = SessionSpec::compression(Algorithm::Zlib, Direction::Forward, None).expect("valid");
    let small = spec.clone().with_window(16 << 10).expect("valid");
    let refused = queue.submitter.open_session(SessionId(0), &small);
    assert!(matches!(refused, Err(SessionError::Unsupported { algorithm: Algorithm::Zlib, .. })));
    let all = spec.with_window(Algorithm::LARGEST_WINDOW).expect("valid");
    queue.submitter.open_session(SessionId(0), &all).expect("the one that deflate has");
}

#[test]
fn jobs_wait_behind_commands_that_wait() {
    let mut queue = Queue::new(16);
    for id in 0..10 {
        queue.submitter.open_session(SessionId(id), &hmac(&[0x11; 9])).expect("offered");
    }
    // Eight at a time; the entries of the others are not written yet.
    assert!(queue.fetch(7).is_some() && queue.fetch(8).is_none());
    assert_eq!(entry(&queue, 8), [0; 256]);
    queue.build(0, |job| job.operation = Operation::Nop);
    assert_eq!(queue.submit(&[0]), 0);
    for index in 0..2 {
        let token = queue.fetch(index).expect("published").token;
        queue.counts(token, 0, 0, 0);
    }
    queue.poll().expect("no job");
    assert_eq!(queue.submit(&[0]), 1);
    let sent: Vec<_> =
        (8..11).map(|index| queue.fetch(index).expect("published")).map(|d| (d.opcode, d.session)).collect();
    assert_eq!(sent, [(0x80, 8), (0x80, 9), (Operation::Nop as u8, 0)]);
}

#[test]
fn a_number_is_used_again_only_when_its_entry_was_wiped() {
    let mut queue = Queue::new(16);
    queue.submitter.open_session(SessionId(2), &hmac(b"first")).expect("offered");
    queue.submitter.close_session(SessionId(2));
    queue.submitter.open_session(SessionId(2), &hmac(b"second")).expect("offered");
    let first = entry(&queue, 2);
    assert_eq!(first[8..13], *b"first");
    assert!(queue.fetch(1).is_some() && queue.fetch(2).is_none(), "the second opening waits");
    let tokens: Vec<_> = (0..2).map(|index| queue.fetch(index).expect("published").token).collect();
    queue.counts(tokens[0], 0, 0, 0);
    queue.poll().expect("no job");
    queue.submit(&[]);
    assert!(queue.fetch(2).is_none(), "the closing is still out");
    queue.counts(tokens[1], 0, 0, 0);
    queue.poll().expect("no job");
    queue.submit(&[]);
    assert_eq!(queue.fetch(2).expect("published").session, 2);
    assert_eq!(entry(&queue, 2)[8..14], *b"second");
}

#[test]
fn cancelling_names_the_job() {
    let mut queue = Queue::new(16);
    let token = queue.send(0, |job| job.operation = Operation::Nop);
    assert_eq!(queue.submitter.cancel(token), Cancel::Requested);
    let command = queue.fetch(1).expect("published");
    assert_eq!(command.opcode, Command::Cancel as u8);
    assert_eq!(command.operand[..4], token.raw().to_le_bytes());
    queue.counts(token.raw(), Status::Canceled as u8, 0, 0);
    queue.counts(command.token, 0, 0, 0);
    let answers = queue.poll().expect("sound");
    assert_eq!((answers.len(), answers[0].1.status), (1, Status::Canceled));
}
