//! Sessions with a window on the CPU: they are granted, and kept to.

use std::sync::Arc;

use uaccel_drivers::local::LocalBus;
use uaccel_drivers::software::{self, SoftwareDriver};
use uaccel_queue::{
    Algorithm, Bus, Cells, Direction, Driver, Job, JobFlags, Operation, QueueRequest, SessionId, SessionSpec, Status,
    Token,
};

#[test]
fn software_keeps_to_every_window_that_an_algorithm_has() {
    let transport = LocalBus.open(software::DEVICE).expect("it is there");
    let mut open =
        SoftwareDriver.open(transport, Arc::new(Cells::new(4)), &QueueRequest::new(4)).expect("queues are to be had");
    // The same eight KiB without structure twice.
    let half: Vec<u8> =
        (0..8_192_u32).map(|n| (n.wrapping_add(1).wrapping_mul(0x9E37_79B9) ^ (n * n)).to_be_bytes()[1]).collect();
    let text = half.repeat(2);
    for window in [512, 4_096, 16_384, 32_768] {
        let spec = SessionSpec::compression(Algorithm::Zlib, Direction::Forward, None).expect("valid");
        let spec = spec.with_window(window).expect("valid");
        assert!(open.granted.offers(&spec));
        open.submitter.open_session(SessionId(0), &spec).expect("granted");
        let mut room = vec![0; 20_000];
        let mut job = Job::nop(Token::first(0));
        (job.operation, job.flags) = (Operation::Compress, JobFlags::VOUCHED);
        (job.source, job.source_len) = (text.as_ptr(), text.len());
        (job.destination, job.destination_len) = (room.as_mut_ptr(), room.len());
        // SAFETY: the memory is there, and nobody else uses it.
        let outcome = unsafe { open.submitter.perform(&job) }.expect("at once");
        assert_eq!(outcome.status, Status::Ok);
        // What comes again is found where the window reaches it, and the header tells of the window (RFC 1950, 2.2).
        assert_eq!(outcome.produced < 12_000, window > 8_192, "{window}: {}", outcome.produced);
        assert_eq!(256 << (room[0] >> 4), window);
        open.submitter.close_session(SessionId(0));
    }
}
