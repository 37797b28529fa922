//! What is to be done for a job.

use uaccel_hisi_abi::zip::{Entry, MAX_TRANSFER};
use uaccel_queue::{Direction, Job, JobFlags, Operation, Outcome, Status, Transport};

use super::format::Format;
use super::header;
use super::memory::{JobMemory, uncopied};

/// What jobs of a session have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) format: Format,
    pub(super) direction: Direction,
}

/// What the engine is to do for a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) direction: Direction,
    pub(super) entry: Entry,
    /// Bytes of the header in front of what the engine reads or writes.
    pub(super) header: u32,
}

/// What the engine is to do for a job, behind the header, which is written, or was read, by then; or how the job ends without it.
///
/// # Safety
/// The job was handed to `submit` and is not answered before this returns.
#[inline]
pub(super) unsafe fn task(sessions: &[Option<Session>], transport: &dyn Transport, job: &Job) -> Result<Task, Outcome> {
    let direction = match job.operation {
        Operation::Compress => Direction::Forward,
        Operation::Decompress => Direction::Inverse,
        Operation::Nop => return Err(Outcome::ok(0, 0)),
        _ => return Err(Outcome::failed(Status::Unsupported)),
    };
    // Neither was granted.
    if job.flags.intersects(JobFlags::CHAINED.union(JobFlags::SCATTER)) {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    let session = sessions.get(usize::from(job.session.0)).copied().flatten();
    let Some(Session { format, .. }) = session.filter(|session| session.direction == direction) else {
        return Err(Outcome::failed(Status::BadSession));
    };
    let length = |bytes: usize| u32::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_TRANSFER);
    let (Some(source_len), Some(room)) = (length(job.source_len), length(job.destination_len)) else {
        return Err(Outcome::failed(Status::InvalidJob));
    };
    let header = match (direction, format) {
        (Direction::Forward, Format::Deflate) if source_len != 0 && room != 0 => 0,
        (Direction::Inverse, Format::Deflate) if source_len != 0 => 0,
        _ => {
            // SAFETY: the caller's promise, and the device has not seen it.
            let memory = unsafe { JobMemory::new(job, transport) };
            match direction {
                Direction::Forward => begin(memory, format, room)?,
                Direction::Inverse => enter(memory, format)?,
            }
        }
    };
    let (source, destination) = (job.source.expose_provenance() as u64, job.destination.expose_provenance() as u64);
    let behind = u64::from(header);
    let entry = match direction {
        Direction::Forward => {
            Entry::whole(format.request(), source, source_len, destination.wrapping_add(behind), room - header)
        }
        Direction::Inverse => {
            Entry::whole(format.request(), source.wrapping_add(behind), source_len - header, destination, room)
        }
    };
    Ok(Task { direction, entry: Entry { tag: job.token.raw(), ..entry }, header })
}

/// Writes the header of a stream, behind which there is room then; or the whole stream, if it is one without a text.
#[inline]
fn begin(memory: JobMemory<'_>, format: Format, room: u32) -> Result<u32, Outcome> {
    let small = |produced: usize| Outcome { produced: produced as u64, ..Outcome::failed(Status::OutputTooSmall) };
    if memory.source_len() == 0 {
        let stream = format.empty();
        if (room as usize) < stream.len() {
            return Err(small(stream.len()));
        }
        memory.write(stream).map_err(uncopied)?;
        return Err(Outcome::ok(0, stream.len() as u64));
    }
    let header = format.header();
    if room as usize <= header.len() {
        return Err(small(0));
    }
    memory.write(header).map_err(uncopied)?;
    Ok(length(header.len()))
}

/// Reads the header of a stream, behind which there is something then.
#[inline]
fn enter(memory: JobMemory<'_>, format: Format) -> Result<u32, Outcome> {
    let header = match format {
        Format::Deflate => 0,
        Format::Zlib => header::zlib(memory)?,
        Format::Gzip => header::gzip(memory)?,
    };
    if header == memory.source_len() {
        return Err(Outcome::failed(Status::Truncated));
    }
    Ok(length(header))
}

#[allow(clippy::cast_possible_truncation, reason = "no longer than a job's memory, which is within the limit")]
fn length(header: usize) -> u32 {
    header as u32
}
