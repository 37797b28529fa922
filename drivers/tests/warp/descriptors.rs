//! What stands in ring memory for each operation, byte by byte.

use std::ptr;

use uaccel_queue::{Job, JobFlags, Operation, SessionId};
use uaccel_warp_abi::Descriptor;

use crate::fake::Queue;

/// Submits one job and returns the bytes of its line. Every field holds something, needed or not.
fn line(build: impl FnOnce(&mut Job)) -> [u8; 64] {
    let mut queue = Queue::new(16);
    let token = queue.send(5, |job| {
        job.session = SessionId(3);
        job.source = ptr::without_provenance(0x1111_2222_3333_4444);
        job.source_len = 0x1000;
        job.destination = ptr::without_provenance_mut(0x5555_6666_7777_8888);
        job.destination_len = 0x2000;
        job.aux = ptr::without_provenance(0x9999_aaaa_bbbb_cccc);
        job.aux_len = 0x30;
        job.immediate = *b"0123456789abcdef";
        build(job);
    });
    assert_eq!(token.raw(), 0x8000_1005, "slot 5, generation 1");
    let mut bytes = [0; 64];
    for (place, word) in bytes.chunks_exact_mut(8).zip(queue.words(0)) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn with(operation: Operation) -> [u8; 64] {
    line(|job| job.operation = operation)
}

const SOURCE: [u8; 8] = [0x44, 0x44, 0x33, 0x33, 0x22, 0x22, 0x11, 0x11];
const DESTINATION: [u8; 8] = [0x88, 0x88, 0x77, 0x77, 0x66, 0x66, 0x55, 0x55];
const AUX: [u8; 8] = [0xcc, 0xcc, 0xbb, 0xbb, 0xaa, 0xaa, 0x99, 0x99];
const NONE: [u8; 8] = [0; 8];
const IN: [u8; 4] = [0, 0x10, 0, 0];
const OUT: [u8; 4] = [0, 0x20, 0, 0];
const ZERO: [u8; 4] = [0; 4];

/// A line from its fields, in the order of their addresses.
#[allow(clippy::too_many_arguments, reason = "a descriptor has as many fields")]
fn fields(
    source: [u8; 8],
    destination: [u8; 8],
    source_len: [u8; 4],
    destination_len: [u8; 4],
    aux: [u8; 8],
    aux_len: [u8; 4],
    operand_high: [u8; 4],
    operand_low: [u8; 8],
    control: [u8; 8],
) -> [u8; 64] {
    let parts: [&[u8]; 10] = [
        &source,
        &destination,
        &source_len,
        &destination_len,
        &aux,
        &aux_len,
        &operand_high,
        &NONE,
        &operand_low,
        &control,
    ];
    parts.concat().try_into().expect("64 bytes")
}

/// Token 0x8000_1005, an opcode, no flags, a session, phase 1.
fn control(opcode: u8, session: u8) -> [u8; 8] {
    [0x05, 0x10, 0, 0x80, opcode, 0, session, 0x80]
}

#[test]
fn nop() {
    assert_eq!(with(Operation::Nop), fields(NONE, NONE, ZERO, ZERO, NONE, ZERO, ZERO, NONE, control(0, 0)));
}

#[test]
fn copy() {
    assert_eq!(with(Operation::Copy), fields(SOURCE, DESTINATION, IN, OUT, NONE, ZERO, ZERO, NONE, control(1, 0)));
}

#[test]
fn fill() {
    assert_eq!(
        with(Operation::Fill),
        fields(NONE, DESTINATION, ZERO, OUT, NONE, ZERO, ZERO, *b"01234567", control(2, 0))
    );
}

#[test]
fn compare() {
    assert_eq!(
        with(Operation::Compare),
        fields(SOURCE, NONE, IN, ZERO, AUX, [0x30, 0, 0, 0], ZERO, NONE, control(3, 0))
    );
}

#[test]
fn checksums() {
    for (operation, opcode) in [(Operation::Crc32c, 4), (Operation::Crc32, 5)] {
        let expected = fields(SOURCE, NONE, IN, ZERO, NONE, ZERO, ZERO, *b"0123\0\0\0\0", control(opcode, 0));
        assert_eq!(with(operation), expected);
    }
}

#[test]
fn transformations() {
    for (operation, opcode) in [(Operation::Compress, 0x10), (Operation::Decompress, 0x11), (Operation::Digest, 0x14)] {
        let expected = fields(SOURCE, DESTINATION, IN, OUT, NONE, ZERO, ZERO, NONE, control(opcode, 3));
        assert_eq!(with(operation), expected);
    }
}

#[test]
fn ciphers() {
    for (operation, opcode) in [(Operation::Seal, 0x12), (Operation::Open, 0x13)] {
        let expected =
            fields(SOURCE, DESTINATION, IN, OUT, AUX, [0x30, 0, 0, 0], *b"89ab", *b"01234567", control(opcode, 3));
        assert_eq!(with(operation), expected);
    }
}

#[test]
fn ciphers_with_an_iv_of_sixteen_bytes() {
    for (operation, opcode) in [(Operation::Encrypt, 0x15), (Operation::Decrypt, 0x16)] {
        let expected = fields(SOURCE, DESTINATION, IN, OUT, NONE, *b"cdef", *b"89ab", *b"01234567", control(opcode, 3));
        assert_eq!(with(operation), expected);
    }
}

#[test]
fn flags() {
    let bytes = line(|job| {
        job.operation = Operation::Nop;
        job.flags = JobFlags::VOUCHED | JobFlags::UNINIT_DESTINATION | JobFlags::CHAINED;
    });
    assert_eq!(bytes[56..], [0x05, 0x10, 0, 0x80, 0, 0b111, 0, 0x80]);
}

#[test]
fn what_cannot_be_said_is_sent_to_be_refused() {
    let refused = Descriptor::refused(0x8000_1005).encode(true)[7].to_le_bytes();
    assert_eq!(refused, [0x05, 0x10, 0, 0x80, 0, 0x40, 0, 0x80]);
    let lines = [
        line(|job| (job.operation, job.source_len) = (Operation::Crc32c, (1 << 20) + 1)),
        line(|job| (job.operation, job.destination_len) = (Operation::Fill, (1 << 32) + 1)),
        line(|job| (job.operation, job.aux_len) = (Operation::Seal, usize::MAX)),
        line(|job| (job.operation, job.flags) = (Operation::Copy, JobFlags::SCATTER)),
    ];
    for line in lines {
        assert_eq!(line[56..], refused);
        assert_eq!(line[..56], [0; 56], "nothing of the job is said");
    }
    // A length that the operation does not use does not matter.
    assert_eq!(line(|job| (job.operation, job.aux_len) = (Operation::Copy, usize::MAX))[60], 1);
}
