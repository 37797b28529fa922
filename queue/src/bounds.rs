//! What an outcome may claim of a job, whatever device it comes from.

use crate::{ByOperation, DeviceError, Job, JobFlags, Operation, Outcome, Status};

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

const BOUNDS: ByOperation<Bounds> = {
    use Operation::{Compare, Compress, Copy, Crc32, Crc32c, Decompress, Decrypt, Digest, Encrypt, Fill, Open, Seal};

    const ALL: u64 = u64::MAX;
    let none = Bounds { consumed: 0, produced_of_source: 0, produced_of_destination: 0 };
    ByOperation::all(none)
        .with(&[Compare], Bounds { consumed: ALL, produced_of_source: ALL, ..none })
        .with(&[Crc32, Crc32c], Bounds { consumed: ALL, ..none })
        .with(&[Fill], Bounds { produced_of_destination: ALL, ..none })
        .with(
            &[Copy, Compress, Decompress, Seal, Open, Digest, Encrypt, Decrypt],
            Bounds { consumed: ALL, produced_of_destination: ALL, ..none },
        )
};

impl Bounds {
    /// The most that may be consumed and produced of a job in one piece.
    #[inline]
    fn of(job: &Job) -> (u64, u64) {
        let bounds = BOUNDS.get(job.operation);
        let (source, destination) = (job.source_len as u64, job.destination_len as u64);
        let produced = source & bounds.produced_of_source | destination & bounds.produced_of_destination;
        (source & bounds.consumed, produced)
    }
}

/// Whether an outcome is plainly one that a job in one piece can have.
#[inline]
pub(crate) fn hold(job: &Job, outcome: &Outcome) -> bool {
    let (consumed, produced) = Bounds::of(job);
    !job.flags.contains(JobFlags::SCATTER)
        & (outcome.status as u8 != Status::More as u8)
        & (outcome.consumed <= consumed)
        & (outcome.produced <= produced)
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

/// As [`check`], for what is not plain.
#[cold]
fn look_closer(job: &Job, status: Status, consumed: u64, produced: u64) -> Result<(), DeviceError> {
    let fits = match status {
        // `produced` is then the room that would be needed.
        Status::OutputTooSmall => true,
        _ if job.flags.contains(JobFlags::SCATTER) => fits_pieces(job, consumed, produced),
        _ => {
            let most = Bounds::of(job);
            consumed <= most.0 && produced <= most.1
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

/// Whether a job in pieces offers as many bytes as that.
fn fits_pieces(job: &Job, consumed: u64, produced: u64) -> bool {
    if consumed == 0 && produced == 0 {
        // Nor are the lists looked at of a job that should have had none.
        return true;
    }
    // SAFETY: a job in flight. One whose queue was not granted pieces was refused, without bytes.
    let (source, destination) = unsafe { job.extents() };
    consumed <= source && produced <= destination
}
