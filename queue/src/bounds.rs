//! What an outcome may claim of a job, whatever device it comes from.

use crate::{DeviceError, Job, JobFlags, Operation, Outcome, Status};

/// Which of a job's lengths bound what its outcome counts, each as the bits that are kept of it. Masks, because this is on the way of every job, and what is
/// masked needs no jump by the operation.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// `consumed` is at most the source's.
    consumed: u64,
    /// `produced` is at most the source's, or the destination's.
    produced_of_source: u64,
    produced_of_destination: u64,
}

impl Bounds {
    const fn of(operation: Operation) -> Self {
        const ALL: u64 = u64::MAX;
        let none = Self { consumed: 0, produced_of_source: 0, produced_of_destination: 0 };
        match operation {
            Operation::Nop => none,
            Operation::Compare => Self { consumed: ALL, produced_of_source: ALL, ..none },
            Operation::Crc32 | Operation::Crc32c => Self { consumed: ALL, ..none },
            Operation::Fill => Self { produced_of_destination: ALL, ..none },
            Operation::Copy
            | Operation::Compress
            | Operation::Decompress
            | Operation::Seal
            | Operation::Open
            | Operation::Digest
            | Operation::Encrypt
            | Operation::Decrypt => Self { consumed: ALL, produced_of_destination: ALL, ..none },
        }
    }
}

/// By the number of the operation.
const BOUNDS: [Bounds; 32] = {
    let mut bounds = [Bounds::of(Operation::Nop); 32];
    let mut at = 0;
    while at < Operation::ALL.len() {
        let operation = Operation::ALL[at];
        bounds[operation as usize] = Bounds::of(operation);
        at += 1;
    }
    bounds
};

/// Whether an outcome is plainly one that a job in one piece can have.
#[inline]
pub(crate) fn hold(job: &Job, outcome: &Outcome) -> bool {
    let bounds = &BOUNDS[job.operation as usize % BOUNDS.len()];
    let (source, destination) = (job.source_len as u64, job.destination_len as u64);
    !job.flags.contains(JobFlags::SCATTER)
        & (outcome.status as u8 != Status::More as u8)
        & (outcome.consumed <= source & bounds.consumed)
        & (outcome.produced <= source & bounds.produced_of_source | destination & bounds.produced_of_destination)
}

/// Checks that a device used no more of a job's memory than it was given, and expects more only of a stream.
///
/// # Errors
/// [`DeviceError::Overrun`], [`DeviceError::Malformed`].
#[inline]
pub(crate) fn check(job: &Job, outcome: &Outcome) -> Result<(), DeviceError> {
    // Numbers, not the outcome: it is in registers up to here.
    if hold(job, outcome) { Ok(()) } else { look_closer(job, outcome.status, outcome.consumed, outcome.produced) }
}

/// The same for what is not plain.
#[cold]
fn look_closer(job: &Job, status: Status, consumed: u64, produced: u64) -> Result<(), DeviceError> {
    let fits = match status {
        // `produced` is then the room that would be needed.
        Status::OutputTooSmall => true,
        _ if job.flags.contains(JobFlags::SCATTER) => fits_pieces(job, consumed, produced),
        _ => {
            let bounds = &BOUNDS[job.operation as usize % BOUNDS.len()];
            let (source, destination) = (job.source_len as u64, job.destination_len as u64);
            consumed <= source & bounds.consumed
                && produced <= source & bounds.produced_of_source | destination & bounds.produced_of_destination
        }
    };
    if !fits {
        return Err(DeviceError::Overrun { token: job.token, consumed, produced });
    }
    if status == Status::More && !job.flags.contains(JobFlags::STREAM) {
        return Err(DeviceError::Malformed { token: job.token, what: "more to come, though it is none of a stream" });
    }
    Ok(())
}

/// The same for a job in pieces.
fn fits_pieces(job: &Job, consumed: u64, produced: u64) -> bool {
    if consumed == 0 && produced == 0 {
        // Nor are the lists looked at of a job that should have had none.
        return true;
    }
    // SAFETY: a job in flight. One whose queue was not granted pieces was refused, without bytes.
    let (source, destination) = unsafe { job.extents() };
    consumed <= source && produced <= destination
}
