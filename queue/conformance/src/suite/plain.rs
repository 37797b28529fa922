//! Operations without a session.

use uaccel_queue::{JobFlags, Operation, Status};

use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::{noise, prose};
use crate::{Backend, oracle};

const CASTAGNOLI: u32 = 0x82f6_3b78;
const ISO_HDLC: u32 = 0xedb8_8320;
const LENGTHS: [usize; 12] = [1, 2, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097, 100_001];

/// `Nop` completes.
pub fn nop(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if rig.offers(Operation::Nop) {
        let reply = rig.run(Request::new(Operation::Nop));
        assert_eq!((reply.outcome.status, reply.outcome.consumed, reply.outcome.produced), (Status::Ok, 0, 0));
    }
}

/// `Copy` copies.
pub fn copy(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.offers(Operation::Copy) {
        return;
    }
    for len in LENGTHS {
        let source = noise(len as u64, len);
        for request in [Request::copy(&source), Request::copy(&source).unvouched()] {
            let reply = rig.run(request);
            if checked(&rig, &reply.outcome) {
                assert_eq!((reply.outcome.consumed, reply.output()), (len as u64, &*source));
            }
        }
    }
}

/// `Copy` to where the source is changes nothing.
pub fn copy_onto_itself(backend: &dyn Backend) {
    let mut bytes = noise(7, 5000);
    let mut rig = Rig::new(backend);
    if !rig.offers(Operation::Copy) {
        return;
    }
    let start = bytes.as_mut_ptr();
    let token = rig.submit_raw(|job| {
        job.operation = Operation::Copy;
        job.flags = JobFlags::VOUCHED;
        job.source = start;
        job.source_len = 5000;
        job.destination = start;
        job.destination_len = 5000;
    });
    rig.wait(token).expect(Status::Ok);
    drop(rig);
    assert_eq!(bytes, noise(7, 5000));
}

/// `Fill` repeats its pattern from the start, and cuts the last one.
pub fn fill(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.offers(Operation::Fill) {
        return;
    }
    let pattern = [1, 2, 3, 4, 5, 6, 7, 8];
    for len in LENGTHS {
        let reply = rig.run(Request::new(Operation::Fill).room(len).immediate(&pattern));
        if checked(&rig, &reply.outcome) {
            let expected: Vec<u8> = pattern.into_iter().cycle().take(len).collect();
            assert_eq!(reply.output(), expected);
        }
    }
}

/// `Compare` finds the first difference.
pub fn compare(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.offers(Operation::Compare) {
        return;
    }
    for len in LENGTHS {
        let source = noise(11, len);
        for difference in [0, len / 2, len - 1, len] {
            let mut aux = source.clone();
            if let Some(byte) = aux.get_mut(difference) {
                *byte ^= 0x10;
            }
            let reply = rig.run(Request::new(Operation::Compare).source(&source).aux(&aux));
            if checked(&rig, &reply.outcome) {
                reply.expect(Status::Ok);
                assert_eq!(reply.outcome.produced, difference as u64, "of {len} bytes");
            }
        }
    }
}

/// `Crc32` is gzip's.
pub fn crc32(backend: &dyn Backend) {
    checksum(backend, Operation::Crc32, ISO_HDLC, 0xcbf4_3926);
}

/// `Crc32c` is iSCSI's.
pub fn crc32c(backend: &dyn Backend) {
    checksum(backend, Operation::Crc32c, CASTAGNOLI, 0xe306_9283);
}

fn checksum(backend: &dyn Backend, operation: Operation, polynomial: u32, published: u32) {
    let mut rig = Rig::new(backend);
    if !rig.offers(operation) {
        return;
    }
    let reply = rig.run(Request::new(operation).source(b"123456789"));
    if checked(&rig, &reply.outcome) {
        assert_eq!((reply.outcome.checksum, reply.outcome.produced), (published, 0));
    }
    for len in LENGTHS {
        let source = prose(3, len);
        let reply = rig.run(Request::new(operation).source(&source));
        if checked(&rig, &reply.outcome) {
            assert_eq!(
                (reply.outcome.checksum, reply.outcome.consumed),
                (oracle::crc(polynomial, 0, &source), len as u64)
            );
        }
    }
}

/// A checksum goes on from the one it is given.
pub fn checksums_continue(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for (operation, polynomial) in [(Operation::Crc32, ISO_HDLC), (Operation::Crc32c, CASTAGNOLI)] {
        if !rig.offers(operation) {
            continue;
        }
        let source = noise(5, 3000);
        let (first, second) = source.split_at(1234);
        let seed = oracle::crc(polynomial, 0, first).to_le_bytes();
        let reply = rig.run(Request::new(operation).source(second).immediate(&seed));
        if checked(&rig, &reply.outcome) {
            assert_eq!(reply.outcome.checksum, oracle::crc(polynomial, 0, &source));
        }
    }
}

/// No address is too odd.
pub fn every_alignment(backend: &dyn Backend) {
    let source = noise(13, 400);
    let mut destination = vec![0; 400];
    let mut rig = Rig::new(backend);
    if !rig.offers(Operation::Copy) || !rig.granted.effective {
        return;
    }
    let (from, to) = (source.as_ptr(), destination.as_mut_ptr());
    for at in 0..64 {
        let token = rig.submit_raw(|job| {
            job.operation = Operation::Copy;
            job.flags = JobFlags::VOUCHED;
            job.source = from.wrapping_add(at);
            job.source_len = 257;
            job.destination = to.wrapping_add(63 - at);
            job.destination_len = 257;
        });
        rig.wait(token).expect(Status::Ok);
        // SAFETY: the job is answered; nobody else has the vector, and both ranges are inside.
        let same = unsafe {
            std::slice::from_raw_parts(to.add(63 - at), 257) == std::slice::from_raw_parts(from.add(at), 257)
        };
        assert!(same, "source at {at}");
    }
}
