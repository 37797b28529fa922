//! Signals.

use std::sync::atomic::Ordering;

use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Status as Engine};
use uaccel_hisi_abi::{Doorbell, DoorbellCommand};
use uaccel_queue::Algorithm;

use crate::device::Device;
use crate::part::Nature;
use crate::queue::{Queue, forward, inverse};

#[test]
fn arming_says_how_far_answers_were_taken() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 2);
    let armed = |queue, index| Doorbell { queue, command: DoorbellCommand::Completion, index, priority: 1 };
    queue.completer.arm();
    assert_eq!(device.compress.doorbells(), [armed(0x2a, 0)]);
    assert_eq!(device.decompress.doorbells(), [armed(0x2b, 0)]);
    queue.send(0, forward(Algorithm::Deflate), b"text", 10);
    queue.send(1, forward(Algorithm::Deflate), b"text", 10);
    device.compress.end(Engine::Ok, false, 4, 6);
    device.compress.end(Engine::Ok, false, 4, 6);
    queue.poll_room(1).expect("the queue works");
    device.compress.doorbells();
    queue.completer.arm();
    assert_eq!(device.compress.doorbells(), [armed(0x2a, 1)]);
    assert_eq!(device.decompress.doorbells(), [armed(0x2b, 0)]);
}

#[test]
fn an_answer_of_the_drivers_own_wakes_a_sleeper_once() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 4);
    let signals = || device.signals.load(Ordering::Relaxed);
    queue.send(0, forward(Algorithm::Gzip), b"", 40);
    assert_eq!(signals(), 0, "nobody sleeps");
    queue.completer.arm();
    queue.send(1, forward(Algorithm::Gzip), b"text", 40);
    assert_eq!(signals(), 0, "the device answers this one");
    queue.send(2, forward(Algorithm::Gzip), b"", 40);
    assert_eq!(signals(), 1);
    queue.send(3, forward(Algorithm::Gzip), b"", 40);
    assert_eq!(signals(), 1, "not again without being asked");
    assert_eq!(queue.poll().expect("the queue works").len(), 3);
}

#[test]
fn the_kernel_does_not_lose_sight_of_completions_that_were_taken_without_it() {
    for (places, completions, depth) in [(8, 8, 1), (8, 8, 4), (8, 8, 7), (1024, 6, 3), (1024, 1024, 300)] {
        let device = Device::with([COMPRESS, DECOMPRESS].map(|kind| Nature::new(kind, places, completions)));
        let mut queue = Queue::over(&device, depth);
        let slots: Vec<u32> = (0..depth as u32).collect();
        for round in 0..6000 / depth {
            // Now all that there can be, now fewer, and seldom the other way.
            let slots = &slots[..1 + round * 5 % depth];
            let (session, part) = if round % 7 == 6 {
                (inverse(Algorithm::Deflate), &device.decompress)
            } else {
                (forward(Algorithm::Deflate), &device.compress)
            };
            for slot in slots {
                queue.build(*slot, session, &[3, 0], 10);
            }
            queue.submit(slots).expect("the queue works");
            for _ in slots {
                part.end(Engine::StreamEnd, true, 2, 0);
                assert!(part.shows(), "depth {depth}, round {round}");
            }
            assert_eq!(queue.poll().expect("the queue works").len(), slots.len());
        }
    }
}

#[test]
fn who_sleeps_while_the_kernel_is_made_to_look_is_woken() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 7);
    queue.send(0, forward(Algorithm::Deflate), b"text", 10);
    queue.completer.arm();
    // The sleeper's own answer, whose signal is taken by what follows.
    device.compress.end(Engine::Ok, false, 4, 6);
    assert!(device.compress.shows());
    queue.send(1, forward(Algorithm::Deflate), b"text", 10);
    assert!(!device.compress.shows());
    assert_eq!(device.signals.load(Ordering::Relaxed), 1);
    // Who has not come to see that signal by then sees the next one.
    queue.send(2, forward(Algorithm::Deflate), b"text", 10);
    assert_eq!(device.signals.load(Ordering::Relaxed), 2);
}
