//! A device that writes whatever it likes.

use proptest::prelude::*;
use uaccel_hisi_abi::QueueCompletion;
use uaccel_hisi_abi::zip::{Ended, Entry, Results};
use uaccel_queue::{Algorithm, DeviceError, Status};

use crate::device::Device;
use crate::queue::{Queue, forward};

#[test]
fn what_is_out_of_order_is_not_believed() {
    let changes: [fn(&mut QueueCompletion); 2] = [|c| c.entry += 1, |c| c.entry = u16::MAX];
    for change in changes {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 2);
        queue.send(0, forward(Algorithm::Deflate), b"text", 10);
        queue.send(1, forward(Algorithm::Deflate), b"text", 10);
        device.compress.claim(|entry, phase| {
            let mut completion = QueueCompletion { entry, queue: 0x2a, phase };
            change(&mut completion);
            completion
        });
        assert!(matches!(queue.poll(), Err(DeviceError::Malformed { .. })));
    }
}

#[test]
fn a_queue_may_be_called_by_another_number() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 2);
    queue.send(0, forward(Algorithm::Deflate), b"text", 10);
    device.compress.write(0, 0, 4 | 6 << 32);
    device.compress.claim(|entry, phase| QueueCompletion { entry, queue: 0x42a, phase });
    assert_eq!(queue.poll().expect("sound").len(), 1);
}

#[test]
fn another_jobs_tag_is_not_believed() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 2);
    queue.send(0, forward(Algorithm::Deflate), b"text", 10);
    let other = queue.send(1, forward(Algorithm::Deflate), b"text", 10);
    device.compress.write(0, Entry::TAG, u64::from(other.raw()));
    device.compress.claim(|entry, phase| QueueCompletion { entry, queue: 0x2a, phase });
    assert!(matches!(queue.poll(), Err(DeviceError::Malformed { .. })));
}

#[test]
fn nothing_is_answered_that_was_not_asked() {
    let device = Device::new(4);
    let mut queue = Queue::over(&device, 2);
    device.compress.claim(|entry, phase| QueueCompletion { entry, queue: 0x2a, phase });
    assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(_))));
    // Nor twice: the entry of a job that was answered, a round later.
    let device = Device::new(4);
    let mut queue = Queue::over(&device, 2);
    for _ in 0..4 {
        queue.send(0, forward(Algorithm::Deflate), b"text", 10);
        device.compress.answer(Results { consumed: 4, produced: 6, ended: Ended::decode(0) });
        assert_eq!(queue.poll().expect("sound").len(), 1);
    }
    device.compress.claim(|entry, phase| QueueCompletion { entry, queue: 0x2a, phase });
    assert!(matches!(queue.poll(), Err(DeviceError::UnknownToken(_))));
}

/// What the device does: words of an entry, then a completion.
#[derive(Clone, Debug)]
struct Write {
    place: u16,
    words: Vec<(usize, u64)>,
    completion: (i8, u16, bool),
}

/// Mostly near what would be right.
fn write() -> impl Strategy<Value = Write> {
    let word = prop_oneof![4 => (0..2_usize, prop_oneof![Just(4 | 6 << 32), Just(0_u64), any::<u64>()]), 1 => (0..Entry::WORDS, any::<u64>())];
    let completion = (
        prop_oneof![8 => Just(0_i8), 1 => any::<i8>()],
        prop_oneof![8 => Just(0x2a_u16), 1 => any::<u16>()],
        prop_oneof![8 => Just(true), 1 => any::<bool>()],
    );
    (0..8_u16, prop::collection::vec(word, 0..3), completion).prop_map(|(place, words, completion)| Write {
        place,
        words,
        completion,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// No panic; no job is answered that was not in flight, or twice; and an error is the end.
    #[test]
    fn nothing_is_believed(jobs in 1..8_usize, writes in prop::collection::vec(write(), 1..20)) {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 7);
        let mut waiting: Vec<u32> = (0..jobs as u32).collect();
        for slot in &waiting {
            queue.build(*slot, forward(Algorithm::Zlib), b"text", 100);
        }
        queue.submit(&waiting.clone()).expect("the queue works");
        for Write { place, words, completion: (off, number, right) } in writes {
            for (word, value) in words {
                device.compress.write(place, word, value);
            }
            device.compress.claim(|entry, phase| QueueCompletion {
                entry: entry.wrapping_add_signed(i16::from(off)),
                queue: number,
                phase: phase == right,
            });
            device.compress.skip();
            let Ok(answers) = queue.poll() else { break };
            for (slot, outcome) in answers {
                let at = waiting.iter().position(|waiting| *waiting == slot);
                prop_assert!(at.is_some(), "slot {slot} was not in flight");
                waiting.swap_remove(at.unwrap_or(0));
                let possible = outcome.consumed == 4 && outcome.produced <= 100;
                prop_assert!(outcome.status != Status::Ok || possible, "{outcome:?}");
            }
        }
    }
}
