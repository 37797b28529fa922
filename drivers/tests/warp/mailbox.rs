//! Answers in the job's own line.

use std::ptr;

use uaccel_queue::{Algorithm, DeviceError, Job, Operation, SessionId, SessionSpec};
use uaccel_warp_abi::{Completion, Descriptor, Features, Mode};

use crate::fake::{Nature, Queue};

fn queue(depth: usize) -> Queue {
    let queue = Queue::with(Nature { features: Features::MAILBOX, ..Nature::default() }, depth);
    assert_eq!((queue.geometry.mode(), queue.geometry.entries()), (Mode::Mailbox, 16));
    queue
}

fn crc(job: &mut Job) {
    job.operation = Operation::Crc32c;
    (job.source, job.source_len) = (ptr::without_provenance(0x1000), 100);
}

#[test]
fn answers_are_taken_from_the_line() {
    let mut queue = queue(4);
    for round in 0..100_u64 {
        let token = queue.send(0, crc);
        assert_eq!(queue.poll().expect("nothing yet").len(), 0);
        assert_eq!(queue.fetch(round).expect("published").token, token.raw());
        queue.answer(round, token.raw(), 100, 7);
        let answers = queue.poll().expect("sound");
        assert_eq!(answers.len(), 1);
        assert_eq!((answers[0].1.consumed, answers[0].1.checksum), (100, 7));
        assert_eq!(queue.poll().expect("taken").len(), 0);
    }
}

#[test]
fn the_oldest_answer_comes_first() {
    let mut queue = queue(4);
    let tokens: Vec<_> = (0..4).map(|slot| queue.send(slot, crc).raw()).collect();
    for index in [3, 1] {
        queue.answer(index, tokens[usize::try_from(index).expect("small")], 100, 0);
    }
    assert_eq!(queue.poll().expect("sound").iter().map(|answer| answer.0).collect::<Vec<_>>(), [1, 3]);
    queue.answer(0, tokens[0], 100, 0);
    queue.answer(2, tokens[2], 100, 0);
    assert_eq!(queue.poll().expect("sound").iter().map(|answer| answer.0).collect::<Vec<_>>(), [0, 2]);
}

/// A poll without room for more leaves behind what was taken before its turn. Its line goes round meanwhile.
#[test]
fn a_line_that_went_round_keeps_its_place_in_the_order() {
    let mut queue = queue(8);
    let slots = |queue: &mut Queue, room| -> Vec<u32> {
        queue.poll_room(room).expect("sound").into_iter().map(|answer| answer.0).collect()
    };
    let answer = |queue: &Queue, index| queue.answer(index, queue.fetch(index).expect("published").token, 0, 0);
    for slot in 0..8 {
        queue.send(slot, crc);
    }
    (1..8).for_each(|index| answer(&queue, index));
    assert_eq!(slots(&mut queue, 8).len(), 7);
    answer(&queue, 0);
    assert_eq!(slots(&mut queue, 1), [0]);
    // Two commands, and eight jobs, of which the last has the line of the second of all.
    let spec = SessionSpec::digest(Algorithm::Sha256, &[]).expect("no key");
    queue.submitter.open_session(SessionId(0), &spec).expect("offered");
    queue.submitter.close_session(SessionId(0));
    for slot in 0..8 {
        queue.send(slot, crc);
    }
    (8..17).for_each(|index| answer(&queue, index));
    assert_eq!(slots(&mut queue, 8), [0, 1, 2, 3, 4, 5, 6]);
    for index in 18..32 {
        queue.send(0, crc);
        answer(&queue, index);
        assert_eq!(slots(&mut queue, 8), [0]);
    }
    // Number 32, which is older than 33 in that line.
    queue.send(0, crc);
    answer(&queue, 17);
    assert_eq!(slots(&mut queue, 1), [7]);
    queue.send(7, crc);
    answer(&queue, 33);
    answer(&queue, 32);
    assert_eq!(slots(&mut queue, 8), [0, 7]);
}

#[test]
fn a_line_is_busy_until_its_answer_was_taken() {
    let mut queue = queue(2);
    let slow = queue.send(0, crc);
    let mut index = 1;
    // One job stays, the other goes round until it comes to the line of the first.
    while index < 16 {
        let token = queue.send(1, crc);
        queue.answer(index, token.raw(), 100, 0);
        assert_eq!(queue.poll().expect("sound").len(), 1);
        index += 1;
    }
    queue.build(1, crc);
    let before = queue.words(0);
    assert_eq!(queue.submit(&[1]), 0, "the line is busy");
    assert_eq!(queue.words(0), before);
    queue.answer(0, slow.raw(), 100, 0);
    assert_eq!(queue.submit(&[1]), 0, "the answer was not taken yet");
    assert_eq!(queue.poll().expect("sound").len(), 1);
    assert_eq!(queue.submit(&[1]), 1);
}

#[test]
fn what_the_device_writes_elsewhere_does_not_free_a_line() {
    let mut queue = queue(2);
    queue.send(0, crc);
    // The device clears the line: the host still knows what stands there.
    for word in 0..8 {
        queue.memory.publish(queue.geometry.submission(0) + 8 * word, 0);
    }
    assert_eq!(queue.poll().expect("nothing").len(), 0);
    for index in 1..16 {
        let token = queue.send(1, crc);
        queue.answer(index, token.raw(), 100, 0);
        queue.poll().expect("sound");
    }
    queue.build(1, crc);
    assert_eq!(queue.submit(&[1]), 0);
}

#[test]
fn an_answer_to_another_job_ends_the_queue() {
    let mut queue = queue(4);
    let tokens: Vec<_> = (0..2).map(|slot| queue.send(slot, crc).raw()).collect();
    queue.answer(0, tokens[1], 100, 0);
    assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(found)) if found.raw() == tokens[1]));
}

#[test]
fn answers_of_the_last_round_are_not_taken_again() {
    let mut queue = queue(1);
    let mut last = 0;
    for index in 0..16 {
        last = queue.send(0, crc).raw();
        queue.answer(index, last, 100, 0);
        assert_eq!(queue.poll().expect("sound").len(), 1);
    }
    queue.send(0, crc);
    // The device writes the answer of 16 submissions ago once more, over the new descriptor.
    let control = u64::from(last) | Completion::ANSWERED | Descriptor::PHASE;
    queue.memory.publish(queue.geometry.submission(16) + Descriptor::CONTROL, control);
    assert_eq!(queue.poll().expect("the phase is that of the last round").len(), 0);
}
