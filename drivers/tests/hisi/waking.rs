//! Signals.

use std::sync::atomic::Ordering;

use uaccel_hisi_abi::zip::Status as Engine;
use uaccel_hisi_abi::{Doorbell, DoorbellCommand};
use uaccel_queue::Algorithm;

use crate::device::Device;
use crate::queue::{Queue, forward};

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
