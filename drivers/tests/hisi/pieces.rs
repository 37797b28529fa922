//! Jobs in pieces: the lists that the engine is given.

use std::ptr;

use uaccel_hisi_abi::zip::{Buffers, ListEntry, ListHead, Status as Engine};
use uaccel_queue::{Algorithm, JobFlags, Outcome, Segment, SessionId, Status};

use crate::device::Device;
use crate::queue::{Buffer, Queue, forward, inverse};

fn bytes(address: u64, len: usize) -> Vec<u8> {
    // SAFETY: a list of a job in flight, which nobody writes.
    unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(address as usize), len) }.to_vec()
}

/// Sends a job of these lists, which outlive it.
fn send(queue: &mut Queue, slot: u32, session: SessionId, source: &[Segment], destination: &[Segment]) {
    queue.build_with(slot, session, b"", 0, |job| {
        job.flags |= JobFlags::SCATTER;
        (job.source, job.source_len) = (source.as_ptr().cast(), source.len());
        (job.destination, job.destination_len) = (destination.as_ptr().cast_mut().cast(), destination.len());
    });
    assert_eq!(queue.submit(&[slot]).expect("the queue works"), 1);
}

fn segment(buffer: &Buffer, at: usize, len: u64) -> Segment {
    Segment { address: buffer.address().wrapping_add(at).expose_provenance() as u64, len }
}

#[test]
fn lists_to_the_byte() {
    let device = Device::new(8);
    let (text, room) = (Buffer::new(b"some text"), Buffer::new(&[0xa5; 64]));
    let source = [segment(&text, 0, 4), segment(&text, 4, 0), segment(&text, 4, 5)];
    // The header of gzip does not fit into the first piece, nor into the second.
    let destination = [segment(&room, 0, 3), segment(&room, 10, 5), segment(&room, 20, 30)];
    let mut queue = Queue::over(&device, 1);
    send(&mut queue, 0, forward(Algorithm::Gzip), &source, &destination);
    let entry = device.compress.entry(0);
    assert_eq!(entry.buffers, Buffers::Listed { source_skip: 0, destination_skip: 10 });
    assert_eq!((entry.source_len, entry.destination_len), (9, 28));
    let word = |words: &mut Vec<u8>, value: u64| words.extend(value.to_le_bytes());
    for (list, pieces) in [(entry.source, vec![source[0], source[2]]), (entry.destination, destination.to_vec())] {
        assert_eq!(list % 64, 0);
        let mut expected = Vec::new();
        // Next list, and three counts of 16 bits; the rest of the head is the host's.
        word(&mut expected, 0);
        word(&mut expected, pieces.len() as u64 | (pieces.len() as u64) << 16 | 255 << 32);
        expected.resize(64, 0);
        for piece in &pieces {
            word(&mut expected, piece.address);
            word(&mut expected, 0);
            word(&mut expected, piece.len);
            word(&mut expected, 0);
        }
        assert_eq!(bytes(list, expected.len()), expected);
    }
    let written = room.bytes();
    let header = [&written[..3], &written[10..15], &written[20..22]].concat();
    assert_eq!(header, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(written.iter().filter(|byte| **byte != 0xa5).count(), 10);
    device.compress.end(Engine::Ok, false, 9, 20);
    assert_eq!(queue.outcome(), Outcome::ok(9, 30));
}

#[test]
fn long_lists_are_chained() {
    let device = Device::new(8);
    let text = Buffer::new(&[7; 600]);
    let source: Vec<_> = (0..600).map(|at| segment(&text, at, 1)).collect();
    let room = [segment(&text, 0, 100)];
    let mut queue = Queue::over(&device, 2);
    send(&mut queue, 0, forward(Algorithm::Deflate), &source, &room);
    // The lists of another slot are others.
    send(&mut queue, 1, forward(Algorithm::Deflate), &source[..1], &room);
    let mut list = device.compress.entry(0).source;
    let mut found = Vec::new();
    for entries in [255, 255, 90] {
        let head = ListHead::decode(&bytes(list, ListHead::SIZE).try_into().expect("a head"));
        assert_eq!((head.chain, head.entries, head.room), (600, entries, 255));
        for entry in 0..usize::from(entries) {
            let at = list + (ListHead::SIZE + entry * ListEntry::SIZE) as u64;
            found.push(ListEntry::decode(&bytes(at, ListEntry::SIZE).try_into().expect("an entry")));
        }
        list = head.next;
    }
    assert_eq!(list, 0, "no more than three");
    assert!(found.iter().zip(&source).all(|(entry, piece)| (entry.address, entry.len) == (piece.address, 1)));
}

#[test]
fn a_header_in_pieces_is_read_and_left_out() {
    let device = Device::new(8);
    let stream = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], b"a name\0", &[3, 0]].concat();
    let (stream, room) = (Buffer::new(&stream), Buffer::new(&[0; 8]));
    let source: Vec<_> = (0..19).map(|at| segment(&stream, at, 1)).collect();
    let mut queue = Queue::over(&device, 1);
    send(&mut queue, 0, inverse(Algorithm::Gzip), &source, &[segment(&room, 0, 8)]);
    let entry = device.decompress.entry(0);
    assert_eq!(entry.buffers, Buffers::Listed { source_skip: 17, destination_skip: 0 });
    assert_eq!((entry.source_len, entry.destination_len), (2, 8));
    // Lengths are those of all pieces, and so are limits.
    device.decompress.end(Engine::StreamEnd, true, 2, 9);
    assert!(queue.poll().is_err(), "more than there was room");
}

#[test]
fn pieces_that_cannot_be() {
    let device = Device::new(8);
    let text = Buffer::new(b"text");
    let piece = segment(&text, 0, 4);
    let mut queue = Queue::over(&device, 1);
    let many = vec![Segment { len: 0, ..piece }; 255 * 255 + 1];
    let long = [Segment { len: 8 << 20, ..piece }, Segment { len: 1, ..piece }];
    let wide = [Segment { len: u64::MAX, ..piece }, Segment { len: 5, ..piece }];
    for list in [&many[..], &long, &wide] {
        for (source, destination) in [(list, &[piece][..]), (&[piece][..], list)] {
            send(&mut queue, 0, forward(Algorithm::Deflate), source, destination);
            assert_eq!(queue.outcome(), Outcome::failed(Status::InvalidJob));
        }
    }
    // No piece at all is nothing.
    send(&mut queue, 0, inverse(Algorithm::Zlib), &[], &[piece]);
    assert_eq!(queue.outcome(), Outcome::failed(Status::Truncated));
    send(&mut queue, 0, forward(Algorithm::Deflate), &[piece], &[]);
    assert_eq!(queue.outcome(), Outcome::failed(Status::OutputTooSmall));
    assert!(device.compress.doorbells().is_empty() && device.decompress.doorbells().is_empty());
}
