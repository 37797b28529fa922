//! From what the engine wrote into an entry to an outcome.

use uaccel_hisi_abi::zip::{Ended, Results, Status as Engine};
use uaccel_queue::{Direction, Outcome, Status};

/// What the results say about a job that is none of a stream, that has so many bytes to read and so much room, and a header. [`InFlight::complete`](uaccel_queue::InFlight::complete) checks the lengths against the job's.
#[inline]
pub(super) fn outcome(results: Results, direction: Direction, (source_len, room): (u64, u64), header: u32) -> Outcome {
    let Results { consumed, produced, ended: Ended { status, last_block } } = results;
    let (consumed, produced, header) = (u64::from(consumed), u64::from(produced), u64::from(header));
    let (good, ends) = match Engine::from_raw(status) {
        Some(Engine::Ok | Engine::Grown) => (true, false),
        Some(Engine::StreamEnd) => (true, last_block),
        _ => (false, false),
    };
    match direction {
        // All of the source is in the stream, or something is missing from it.
        Direction::Forward if good && consumed == source_len => Outcome::ok(consumed, header + produced),
        Direction::Inverse if ends => Outcome::ok(header + consumed, produced),
        // The engine has got as far as it could, and that was not the end: there was no more room, or no more stream.
        Direction::Inverse if good && produced == room => Outcome::failed(Status::OutputTooSmall),
        Direction::Inverse if good => Outcome::failed(Status::Truncated),
        _ => Outcome::failed(failure(Engine::from_raw(status))),
    }
}

/// What a failure is called. Its counts mean nothing: how much room would have done is not told, nor which address it was.
#[cold]
pub(super) fn failure(status: Option<Engine>) -> Status {
    match status {
        Some(Engine::NoSpace) => Status::OutputTooSmall,
        Some(Engine::Corrupt) => Status::Corrupt,
        Some(Engine::Translation) => Status::Fault,
        Some(Engine::Truncated) => Status::Truncated,
        // Good, but not for this job; an entry that the driver should not have made; or a number that nobody knows.
        _ => Status::DeviceError,
    }
}
