//! One job, done.

use uaccel_queue::{Job, JobFlags, Operation, Outcome, Status};
use uaccel_units::{Input, Scratch, Unit, plain};

use super::memory;
use super::sessions::Sessions;

/// Bytes by which a sealed text is longer than the plaintext.
const TAG: usize = 16;

/// Does a job.
///
/// # Safety
/// The job was handed to `submit` and is not answered yet.
#[inline]
pub(super) unsafe fn perform(sessions: &Sessions, scratch: &mut Scratch, job: &Job) -> Outcome {
    // Neither was granted.
    if job.flags.intersects(JobFlags::CHAINED.union(JobFlags::SCATTER)) {
        return Outcome::failed(Status::InvalidJob);
    }
    // SAFETY: the caller's promise is passed on.
    let outcome = unsafe {
        match job.operation {
            Operation::Nop => Some(Outcome::ok(0, 0)),
            Operation::Copy => memory::copy(job).then(|| Outcome::ok(job.source_len as u64, job.source_len as u64)),
            Operation::Fill => fill(job),
            Operation::Compare => compare(job),
            Operation::Crc32c => checksum(job, plain::crc32c),
            Operation::Crc32 => checksum(job, plain::crc32),
            operation => match sessions.get(job.session, operation) {
                Some(unit) => transform(unit, scratch, job),
                None => Some(Outcome::failed(Status::BadSession)),
            },
        }
    };
    outcome.unwrap_or(const { Outcome::failed(Status::InvalidJob) })
}

/// # Safety
/// As for [`perform`].
unsafe fn fill(job: &Job) -> Option<Outcome> {
    // SAFETY: the caller's promise; a fill reads nothing.
    let destination = unsafe { memory::destination(job, usize::MAX, [&[], &[]])? };
    plain::fill(job.pattern(), destination);
    Some(Outcome::ok(0, destination.len() as u64))
}

/// # Safety
/// As for [`perform`].
unsafe fn compare(job: &Job) -> Option<Outcome> {
    // SAFETY: the caller's promise; both are only read, so they may overlap.
    let (source, aux) = unsafe { (memory::source(job)?, memory::aux(job)?) };
    (source.len() == aux.len()).then(|| Outcome::ok(source.len() as u64, plain::compare(source, aux) as u64))
}

/// # Safety
/// As for [`perform`].
#[inline]
unsafe fn checksum(job: &Job, sum: impl Fn(u32, &[u8]) -> u32) -> Option<Outcome> {
    // SAFETY: the caller's promise.
    let source = unsafe { memory::source(job)? };
    Some(Outcome::ok(source.len() as u64, 0).with_checksum(sum(job.seed(), source)))
}

/// # Safety
/// As for [`perform`].
#[inline]
unsafe fn transform(unit: &Unit, scratch: &mut Scratch, job: &Job) -> Option<Outcome> {
    let aead = matches!(job.operation, Operation::Seal | Operation::Open);
    // SAFETY: the caller's promise; slices of the same job, and one of the destination, which is apart from the others.
    let (source, aux, destination) = unsafe {
        let source = memory::source(job)?;
        // What a job's slot holds in fields that the operation does not name is not of this job.
        let aux = if aead { memory::aux(job)? } else { &[] };
        // Where the length of the result is known, the rest of the room is left alone.
        let need = match job.operation {
            Operation::Seal => source.len() + TAG,
            Operation::Open => source.len().saturating_sub(TAG),
            Operation::Digest => unit.algorithm().digest_len().unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        (source, aux, memory::destination(job, need, [source, aux])?)
    };
    let nonce = if aead { job.nonce() } else { [0; 12] };
    Some(unit.run(scratch, &Input { source, aux, nonce }, destination))
}
