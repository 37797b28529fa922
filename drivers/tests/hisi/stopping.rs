//! The kernel's stop words.

use uaccel_hisi_abi::StopWords;
use uaccel_hisi_abi::zip::Status as Engine;
use uaccel_queue::{Algorithm, DeviceError};

use crate::device::Device;
use crate::queue::{Queue, forward, inverse};

const TRANSMIT: StopWords = StopWords { transmit: true, receive: false };
const BOTH: StopWords = StopWords { transmit: true, receive: true };

#[test]
fn nothing_is_submitted_after_the_transmit_stop_word() {
    for stops in [0, 1] {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 3);
        queue.send(0, forward(Algorithm::Deflate), b"text", 10);
        queue.send(1, inverse(Algorithm::Deflate), b"text", 10);
        [&device.compress, &device.decompress][stops].set_stop(TRANSMIT);
        device.compress.doorbells();
        queue.build(2, forward(Algorithm::Deflate), b"text", 10);
        let token = queue.cells.in_flight().count();
        assert!(matches!(queue.submit(&[2]), Err(DeviceError::Stopped(_))));
        assert_eq!(queue.cells.in_flight().count(), token, "the job is not in flight");
        assert!(device.compress.doorbells().is_empty());
        // What was submitted before is still answered.
        assert_eq!(queue.poll().expect("nothing yet").len(), 0);
        device.compress.end(Engine::Ok, false, 4, 6);
        assert_eq!(queue.poll().expect("an answer").len(), 1);
    }
}

#[test]
fn answers_from_before_the_receive_stop_word_are_taken() {
    for stops in [0, 1] {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 4);
        for slot in 0..2 {
            queue.send(slot, forward(Algorithm::Deflate), b"text", 10);
            queue.send(2 + slot, inverse(Algorithm::Deflate), b"text", 10);
        }
        device.compress.end(Engine::Ok, false, 4, 6);
        device.decompress.end(Engine::StreamEnd, true, 4, 6);
        [&device.compress, &device.decompress][stops].set_stop(BOTH);
        assert_eq!(queue.poll_room(0).expect("nobody asked").len(), 0);
        assert_eq!(queue.poll_room(1).expect("an answer").len(), 1);
        assert_eq!(queue.poll().expect("another one").len(), 1);
        assert!(matches!(queue.poll(), Err(DeviceError::Stopped(_))));
        assert!(matches!(queue.poll(), Err(DeviceError::Stopped(_))), "and stays so");
    }
}

#[test]
fn a_stopped_queue_that_was_reset_is_as_new() {
    let device = Device::new(4);
    let mut queue = Queue::over(&device, 3);
    queue.send(0, forward(Algorithm::Deflate), b"text", 10);
    device.compress.set_stop(BOTH);
    assert!(queue.poll().is_err());
    device.reset_all();
    let mut queue = Queue::over(&device, 3);
    for _ in 0..10 {
        queue.send(0, forward(Algorithm::Deflate), b"text", 10);
        device.compress.end(Engine::Ok, false, 4, 6);
        assert_eq!(queue.poll().expect("the queue works").len(), 1);
    }
}
