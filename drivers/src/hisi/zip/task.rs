//! What is to be done for a job.

use uaccel_hisi_abi::zip::{Buffers, Entry, MAX_TRANSFER, Request};
use uaccel_queue::{Direction, Job, JobFlags, Operation, Outcome, Status, Transport};

use super::format::Format;
use super::header;
use super::lists::Lists;
use super::memory::{JobMemory, uncopied};
use super::window::Window;

/// The most bytes a job reads, or writes.
pub(super) const LONGEST: usize = MAX_TRANSFER as usize;

/// What jobs of a session have in common.
// Aligned so that it is read as one word.
#[derive(Clone, Copy, Debug)]
#[repr(align(4))]
pub(super) struct Session {
    pub(super) format: Format,
    pub(super) direction: Direction,
    pub(super) window: Window,
}

/// What jobs have of which most have nothing.
pub(super) const SPECIAL: JobFlags = JobFlags::SCATTER.union(JobFlags::CHAINED).union(JobFlags::STREAM);

impl Session {
    /// That of a job.
    #[inline]
    pub(super) fn of(sessions: &[Option<Self>], job: &Job) -> Result<Self, Outcome> {
        let direction = match job.operation {
            Operation::Compress => Direction::Forward,
            Operation::Decompress => Direction::Inverse,
            Operation::Nop => return Err(Outcome::ok(0, 0)),
            _ => return Err(Outcome::failed(Status::Unsupported)),
        };
        let session = sessions.get(usize::from(job.session.0)).copied().flatten();
        session.filter(|session| session.direction == direction).ok_or(Outcome::failed(Status::BadSession))
    }
}

/// What the engine is to do for a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) direction: Direction,
    request: Request,
    window: Window,
    /// Bytes of the header in front of what the engine reads or writes.
    pub(super) header: u32,
}

impl Task {
    /// The entry of a job in one piece that was found to be this.
    #[inline]
    pub(super) fn entry(self, job: &Job) -> Entry {
        let (source, destination) = (job.source.expose_provenance() as u64, job.destination.expose_provenance() as u64);
        let (source_len, room, header) = (length(job.source_len), length(job.destination_len), self.header);
        let behind = |address: u64| address.wrapping_add(header.into());
        let entry = match self.direction {
            Direction::Forward => Entry::whole(self.request, source, source_len, behind(destination), room - header),
            Direction::Inverse => Entry::whole(self.request, behind(source), source_len - header, destination, room),
        };
        Entry { tag: job.token.raw(), window: self.window.code(), ..entry }
    }

    /// The entry of a job in pieces that was found to be this, of which the engine has lists at these addresses.
    ///
    /// # Safety
    /// The job was handed to `submit` and is not answered.
    #[cold]
    pub(super) unsafe fn listed_entry(self, job: &Job, (source, destination): (u64, u64)) -> Entry {
        // SAFETY: the caller's promise.
        let (source_len, room) = lengths(unsafe { job.extents() });
        let (source_skip, destination_skip) = match self.direction {
            Direction::Forward => (0, self.header),
            Direction::Inverse => (self.header, 0),
        };
        let (source_len, room) = (length(source_len) - source_skip, length(room) - destination_skip);
        let entry = Entry::whole(self.request, source, source_len, destination, room);
        let buffers = Buffers::Listed { source_skip, destination_skip };
        Entry { tag: job.token.raw(), window: self.window.code(), buffers, ..entry }
    }
}

/// What the engine is to do for a job, behind the header, which is written, or was read, by then; or how the job ends without it.
///
/// # Safety
/// The job was handed to `submit`, has nothing [special](SPECIAL), and is not answered before this returns.
#[inline]
pub(super) unsafe fn task(session: Session, transport: &dyn Transport, job: &Job) -> Result<Task, Outcome> {
    if job.source_len > LONGEST || job.destination_len > LONGEST {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    let (is_empty, has_room) = (job.source_len == 0, job.destination_len != 0);
    let Session { format, direction, window } = session;
    let header = match (direction, format) {
        (Direction::Forward, Format::Deflate | Format::Lz4) if !is_empty && has_room => 0,
        (Direction::Inverse, Format::Deflate) if !is_empty => 0,
        // SAFETY: the caller's promise, and the device has not seen it.
        _ => pass(session, unsafe { JobMemory::new(job, transport) })?,
    };
    Ok(Task { direction, request: format.request(), window, header })
}

/// The same for a job in pieces.
///
/// # Safety
/// As for [`task`], but that the job has [`JobFlags::SCATTER`].
#[cold]
pub(super) unsafe fn task_in_pieces(session: Session, transport: &dyn Transport, job: &Job) -> Result<Task, Outcome> {
    if job.source_len > Lists::MOST || job.destination_len > Lists::MOST {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    // SAFETY: the caller's promise.
    let (source_len, room) = lengths(unsafe { job.extents() });
    if source_len > LONGEST || room > LONGEST {
        return Err(Outcome::failed(Status::InvalidJob));
    }
    // SAFETY: the caller's promise, and the device has not seen it.
    let header = pass(session, unsafe { JobMemory::in_pieces(job, (source_len, room), transport) })?;
    Ok(Task { direction: session.direction, request: session.format.request(), window: session.window, header })
}

/// Gets over the header, and says how long it is.
#[inline(always)]
fn pass(session: Session, memory: JobMemory<'_>) -> Result<u32, Outcome> {
    let header = match session.direction {
        Direction::Forward => begin(memory, session),
        Direction::Inverse => enter(memory, session.format),
    };
    header.map(length)
}

/// Writes the header of a stream, behind which there is room then; or the whole stream, if it is one without a text.
#[inline(always)]
fn begin(memory: JobMemory<'_>, Session { format, window, .. }: Session) -> Result<usize, Outcome> {
    let header = format.header(window);
    if memory.source_len() == 0 {
        return Err(nothing(memory, header, format.empty()));
    }
    if memory.room() <= header.len() {
        return Err(Outcome::failed(Status::OutputTooSmall));
    }
    memory.write(0, header).map_err(uncopied)?;
    Ok(header.len())
}

/// Writes the stream of an empty text: its header, and what is behind that.
pub(super) fn nothing(memory: JobMemory<'_>, header: &[u8], rest: &[u8]) -> Outcome {
    let len = (header.len() + rest.len()) as u64;
    if (memory.room() as u64) < len {
        return Outcome { produced: len, ..Outcome::failed(Status::OutputTooSmall) };
    }
    match memory.write(0, header).and_then(|()| memory.write(header.len(), rest)) {
        Ok(()) => Outcome::ok(0, len),
        Err(error) => uncopied(error),
    }
}

/// Reads the header of a stream, behind which there is something then.
#[inline]
pub(super) fn enter(memory: JobMemory<'_>, format: Format) -> Result<usize, Outcome> {
    let header = match format {
        Format::Deflate | Format::Lz4 => 0,
        Format::Zlib => header::zlib(memory)?,
        Format::Gzip => header::gzip(memory)?,
    };
    if header == memory.source_len() {
        return Err(Outcome::failed(Status::Truncated));
    }
    Ok(header)
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "no longer than a job's memory, which is within the limit")]
pub(super) fn length(bytes: usize) -> u32 {
    bytes as u32
}

/// Sums of what this process has in memory, as it counts them.
fn lengths((source_len, room): (u64, u64)) -> (usize, usize) {
    let length = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
    (length(source_len), length(room))
}
