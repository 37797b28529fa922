//! One job, done.

use uaccel_queue::{Job, JobFlags, Operation, Outcome, Status};
use uaccel_units::{Input, Scratch, Unit, plain};

use super::memory;
use super::sessions::Sessions;

/// What becomes of a job that breaks the rules of its operation.
const INVALID: Outcome = Outcome::failed(Status::InvalidJob);

/// Bytes by which a sealed text is longer than the plaintext.
const TAG: usize = 16;

/// Does a job.
///
/// # Safety
/// The job was handed to `submit` or `perform`, and is not answered yet.
// Built into the loop over a batch; a single job calls it, and its outcome is written where it stays.
#[inline(always)]
pub(super) unsafe fn perform(sessions: &Sessions, scratch: &mut Scratch, job: &Job) -> Outcome {
    // Neither was granted.
    if job.flags.intersects(JobFlags::CHAINED.union(JobFlags::SCATTER)) {
        return INVALID;
    }
    // SAFETY: the caller's promise is passed on.
    unsafe {
        match job.operation {
            Operation::Nop => Outcome::ok(0, 0),
            Operation::Copy if memory::copy(job) => Outcome::ok(job.source_len as u64, job.source_len as u64),
            Operation::Copy => INVALID,
            Operation::Fill => fill(job),
            Operation::Compare => compare(job),
            Operation::Crc32c => checksum(job, plain::crc32c),
            Operation::Crc32 => checksum(job, plain::crc32),
            operation => match sessions.get(job.session, operation) {
                Some(unit) => transform(unit, scratch, job),
                None => Outcome::failed(Status::BadSession),
            },
        }
    }
}

/// Does a job that is in no batch.
///
/// # Safety
/// As for [`perform`].
#[inline(never)]
pub(super) unsafe fn perform_alone(sessions: &Sessions, scratch: &mut Scratch, job: &Job) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe { perform(sessions, scratch, job) }
}

/// # Safety
/// As for [`perform`].
unsafe fn fill(job: &Job) -> Outcome {
    // SAFETY: the caller's promise; a fill reads nothing.
    let Some(destination) = (unsafe { memory::destination(job, usize::MAX, [&[], &[]]) }) else { return INVALID };
    plain::fill(job.pattern(), destination);
    Outcome::ok(0, destination.len() as u64)
}

/// # Safety
/// As for [`perform`].
unsafe fn compare(job: &Job) -> Outcome {
    // SAFETY: the caller's promise; both are only read, so they may overlap.
    match unsafe { (memory::source(job), memory::aux(job)) } {
        (Some(source), Some(aux)) if source.len() == aux.len() => {
            Outcome::ok(source.len() as u64, plain::compare(source, aux) as u64)
        }
        _ => INVALID,
    }
}

/// # Safety
/// As for [`perform`].
#[inline]
unsafe fn checksum(job: &Job, sum: impl Fn(u32, &[u8]) -> u32) -> Outcome {
    // SAFETY: the caller's promise.
    let Some(source) = (unsafe { memory::source(job) }) else { return INVALID };
    Outcome::ok(source.len() as u64, 0).with_checksum(sum(job.seed(), source))
}

/// # Safety
/// As for [`perform`].
#[inline]
unsafe fn transform(unit: &Unit, scratch: &mut Scratch, job: &Job) -> Outcome {
    let is_cipher = matches!(job.operation, Operation::Encrypt | Operation::Decrypt);
    // SAFETY: the caller's promise; no other slice is made of this job then.
    if is_cipher && let Some(text) = unsafe { memory::in_place(job) } {
        return unit.run_in_place(text, job.iv());
    }
    // SAFETY: the caller's promise.
    let Some(source) = (unsafe { memory::source(job) }) else { return INVALID };
    // What a job's slot holds in fields that the operation does not name is not of this job.
    let (aux, immediate) = match job.operation {
        // SAFETY: as above, for a job that names a second source.
        Operation::Seal | Operation::Open => (unsafe { memory::aux(job) }, job.immediate),
        Operation::Encrypt | Operation::Decrypt => (Some(&[][..]), job.iv()),
        _ => (Some(&[][..]), [0; 16]),
    };
    let Some(aux) = aux else { return INVALID };
    // Where the length of the result is known, the rest of the room is left alone.
    let need = match job.operation {
        Operation::Seal => source.len() + TAG,
        Operation::Open => source.len().saturating_sub(TAG),
        Operation::Encrypt | Operation::Decrypt => source.len(),
        Operation::Digest => unit.algorithm().digest_len().unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    // SAFETY: as above; both slices are of this job, and this is the only one of the destination, apart from them.
    let Some(destination) = (unsafe { memory::destination(job, need, [source, aux]) }) else { return INVALID };
    unit.run(scratch, &Input { source, aux, immediate }, destination)
}
