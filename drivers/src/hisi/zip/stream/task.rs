//! What is to be done for a job of a stream.

use uaccel_hisi_abi::zip::{Carried, Entry, Flow};
use uaccel_queue::stream::ROOM;
use uaccel_queue::{Direction, Job, JobFlags, Outcome, Status, Transport};

use super::super::memory::{JobMemory, uncopied};
use super::super::task::{LONGEST, Session, enter, length, nothing};
use super::end::End;
use super::portion::Portion;
use super::state::{Place, Stage, State};

/// The entry of a job of a stream, and how many bytes of a header are in front of what it reads or writes; or how the job ends without the engine. The header is written, or was read, by then.
///
/// # Safety
/// The job has [`JobFlags::STREAM`], was handed to `submit`, and is not answered before this returns.
#[cold]
pub(in crate::hisi::zip) unsafe fn task(
    session: Session,
    transport: &dyn Transport,
    job: &Job,
) -> Result<(Entry, u32), Outcome> {
    let invalid = Outcome::failed(Status::InvalidJob);
    let lengths = job.source_len <= LONGEST && (ROOM..=LONGEST).contains(&job.destination_len);
    let plain = !job.flags.intersects(JobFlags::SCATTER | JobFlags::CHAINED);
    if !plain || !lengths || !session.format.has_streams() {
        return Err(invalid);
    }
    // SAFETY: the caller's promise; the device has not seen it.
    let place = unsafe { Place::of(job) }.ok_or(invalid)?;
    let state = if job.flags.contains(JobFlags::FIRST) { State::FRESH } else { place.load().ok_or(invalid)? };
    let begins = match state.stage {
        Stage::Fresh => true,
        Stage::Going => false,
        Stage::Over => return Err(invalid),
    };
    // SAFETY: the same.
    let memory = unsafe { JobMemory::new(job, transport) };
    let carried = state.carried;
    let (header, portion) = match session.direction {
        Direction::Forward if job.source_len == 0 => {
            return Err(without_text(session, job, place, begins, carried, memory));
        }
        Direction::Forward => {
            let header = if begins { session.format.header(session.window) } else { &[] };
            memory.write(0, header).map_err(uncopied)?;
            (header.len(), Portion::of(job, header.len()))
        }
        Direction::Inverse => {
            let header =
                if begins { enter(memory, session.format).map_err(|outcome| wait(job, place, outcome))? } else { 0 };
            // Whether it was to be the end the engine is not told (UADK does not either): it says where the stream ends.
            (header, Portion { len: job.source_len - header, finish: false })
        }
    };
    let (source, destination) = (job.source.expose_provenance() as u64, job.destination.expose_provenance() as u64);
    let (header, len, room) = (length(header), length(portion.len), length(job.destination_len));
    let behind = |address: u64| address.wrapping_add(header.into());
    let entry = match session.direction {
        Direction::Forward => Entry::whole(session.format.request(), source, len, behind(destination), room - header),
        // A source without bytes has an address all the same (UADK: `zip_mem_map`).
        Direction::Inverse if len == 0 => Entry::whole(session.format.request(), destination, 0, destination, room),
        Direction::Inverse => Entry::whole(session.format.request(), behind(source), len, destination, room),
    };
    let Carried { context_words, running_len, checksum } = carried;
    let entry = Entry {
        window: session.window.code(),
        flow: Flow { finish: portion.finish, stateful: true, new_stream: begins },
        context: place.context(),
        context_words,
        running_len,
        checksum,
        tag: job.token.raw(),
        ..entry
    };
    Ok((entry, header))
}

/// How a compressing job ends that has nothing to compress.
fn without_text(
    session: Session,
    job: &Job,
    place: Place,
    begins: bool,
    carried: Carried,
    memory: JobMemory<'_>,
) -> Outcome {
    if !job.flags.contains(JobFlags::LAST) {
        if begins {
            place.store(State::FRESH);
        }
        return Outcome { status: Status::More, ..Outcome::ok(0, 0) };
    }
    // There is room for either.
    let outcome = if begins {
        nothing(memory, session.format.header(session.window), session.format.empty())
    } else {
        nothing(memory, &[], End::of(session.format, carried).bytes())
    };
    if outcome.status == Status::Ok {
        place.store(State { stage: Stage::Over, carried });
    }
    outcome
}

/// How a decompressing job ends at the header of its stream: if that is not whole, and more may come, it is to come again.
fn wait(job: &Job, place: Place, outcome: Outcome) -> Outcome {
    if outcome.status != Status::Truncated || job.flags.contains(JobFlags::LAST) {
        return outcome;
    }
    if job.source_len == LONGEST {
        // There is no job that it would be whole in.
        return Outcome::failed(Status::Unsupported);
    }
    place.store(State::FRESH);
    Outcome { status: Status::More, ..Outcome::ok(0, 0) }
}
