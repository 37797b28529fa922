//! What the device is told, to the byte.

use uaccel_hisi_abi::{Doorbell, DoorbellCommand};
use uaccel_queue::Algorithm;

use crate::device::Device;
use crate::part::Part;
use crate::queue::{LZ4, Queue, forward, inverse};

pub(crate) fn bytes(part: &Part, place: u16) -> Vec<u8> {
    part.words(place).iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// An entry as it is in memory, from `struct hisi_zip_sqe`.
pub(crate) fn expected(kind: u8, source: (u64, u32), destination: (u64, u32), tag: u32) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes[0x10..0x14].copy_from_slice(&source.1.to_le_bytes());
    // Type 3, new stream, finish.
    bytes[0x1f] = 0x3a;
    // Flat buffers, the largest window.
    bytes[0x24..0x26].copy_from_slice(&[kind, 0x40]);
    bytes[0x38..0x3c].copy_from_slice(&destination.1.to_le_bytes());
    bytes[0x48..0x50].copy_from_slice(&source.0.to_le_bytes());
    bytes[0x50..0x58].copy_from_slice(&destination.0.to_le_bytes());
    bytes[0x68..0x6c].copy_from_slice(&tag.to_le_bytes());
    bytes
}

#[test]
fn entries_to_the_byte() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 6);
    let gzip = [&[0x1f, 0x8b, 8, 0, 9, 9, 9, 9, 9, 9][..], &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let jobs = [
        (forward(Algorithm::Deflate), b"text".to_vec(), 100),
        (forward(Algorithm::Zlib), b"texts".to_vec(), 101),
        (forward(Algorithm::Gzip), b"a text".to_vec(), 102),
        (inverse(Algorithm::Deflate), vec![3, 0], 7),
        (inverse(Algorithm::Zlib), vec![0x78, 0x01, 3, 0, 0, 0, 0, 1], 8),
        (inverse(Algorithm::Gzip), gzip, 9),
    ];
    let tokens: Vec<_> = (0..)
        .zip(&jobs)
        .map(|(slot, (session, source, room))| queue.build(slot, *session, source, *room).raw())
        .collect();
    assert_eq!(queue.submit(&[0, 1, 2, 3, 4, 5]).expect("the queue works"), 6);
    // Header bytes: in front of what is written, and in front of what is read.
    let headers = [(0, 0), (0, 2), (0, 10), (0, 0), (2, 0), (10, 0)];
    for (at, (read, written)) in headers.into_iter().enumerate() {
        let (source, destination) = &queue.memory[at];
        let (part, kind) = (if at < 3 { &device.compress } else { &device.decompress }, at as u8 % 3 + 1);
        let source = (source.address() as u64 + u64::from(read), jobs[at].1.len() as u32 - read);
        let destination = (destination.address() as u64 + u64::from(written), jobs[at].2 as u32 - written);
        let entry = expected(kind, source, destination, tokens[at]);
        assert_eq!(bytes(part, at as u16 % 3), entry, "job {at}");
    }
    // One doorbell for each ring: its new tail.
    for (part, number) in [(&device.compress, 0x2a), (&device.decompress, 0x2b)] {
        let doorbell = Doorbell { queue: number, command: DoorbellCommand::Submission, index: 3, priority: 0 };
        assert_eq!(part.doorbells(), [doorbell]);
    }
    // What is in front is there before the device looks.
    assert_eq!(queue.memory[1].1.bytes()[..3], [0x78, 0x9c, 0xa5]);
    assert_eq!(queue.memory[2].1.bytes()[..11], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xa5]);
}

#[test]
fn what_the_device_left_in_an_entry_is_not_sent_again() {
    let device = Device::new(2);
    let mut queue = Queue::over(&device, 1);
    queue.send(0, forward(Algorithm::Deflate), b"text", 100);
    device.compress.end(uaccel_hisi_abi::zip::Status::Ok, false, 4, 6);
    assert_eq!(queue.poll().expect("the queue works").len(), 1);
    queue.send(0, forward(Algorithm::Deflate), b"text", 100);
    device.compress.end(uaccel_hisi_abi::zip::Status::Ok, false, 4, 6);
    assert_eq!(queue.poll().expect("the queue works").len(), 1);
    for word in [0, 1, 5, 6, 8, 11, 12, 14, 15] {
        device.compress.write(0, word, u64::MAX);
    }
    let token = queue.send(0, forward(Algorithm::Deflate), b"texts", 100);
    let (source, destination) = &queue.memory[0];
    let (source, destination) = ((source.address() as u64, 5), (destination.address() as u64, 100));
    assert_eq!(bytes(&device.compress, 0), expected(1, source, destination, token.raw()));
}

#[test]
fn an_entry_for_lz4() {
    let device = Device::new(8);
    let mut queue = Queue::with_lz4(&device, 1);
    let token = queue.send(0, LZ4, b"text", 100);
    let (source, destination) = &queue.memory[0];
    let (source, destination) = ((source.address() as u64, 4), (destination.address() as u64, 100));
    assert_eq!(bytes(&device.compress, 0), expected(4, source, destination, token.raw()));
}
