//! What is to be done for a job.

use uaccel_hisi_abi::zip::{Buffers, Entry, MAX_TRANSFER, Request};
use uaccel_queue::{Direction, Job, JobFlags, Operation, Outcome, Segment, Status, Transport};

use super::format::Format;
use super::header;
use super::lists::Lists;
use super::memory::{JobMemory, uncopied};

/// The most bytes a job reads, or writes.
const LONGEST: u64 = MAX_TRANSFER as u64;

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
    request: Request,
    /// Bytes of the header in front of what the engine reads or writes.
    pub(super) header: u32,
    /// Bytes of the source and the destination.
    extents: (u32, u32),
}

impl Task {
    /// The entry of a job in one piece that was found to be this.
    #[inline]
    pub(super) fn entry(self, job: &Job) -> Entry {
        let (source, destination) = (job.source.expose_provenance() as u64, job.destination.expose_provenance() as u64);
        let behind = |address: u64| address.wrapping_add(self.header.into());
        let entry = match self.direction {
            Direction::Forward => self.rest(source, behind(destination)),
            Direction::Inverse => self.rest(behind(source), destination),
        };
        Entry { tag: job.token.raw(), ..entry }
    }

    /// The entry of a job in pieces, of which the engine has lists at these addresses.
    #[cold]
    pub(super) fn listed_entry(self, job: &Job, (source, destination): (u64, u64)) -> Entry {
        let (source_skip, destination_skip) = match self.direction {
            Direction::Forward => (0, self.header),
            Direction::Inverse => (self.header, 0),
        };
        let buffers = Buffers::Listed { source_skip, destination_skip };
        Entry { tag: job.token.raw(), buffers, ..self.rest(source, destination) }
    }

    /// An entry for all that is not header.
    #[inline]
    fn rest(self, source: u64, destination: u64) -> Entry {
        let (source_len, room) = self.extents;
        match self.direction {
            Direction::Forward => Entry::whole(self.request, source, source_len, destination, room - self.header),
            Direction::Inverse => Entry::whole(self.request, source, source_len - self.header, destination, room),
        }
    }
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
    // It was not granted.
    if job.flags.contains(JobFlags::CHAINED) {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    let session = sessions.get(usize::from(job.session.0)).copied().flatten();
    let Some(Session { format, .. }) = session.filter(|session| session.direction == direction) else {
        return Err(Outcome::failed(Status::BadSession));
    };
    let is_listed = job.flags.contains(JobFlags::SCATTER);
    if is_listed && (job.source_len > Lists::MOST || job.destination_len > Lists::MOST) {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    // SAFETY: the caller's promise.
    let (source_len, room) = unsafe { job.extents() };
    if source_len > LONGEST || room > LONGEST {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    let header = match (direction, format) {
        (Direction::Forward, Format::Deflate | Format::Lz4) if source_len != 0 && room != 0 => 0,
        (Direction::Inverse, Format::Deflate) if source_len != 0 => 0,
        _ => {
            let whole = |address: usize, len: u64| [Segment { address: address as u64, len }];
            let whole =
                (whole(job.source.expose_provenance(), source_len), whole(job.destination.expose_provenance(), room));
            let pieces = if is_listed {
                // SAFETY: the caller's promise.
                unsafe { (job.source_pieces(), job.destination_pieces()) }
            } else {
                (&whole.0[..], &whole.1[..])
            };
            let extents = (length(source_len) as usize, length(room) as usize);
            let is_vouched = job.flags.contains(JobFlags::VOUCHED);
            // SAFETY: the caller's promise, and the device has not seen it.
            let memory = unsafe { JobMemory::new(pieces, extents, is_vouched, transport) };
            match direction {
                Direction::Forward => begin(memory, format)?,
                Direction::Inverse => enter(memory, format)?,
            }
        }
    };
    Ok(Task { direction, request: format.request(), header, extents: (length(source_len), length(room)) })
}

/// Writes the header of a stream, behind which there is room then; or the whole stream, if it is one without a text.
#[inline]
fn begin(memory: JobMemory<'_>, format: Format) -> Result<u32, Outcome> {
    let small = |produced: usize| Outcome { produced: produced as u64, ..Outcome::failed(Status::OutputTooSmall) };
    if memory.source_len() == 0 {
        let stream = format.empty();
        if memory.room() < stream.len() {
            return Err(small(stream.len()));
        }
        memory.write(stream).map_err(uncopied)?;
        return Err(Outcome::ok(0, stream.len() as u64));
    }
    let header = format.header();
    if memory.room() <= header.len() {
        return Err(small(0));
    }
    memory.write(header).map_err(uncopied)?;
    Ok(length(header.len() as u64))
}

/// Reads the header of a stream, behind which there is something then.
#[inline]
fn enter(memory: JobMemory<'_>, format: Format) -> Result<u32, Outcome> {
    let header = match format {
        Format::Deflate | Format::Lz4 => 0,
        Format::Zlib => header::zlib(memory)?,
        Format::Gzip => header::gzip(memory)?,
    };
    if header == memory.source_len() {
        return Err(Outcome::failed(Status::Truncated));
    }
    Ok(length(header as u64))
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "no longer than a job's memory, which is within the limit")]
fn length(bytes: u64) -> u32 {
    bytes as u32
}
