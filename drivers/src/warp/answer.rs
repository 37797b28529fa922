//! From a completion to an outcome. Nothing in a completion is believed that the job or the specification contradicts.

use uaccel_queue::{ByOperation, DeviceError, Fault, FaultKind, Job, Operation, Outcome, Status, Token};
use uaccel_warp_abi::{Answer, Completion};

/// What success has to say of a job, by its operation. Masks, as in [`request`](super::request): nearly every answer comes this way.
#[derive(Clone, Copy)]
struct Success {
    /// The bits of `produced` that are a checksum.
    checksum: u64,
    /// The bits of `produced` that must be the source's length: all of the text was turned into as many bytes.
    whole_source: u64,
    /// The bits of `produced` that must be the destination's length: all of it was written.
    whole_destination: u64,
}

const SUCCESS: ByOperation<Success> = {
    use Operation::{Copy, Crc32, Crc32c, Decrypt, Encrypt, Fill};

    const ALL: u64 = u64::MAX;
    let any = Success { checksum: 0, whole_source: 0, whole_destination: 0 };
    ByOperation::all(any)
        .with(&[Crc32, Crc32c], Success { checksum: ALL, ..any })
        .with(&[Copy, Fill], Success { whole_destination: ALL, ..any })
        .with(&[Encrypt, Decrypt], Success { whole_source: ALL, ..any })
};

/// The outcome that a completion with this result and control word tells of, if it is a success that the job can have. [`outcome`] is for everything else.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "the halves of a word")]
pub(super) fn success(result: u64, control: u64, job: &Job) -> Option<Outcome> {
    let success = SUCCESS.get(job.operation);
    let (consumed, produced) = (u64::from(result as u32), result >> 32);
    let whole = job.source_len as u64 & success.whole_source | job.destination_len as u64 & success.whole_destination;
    let differs = (produced ^ whole) & (success.whole_source | success.whole_destination);
    (Completion::is_success(control) & (differs == 0)).then(|| {
        Outcome::ok(consumed, produced & !success.checksum).with_checksum((produced & success.checksum) as u32)
    })
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uaccel_warp_abi::Descriptor;

    use super::*;

    fn numbers() -> impl Strategy<Value = u32> {
        // So that lengths meet counts.
        prop_oneof![0..4_u32, Just(u32::MAX), any::<u32>()]
    }

    proptest! {
        /// The short way makes the very outcomes of the long one, of answers and jobs of every kind, and never one that the long way refuses.
        #[test]
        fn success_is_what_the_long_way_makes_of_it(
            operation in prop::sample::select(Operation::ALL.to_vec()),
            source in numbers(),
            destination in numbers(),
            result in (numbers(), numbers()),
            status in prop_oneof![4 => Just(0_u8), 1 => any::<u8>()],
            flags in prop_oneof![4 => Just(0_u64), 1 => 0..0x80_u64],
            phase: bool,
        ) {
            let token = Token::first(3);
            let mut job = Job::nop(token);
            job.operation = operation;
            (job.source_len, job.destination_len) = (source as usize, destination as usize);
            let result = u64::from(result.0) | u64::from(result.1) << 32;
            let phase = if phase { Descriptor::PHASE } else { 0 };
            let control = u64::from(token.raw()) | u64::from(status) << 32 | flags << 40 | phase;
            let long = outcome(&Completion::decode(result, control), &job).ok();
            let long = long.filter(|outcome| outcome.status == Status::Ok);
            prop_assert_eq!(success(result, control, &job), long);
        }
    }
}
