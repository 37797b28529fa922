//! Lengths at and beyond the limits, and memory that is not of the job.

use std::ptr;

use uaccel_queue::{Algorithm, Direction, Family, JobFlags, Operation, SessionId, SessionSpec, Status};

use crate::Backend;
use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::{noise, prose};

/// A length of zero is a length; its pointer may be null.
pub fn zero_lengths(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for operation in [Operation::Copy, Operation::Fill, Operation::Compare, Operation::Crc32, Operation::Crc32c] {
        if !rig.offers(operation) {
            continue;
        }
        let reply = rig.run(Request::new(operation));
        reply.expect(Status::Ok);
        assert_eq!((reply.outcome.consumed, reply.outcome.produced, reply.outcome.checksum), (0, 0, 0), "{operation}");
        let token = rig.submit_raw(|job| {
            job.operation = operation;
            (job.source, job.source_len) = (ptr::null(), 0);
            (job.destination, job.destination_len) = (ptr::null_mut(), 0);
            (job.aux, job.aux_len) = (ptr::null(), 0);
            job.immediate = [0; 16];
        });
        rig.wait(token).expect(Status::Ok);
    }
    for algorithm in rig.algorithms(Family::Compression) {
        let spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("the default level");
        let session = rig.session(&spec);
        let reply = rig.run(Request::new(Operation::Compress).session(session).room(100));
        if checked(&rig, &reply.outcome) {
            assert_eq!(crate::oracle::decompress(algorithm, reply.output()), b"", "{algorithm}");
        }
    }
}

/// Room that is not needed is not touched by operations whose output has one length only. (That nothing *outside* of
/// the room is touched, every test checks.)
pub fn nothing_beyond_the_room(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    if rig.algorithms(Family::Digest).contains(&Algorithm::Sha256) {
        let session = rig.session(&SessionSpec::digest(Algorithm::Sha256, &[]).expect("no key"));
        let untouched = rig.run(Request::new(Operation::Nop).room(100)).room;
        let reply = rig.run(Request::new(Operation::Digest).session(session).source(b"abc").room(100));
        assert_eq!(reply.outcome.produced, 32);
        assert_eq!(reply.room[32..], untouched[32..]);
    }
}

/// A room that is said to hold uninitialised bytes is written like any other.
pub fn uninitialised_rooms(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let source = prose(1, 3000);
    if rig.offers(Operation::Copy) {
        let reply = rig.run(Request::copy(&source).flag(JobFlags::UNINIT_DESTINATION));
        if checked(&rig, &reply.outcome) {
            assert_eq!(reply.output(), source);
        } else {
            assert_eq!(reply.outcome.produced, 0, "what was not written was not produced");
        }
    }
    for algorithm in rig.algorithms(Family::Compression) {
        let spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("the default level");
        let session = rig.session(&spec);
        let request = Request::new(Operation::Compress).session(session).source(&source).room(4000);
        let reply = rig.run(request.flag(JobFlags::UNINIT_DESTINATION));
        if checked(&rig, &reply.outcome) {
            assert_eq!(crate::oracle::decompress(algorithm, reply.output()), source, "{algorithm}");
        }
    }
}

/// Fields that an operation does not name hold what an earlier job left, and are not looked at.
pub fn leftovers_are_not_read(backend: &dyn Backend) {
    let source = noise(1, 64);
    let mut destination = vec![0; 64];
    let mut rig = Rig::new(backend);
    let (from, to) = (source.as_ptr(), destination.as_mut_ptr());
    let wild = ptr::without_provenance_mut::<u8>(0xdead_beef_f000);
    for operation in
        [Operation::Nop, Operation::Copy, Operation::Fill, Operation::Compare, Operation::Crc32, Operation::Crc32c]
    {
        if !rig.offers(operation) {
            continue;
        }
        let (reads, writes, aux) = match operation {
            Operation::Nop => (false, false, false),
            Operation::Copy => (true, true, false),
            Operation::Fill => (false, true, false),
            Operation::Compare => (true, false, true),
            _ => (true, false, false),
        };
        let token = rig.submit_raw(|job| {
            job.operation = operation;
            job.flags = JobFlags::VOUCHED;
            job.session = SessionId(u16::MAX);
            (job.source, job.source_len) = if reads { (from, 64) } else { (wild.cast_const(), usize::MAX) };
            (job.destination, job.destination_len) = if writes { (to, 64) } else { (wild, usize::MAX) };
            (job.aux, job.aux_len) = if aux { (from, 64) } else { (wild.cast_const(), usize::MAX) };
            job.immediate = [0x77; 16];
        });
        rig.wait(token).expect(Status::Ok);
    }
    // Of those with a session, only the ciphers have a second source.
    if rig.algorithms(Family::Digest).contains(&Algorithm::Sha256) {
        let session = rig.session(&SessionSpec::digest(Algorithm::Sha256, &[]).expect("no key"));
        let token = rig.submit_raw(|job| {
            job.operation = Operation::Digest;
            job.flags = JobFlags::VOUCHED;
            job.session = session;
            (job.source, job.source_len) = (from, 64);
            (job.destination, job.destination_len) = (to, 64);
            (job.aux, job.aux_len) = (wild, usize::MAX);
            job.immediate = [0x77; 16];
        });
        rig.wait(token).expect(Status::Ok);
    }
}

/// Lengths that do not belong together, and flags that were not granted, end the job, not the queue.
pub fn impossible_lengths_are_refused(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if !rig.granted.effective {
        return;
    }
    let bytes = noise(1, 100);
    let mut requests = Vec::new();
    if rig.offers(Operation::Copy) {
        requests.push(Request::copy(&bytes).room(99));
        requests.push(Request::copy(&bytes).room(101));
    }
    if rig.offers(Operation::Compare) {
        requests.push(Request::new(Operation::Compare).source(&bytes).aux(&bytes[1..]));
    }
    if !rig.granted.scatter && rig.offers(Operation::Crc32c) {
        requests.push(Request::new(Operation::Crc32c).source(&bytes).flag(JobFlags::SCATTER));
    }
    for request in requests {
        rig.run(request.clone()).expect(Status::InvalidJob);
    }
}

/// A job beyond the granted length is refused, whole.
pub fn jobs_beyond_the_limit_are_refused(backend: &dyn Backend) {
    let bytes = [1; 64];
    let mut rig = Rig::new(backend);
    let limit = rig.granted.max_transfer;
    let Some(beyond) = limit.checked_add(1).and_then(|len| usize::try_from(len).ok()) else { return };
    if !rig.granted.effective || !rig.offers(Operation::Crc32c) {
        return;
    }
    // A length that would be 5 if it was cut to the register it goes to.
    for len in [beyond, (1 << 32) + 5, usize::MAX] {
        if (len as u64) <= limit {
            continue;
        }
        let token = rig.submit_raw(|job| {
            job.operation = Operation::Crc32c;
            job.flags = JobFlags::empty();
            (job.source, job.source_len) = (bytes.as_ptr(), len);
            job.immediate = [0; 16];
        });
        rig.wait(token).expect(Status::InvalidJob);
    }
}
