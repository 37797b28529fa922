//! Jobs that own their buffers, on their way into a queue.

use std::sync::Arc;

use uaccel_queue::{Batch, JobFlags, Operation, SessionId};

use crate::error::Cause;
use crate::job_future::JobFuture;
use crate::owned_work::{OwnedWork, Rejected};
use crate::pair::Pair;
use crate::parked::{Parked, Wipe};
use crate::queue_core::QueueCore;
use crate::recover::{self, Verdict};
use crate::work::RawWork;
use crate::{Error, ReadBuf, Session, WriteBuf};

/// What submitting an owned job returns: the job in flight, or the job as it was given and why it was not submitted.
pub type Submitted<S, D, A = ()> = Result<JobFuture<S, D, A>, Box<Rejected<S, D, A>>>;

/// The buffers of a job in flight.
pub(crate) struct Buffers<S, D, A> {
    pub(crate) source: S,
    pub(crate) destination: D,
    pub(crate) aux: A,
    pub(crate) secret: bool,
    /// The key schedule on the queue lives at least as long as the job.
    pub(crate) session: Option<Session>,
}

impl<S, D: WriteBuf, A> Wipe for Buffers<S, D, A> {
    fn wipe(&mut self) {
        if self.secret {
            self.destination.wipe();
        }
    }
}

/// Moves the buffers into a slot, and submits.
// Built in, and the work is taken apart at once: whole it would be copied, and a processor waits for a value that was just stored in small pieces and is then moved in wide ones.
#[inline(always)]
pub(crate) fn submit_owned<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
    core: &Arc<QueueCore>,
    pair: &mut Pair,
    work: OwnedWork<S, D, A>,
) -> Submitted<S, D, A> {
    let OwnedWork { operation, session: handle, source, destination, aux, immediate, in_place } = work;
    let device = core.device.name();
    let entered = enter(core, pair, handle.as_ref());
    let session = match entered {
        Ok(session) => session,
        Err(error) => {
            let work = OwnedWork { operation, session: handle, source, destination, aux, immediate, in_place };
            return Err(work.rejected(error));
        }
    };
    let leave = |pair: &mut Pair| {
        if let Some(session) = session {
            pair.sessions.leave(session);
        }
    };
    let slot = pair.slots.next();
    let owned = core.owned_slot(slot);

    // The buffers move into the slot first; only then are their addresses taken.
    let secret = in_place.is_some() || matches!(operation, Operation::Open | Operation::Decrypt);
    // SAFETY: the pair is here, and the slot is free.
    let buffers = unsafe { owned.park(Buffers { source, destination, aux, secret, session: handle }) };
    // SAFETY: just parked, and nobody else knows of it.
    let buffers = unsafe { &mut *buffers };
    let unpark = |error| {
        // SAFETY: parked above with this type; called only if the device has not seen the job.
        let Buffers { source, destination, aux, session, .. } = unsafe { owned.unpark::<Buffers<S, D, A>>() };
        OwnedWork { operation, session, source, destination, aux, immediate, in_place }.rejected(error)
    };
    let raw = raw_work(operation, immediate, in_place, buffers);
    let room = match raw.check(device, &pair.granted) {
        Ok(room) => room,
        Err(error) => {
            leave(pair);
            return Err(unpark(error));
        }
    };
    // SAFETY: the slot is free and ours.
    let token = unsafe {
        core.cells.build(slot, |job| {
            raw.fill(job, session, room);
            job.token
        })
    };
    owned.launch(core.device.options.deadline);
    pair.slots.built();
    // SAFETY: built above, not in flight, and taken until it is answered. Nothing else is staged: no scope is open.
    let batch = unsafe { Batch::new(&core.cells, pair.slots.staged()) };
    // SAFETY: the buffers lie in the slot until the job is answered or the device is quiet, whatever becomes of the future; `ReadBuf` and `WriteBuf`
    // promise that their memory stays where it is and is not accessed meanwhile.
    let error = match unsafe { pair.submitter.submit(&batch) } {
        Ok(1..) => None,
        Ok(0) => {
            pair.slots.discard_staged(|_| {});
            leave(pair);
            return Err(unpark(core.full()));
        }
        Err(error) if !core.cells.is_live(token) => {
            pair.slots.discard_staged(|_| {});
            leave(pair);
            let cause = Cause::from(error);
            // The queue is finished all the same, and perhaps nobody polls it who would find out.
            recover_owned(core, pair, &cause);
            return Err(unpark(cause.to_error(device)));
        }
        Err(error) => Some(error),
    };
    pair.slots.submitted(1);
    pair.owned += 1;
    if let Some(error) = error {
        // The device may have seen it: only its answer or a stop can free it now.
        recover_owned(core, pair, &error.into());
    }
    #[allow(clippy::cast_possible_truncation, reason = "a slot is below MAX_DEPTH")]
    Ok(JobFuture::new(core.clone(), slot as u32))
}

/// Sees to it that there is a slot for a job, counts it in on its session, if it has one, and opens that if need be.
#[inline]
fn enter(core: &QueueCore, pair: &mut Pair, session: Option<&Session>) -> Result<Option<SessionId>, Error> {
    if pair.verdict != Verdict::Usable {
        return Err(Error::device_failed(core.device.name(), "the queue did not come back after a stop"));
    }
    // What is wrong for good goes before what passes.
    if let Some(session) = session
        && !pair.granted.offers(session.spec())
    {
        return Err(Error::not_offered(core.device.name(), &pair.granted, session.spec()));
    }
    if !core.has_free_slot(pair) {
        return Err(core.full());
    }
    session.map(|session| pair.enter(core, session)).transpose()
}

fn raw_work<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
    operation: Operation,
    immediate: [u8; 16],
    in_place: Option<usize>,
    buffers: &mut Buffers<S, D, A>,
) -> RawWork<'_> {
    let (aux, aux_len) = buffers.aux.bytes();
    let room = buffers.destination.room();
    let mut flags = JobFlags::VOUCHED;
    // No more of a room is written in place than the text that stands there, whatever is behind it.
    let (source, source_len) = match in_place {
        Some(len) => (room.start.cast_const(), len.min(room.len)),
        None => buffers.source.bytes(),
    };
    flags.set(JobFlags::UNINIT_DESTINATION, in_place.is_none() && !room.initialised);
    RawWork {
        session: buffers.session.as_ref(),
        source,
        source_len,
        destination: room.start,
        destination_len: room.len,
        aux,
        aux_len,
        immediate,
        flags,
        ..RawWork::new(operation)
    }
}

/// Takes back everything in flight on a queue without borrowed jobs.
pub(crate) fn recover_owned(core: &QueueCore, pair: &mut Pair, cause: &Cause) {
    debug_assert_eq!(pair.borrowed, 0, "a scope takes its own jobs back");
    pair.verdict = recover::recover(core, pair, cause, |_, _| {});
    if pair.verdict == Verdict::Unproven {
        core.lose_owned(pair);
    }
}

/// A job in flight, or what became of it, is two words, each of which is stored and loaded by itself: [`JobFuture`] has no third field that would make a compiler move it as one wide
/// piece, for which a processor waits.
const _: () = assert!(size_of::<Submitted<Vec<u8>, Vec<u8>>>() == 16);

/// Buffers of the common shape are stored without another allocation.
const _: () = assert!(size_of::<Buffers<Vec<u8>, Vec<u8>, Vec<u8>>>() <= Parked::IN_PLACE);
