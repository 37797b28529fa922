//! Rings: rounds, doorbells, room.

use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Status as Engine};
use uaccel_hisi_abi::{Doorbell, DoorbellCommand};
use uaccel_queue::{Algorithm, Outcome};

use crate::device::Device;
use crate::part::Nature;
use crate::queue::{Queue, forward, inverse};

fn doorbell(queue: u16, command: DoorbellCommand, index: u16) -> Doorbell {
    Doorbell { queue, command, index, priority: 0 }
}

/// A stream that a part which answers by hand is not asked to understand.
const STREAM: [u8; 2] = [3, 0];

#[test]
fn thousands_of_jobs_go_round_rings_of_any_length() {
    // Powers of two and others; submission and completion rings that go round at different times.
    for (submissions, completions, depth) in
        [(2, 2, 1), (3, 5, 2), (8, 8, 7), (7, 1024, 5), (1024, 6, 5), (1024, 1024, 100)]
    {
        let device = Device::with([COMPRESS, DECOMPRESS].map(|kind| Nature::new(kind, submissions, completions)));
        let mut queue = Queue::over(&device, depth);
        let mut free: Vec<u32> = (0..depth as u32).collect();
        let (mut compressing, mut decompressing) = (Vec::new(), Vec::new());
        for round in 0..3000_usize {
            // Now more one way, now more the other; sometimes all that there is.
            let count = (round * 7 % (depth + 1)).min(free.len());
            let slots: Vec<u32> = free.drain(..count).collect();
            for slot in &slots {
                let compresses = (round / 500 + *slot as usize).is_multiple_of(2);
                let session = if compresses { forward(Algorithm::Deflate) } else { inverse(Algorithm::Deflate) };
                queue.build(*slot, session, &STREAM, 10);
                if compresses { &mut compressing } else { &mut decompressing }.push(*slot);
            }
            assert_eq!(queue.submit(&slots).expect("the queue works"), slots.len());
            assert_eq!(device.compress.waiting(), compressing.len());
            assert_eq!(device.decompress.waiting(), decompressing.len());
            let mut expected = Vec::new();
            for slot in compressing.drain(..compressing.len() * (round % 3) / 2) {
                device.compress.end(Engine::Ok, false, 2, slot % 10);
                expected.push((slot, Outcome::ok(2, u64::from(slot % 10))));
            }
            for slot in decompressing.drain(..decompressing.len() * (round % 5) / 4) {
                device.decompress.end(Engine::StreamEnd, true, 1, slot % 10);
                expected.push((slot, Outcome::ok(1, u64::from(slot % 10))));
            }
            let mut answers = queue.poll().expect("the queue works");
            free.extend(answers.iter().map(|(slot, _)| *slot));
            answers.sort_by_key(|(slot, _)| *slot);
            expected.sort_by_key(|(slot, _)| *slot);
            assert_eq!(answers, expected, "round {round}");
        }
    }
}

#[test]
fn all_jobs_may_go_the_same_way() {
    let device = Device::new(8);
    for way in [forward(Algorithm::Deflate), inverse(Algorithm::Deflate)] {
        let mut queue = Queue::over(&device, 7);
        let slots: Vec<u32> = (0..7).collect();
        for slot in &slots {
            queue.build(*slot, way, &STREAM, 10);
        }
        assert_eq!(queue.submit(&slots).expect("the queue works"), 7);
        device.reset_all();
    }
}

#[test]
fn one_doorbell_for_a_batch_and_one_for_a_poll() {
    let device = Device::new(16);
    let mut queue = Queue::over(&device, 10);
    for slot in 0..9 {
        let session = if slot % 3 == 0 { inverse(Algorithm::Deflate) } else { forward(Algorithm::Deflate) };
        queue.build(slot, session, &STREAM, 10);
    }
    queue.submit(&(0..9).collect::<Vec<_>>()).expect("the queue works");
    assert_eq!(device.compress.doorbells(), [doorbell(0x2a, DoorbellCommand::Submission, 6)]);
    assert_eq!(device.decompress.doorbells(), [doorbell(0x2b, DoorbellCommand::Submission, 3)]);
    for _ in 0..5 {
        device.compress.end(Engine::Ok, false, 2, 2);
    }
    assert_eq!(queue.poll().expect("the queue works").len(), 5);
    assert_eq!(device.compress.doorbells(), [doorbell(0x2a, DoorbellCommand::Completion, 5)]);
    // Nothing is rung that has nothing to say.
    assert_eq!(queue.poll().expect("the queue works").len(), 0);
    assert_eq!(queue.submit(&[]).expect("the queue works"), 0);
    assert_eq!((device.compress.doorbells(), device.decompress.doorbells()), (vec![], vec![]));
}

#[test]
fn answers_that_do_not_fit_wait_and_neither_way_keeps_the_other_waiting() {
    let device = Device::new(1024);
    let mut queue = Queue::over(&device, 300);
    let slots: Vec<u32> = (0..300).collect();
    for slot in &slots {
        let session = if slot % 2 == 0 { inverse(Algorithm::Deflate) } else { forward(Algorithm::Deflate) };
        queue.build(*slot, session, &STREAM, 10);
    }
    queue.submit(&slots).expect("the queue works");
    for _ in 0..150 {
        device.compress.end(Engine::Ok, false, 2, 2);
        device.decompress.end(Engine::StreamEnd, true, 2, 0);
    }
    assert_eq!(queue.poll_room(0).expect("the queue works").len(), 0);
    let mut last = None;
    for _ in 0..300 {
        let answers = queue.poll_room(1).expect("the queue works");
        assert_eq!(answers.len(), 1);
        let way = answers[0].0 % 2;
        assert_ne!(last, Some(way), "in turn");
        last = Some(way);
    }
    assert_eq!(queue.poll_room(1).expect("the queue works").len(), 0);
    assert_eq!((device.compress.waiting(), device.decompress.waiting()), (0, 0));
}
