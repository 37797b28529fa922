//! From a completion to an outcome. Nothing in a completion is believed that the job or the specification contradicts.

use uaccel_queue::{DeviceError, Fault, FaultKind, Job, Operation, Outcome, Status, Token};
use uaccel_warp_abi::{Answer, Completion};

/// What the completion says about the job; [`InFlight::complete`](uaccel_queue::InFlight::complete) checks the lengths
/// against the job's.
#[inline(always)]
pub(super) fn outcome(completion: &Completion, job: &Job) -> Result<Outcome, DeviceError> {
    let token = Token::from_raw(completion.token);
    // The engine has no streams, so none of its statuses says that there is more.
    let Some(status) = Status::from_raw(completion.status).filter(|status| *status != Status::More) else {
        return Err(DeviceError::UnknownStatus { token, status: completion.status });
    };
    match (status, completion.answer) {
        (Status::Ok, Answer::Counts { consumed, produced }) => match job.operation {
            Operation::Crc32 | Operation::Crc32c => Ok(Outcome::ok(u64::from(consumed), 0).with_checksum(produced)),
            // These write all they were given room for, or fail.
            Operation::Copy | Operation::Fill if u64::from(produced) != job.destination_len as u64 => {
                Err(DeviceError::Malformed { token, what: "success and a part of the bytes" })
            }
            Operation::Encrypt | Operation::Decrypt if u64::from(produced) != job.source_len as u64 => {
                Err(DeviceError::Malformed { token, what: "success and another length of text" })
            }
            _ => Ok(Outcome::ok(u64::from(consumed), u64::from(produced))),
        },
        (Status::Partial, Answer::Counts { consumed, produced }) => {
            Ok(Outcome { consumed: u64::from(consumed), produced: u64::from(produced), ..Outcome::failed(status) })
        }
        (Status::OutputTooSmall, Answer::Counts { produced, .. }) => {
            Ok(Outcome { produced: u64::from(produced), ..Outcome::failed(status) })
        }
        (Status::Fault, Answer::ReadFault(address)) => Ok(Outcome::faulted(Fault { address, kind: FaultKind::Read })),
        (Status::Fault, Answer::WriteFault(address)) => Ok(Outcome::faulted(Fault { address, kind: FaultKind::Write })),
        (Status::Fault, Answer::Counts { .. }) => {
            Err(DeviceError::Malformed { token, what: "a fault without an address" })
        }
        (_, Answer::ReadFault(_) | Answer::WriteFault(_)) => {
            Err(DeviceError::Malformed { token, what: "an address where no access failed" })
        }
        // The counts of a failure mean nothing, and are not passed on.
        (_, Answer::Counts { .. }) => Ok(Outcome::failed(status)),
    }
}
