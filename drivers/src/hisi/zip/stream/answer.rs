//! From what the engine wrote into the entry of a stream to an outcome, and to what is known of the stream then.

use uaccel_hisi_abi::zip::stream::Halt;
use uaccel_hisi_abi::zip::{Carried, Ended, Results, Status as Engine};
use uaccel_queue::{DeviceError, Direction, Job, JobFlags, Outcome, Status};

use super::super::answer::failure;
use super::portion::Portion;
use super::state::{Place, Stage, State};

/// So many bytes of a stream are enough to go on with. Whether the engine takes the head of a block in parts is not known: the longest has 286 bytes, which 3 + 14 + 19 · 3 + 316 · 7 bits need
/// (RFC 1951, 3.2.7), and the first word behind it 6.
const ENOUGH: usize = 512;

/// What the results say about a job of a stream that has a header of so many bytes. Writes down what is carried on, if the stream goes on or has ended.
///
/// # Errors
/// [`DeviceError::Overrun`] if the engine claims to have used more than it was given, which may be less than the job has.
///
/// # Safety
/// The job has [`JobFlags::STREAM`], was handed to `submit`, is not answered, and the device has done with it.
#[cold]
pub(in crate::hisi::zip) unsafe fn answer(
    results: Results,
    carried: Carried,
    direction: Direction,
    job: &Job,
    header: u32,
) -> Result<Outcome, DeviceError> {
    // SAFETY: the caller's promise.
    let Some(place) = (unsafe { Place::of(job) }) else { return Ok(Outcome::failed(Status::InvalidJob)) };
    let Results { consumed, produced, ended } = results;
    // Widening: they have 32 bits.
    let (consumed, produced, header) = (consumed as usize, produced as usize, header as usize);
    let stage = match direction {
        Direction::Forward => compressed(ended, consumed, job, header),
        Direction::Inverse => decompressed(ended, carried, (consumed, produced), job, header),
    };
    let (given, room) = match direction {
        Direction::Forward => (Portion::of(job, header).len, job.destination_len - header),
        Direction::Inverse => (job.source_len - header, job.destination_len),
    };
    let stage = match stage {
        Ok(stage) => stage,
        Err(status) => return Ok(Outcome::failed(status)),
    };
    if consumed > given || produced > room {
        let (consumed, produced) = (consumed as u64, produced as u64);
        return Err(DeviceError::Overrun { token: job.token, consumed, produced });
    }
    place.store(State { stage, carried });
    let (consumed, produced, header) = (consumed as u64, produced as u64, header as u64);
    let outcome = match direction {
        Direction::Forward => Outcome::ok(consumed, header + produced),
        Direction::Inverse => Outcome::ok(header + consumed, produced),
    };
    let status = if stage == Stage::Over { Status::Ok } else { Status::More };
    Ok(Outcome { status, ..outcome })
}

/// How far a stream is that was compressed, or how the job failed.
fn compressed(ended: Ended, consumed: usize, job: &Job, header: usize) -> Result<Stage, Status> {
    match Engine::from_raw(ended.status) {
        Some(Engine::Ok | Engine::Grown | Engine::StreamEnd) => {}
        // It had all the room that it wants.
        Some(Engine::NoSpace) => return Err(Status::DeviceError),
        other => return Err(failure(other)),
    }
    let portion = Portion::of(job, header);
    match consumed {
        // It was given something, and would be so again for ever.
        0 => Err(Status::DeviceError),
        // The end is behind all of the text (UADK: `wd_do_comp_strm_end_check`).
        _ if portion.finish && consumed == portion.len => Ok(Stage::Over),
        _ => Ok(Stage::Going),
    }
}

/// How far a stream is that was decompressed, or how the job failed.
fn decompressed(
    ended: Ended,
    carried: Carried,
    (consumed, produced): (usize, usize),
    job: &Job,
    header: usize,
) -> Result<Stage, Status> {
    let got_on = consumed > 0 || produced > 0;
    match Engine::from_raw(ended.status) {
        Some(Engine::StreamEnd) if ended.last_block => return Ok(Stage::Over),
        Some(Engine::Ok | Engine::Grown | Engine::StreamEnd) => {}
        // The room is full, and it goes on from there (UADK: `HZ_DECOMP_NO_SPACE`, `HZ_DECOMPING_NO_SPACE`).
        Some(Engine::NoSpace)
            if got_on && matches!(Halt::decode(carried.context_words[0]), Some(Halt::LastBlock | Halt::Block)) => {}
        Some(Engine::NoSpace) => return Err(Status::DeviceError),
        other => return Err(failure(other)),
    }
    if got_on {
        return Ok(Stage::Going);
    }
    // There was room, so it wants more of the stream; but so long a piece it can do something with.
    if job.source_len - header >= ENOUGH {
        return Err(Status::DeviceError);
    }
    if job.flags.contains(JobFlags::LAST) { Err(Status::Truncated) } else { Ok(Stage::Going) }
}
