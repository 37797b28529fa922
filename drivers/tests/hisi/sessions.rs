//! Sessions, and jobs that break a rule.

use uaccel_queue::{Algorithm, Direction, JobFlags, Operation, Outcome, SessionError, SessionId, SessionSpec, Status};

use crate::device::Device;
use crate::queue::{FORMATS, Queue, forward, inverse};

#[test]
fn levels_are_taken() {
    let mut queue = Queue::over(&Device::new(8), 1);
    for format in FORMATS {
        for level in [Some(0), Some(9), None] {
            let spec = SessionSpec::compression(format, Direction::Forward, level).expect("a level");
            queue.submitter.open_session(SessionId(20), &spec).expect("offered");
            queue.submitter.close_session(SessionId(20));
        }
    }
}

#[test]
fn sessions_that_cannot_be() {
    let mut queue = Queue::over(&Device::new(8), 1);
    let spec = |algorithm| SessionSpec::compression(algorithm, Direction::Forward, None).expect("a session");
    for algorithm in [Algorithm::Lz4Block, Algorithm::Zstd] {
        let refused = queue.submitter.open_session(SessionId(20), &spec(algorithm));
        assert!(matches!(refused, Err(SessionError::Unsupported { .. })), "{refused:?}");
    }
    let last = queue.granted.sessions;
    let refused = queue.submitter.open_session(SessionId(last), &spec(Algorithm::Zlib));
    assert!(matches!(refused, Err(SessionError::OutOfRange(SessionId(id))) if id == last), "{refused:?}");
    queue.submitter.open_session(SessionId(last - 1), &spec(Algorithm::Zlib)).expect("the last");
    queue.submitter.close_session(SessionId(last));
}

#[test]
fn jobs_that_break_a_rule_end_without_the_engine() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    let mut ended = |session, change: &dyn Fn(&mut uaccel_queue::Job)| {
        queue.build_with(0, session, b"text", 100, change);
        queue.submit(&[0]).expect("the queue works");
        queue.outcome()
    };
    let failed = Outcome::failed;
    let (compress, decompress) = (forward(Algorithm::Deflate), inverse(Algorithm::Deflate));
    assert_eq!(ended(SessionId(900), &|_| {}), failed(Status::BadSession));
    assert_eq!(ended(SessionId(u16::MAX), &|_| {}), failed(Status::BadSession));
    assert_eq!(ended(compress, &|job| job.operation = Operation::Decompress), failed(Status::BadSession));
    assert_eq!(ended(decompress, &|job| job.operation = Operation::Compress), failed(Status::BadSession));
    assert_eq!(ended(compress, &|job| job.operation = Operation::Copy), failed(Status::Unsupported));
    assert_eq!(ended(compress, &|job| job.operation = Operation::Nop), Outcome::ok(0, 0));
    assert_eq!(ended(compress, &|job| job.flags |= JobFlags::CHAINED), failed(Status::InvalidJob));
    for len in [(8 << 20) + 1, (1 << 32) + 4, usize::MAX] {
        assert_eq!(ended(compress, &|job| job.source_len = len), failed(Status::InvalidJob));
        assert_eq!(ended(decompress, &|job| job.destination_len = len), failed(Status::InvalidJob));
    }
    assert!(device.compress.doorbells().is_empty() && device.decompress.doorbells().is_empty());
}

#[test]
fn the_longest_job() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    queue.build_with(0, forward(Algorithm::Gzip), b"text", 100, |job| {
        (job.source_len, job.destination_len) = (8 << 20, 8 << 20);
    });
    queue.submit(&[0]).expect("the queue works");
    let entry = device.compress.entry(0);
    assert_eq!((entry.source_len, entry.destination_len), (8 << 20, (8 << 20) - 10));
}

#[test]
fn a_closed_session_is_closed() {
    let mut queue = Queue::over(&Device::honest(8), 1);
    assert_eq!(queue.run(forward(Algorithm::Zlib), b"text", 100).0.status, Status::Ok);
    queue.submitter.close_session(forward(Algorithm::Zlib));
    assert_eq!(queue.run(forward(Algorithm::Zlib), b"text", 100).0, Outcome::failed(Status::BadSession));
}
