//! Jobs that own their buffers, as futures.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use uaccel_queue::{Batch, JobFlags, Operation, Outcome, Status};

use crate::device::Seat;
use crate::error::Cause;
use crate::owned_slot::{Abandoned, OwnedSlot};
use crate::pair::Pair;
use crate::parked::{Parked, Wipe};
use crate::patience::{self, Next, Patience};
use crate::queue_core::{Home, QueueCore, Reason};
use crate::recover::{self, Verdict};
use crate::work::RawWork;
use crate::{Error, ReadBuf, Session, WriteBuf};

/// A job with its own buffers: what to do, from `source`, to `destination`, with `aux` as second source.
// In this order the small operand is aligned: a processor does not forward it, once stored, to a load that is not.
#[derive(Debug)]
#[repr(C)]
pub struct OwnedWork<S, D, A = ()> {
    immediate: [u8; 16],
    session: Option<Session>,
    source: S,
    destination: D,
    aux: A,
    operation: Operation,
}

impl OwnedWork<(), ()> {
    /// A job that does nothing.
    #[must_use]
    pub fn nop() -> Self {
        Self::plain(Operation::Nop, (), ())
    }
}

impl<S: ReadBuf> OwnedWork<S, ()> {
    /// CRC-32C of `source`, continued from `seed` (0 to begin).
    #[must_use]
    pub fn crc32c(source: S, seed: u32) -> Self {
        Self::seeded(Operation::Crc32c, source, seed)
    }

    /// CRC-32 as gzip has it of `source`, continued from `seed` (0 to begin).
    #[must_use]
    pub fn crc32(source: S, seed: u32) -> Self {
        Self::seeded(Operation::Crc32, source, seed)
    }

    fn seeded(operation: Operation, source: S, seed: u32) -> Self {
        let mut work = Self::plain(operation, source, ());
        work.immediate[..4].copy_from_slice(&seed.to_le_bytes());
        work
    }
}

impl<S: ReadBuf, D: WriteBuf> OwnedWork<S, D> {
    /// Copies `source` to the start of `destination`.
    #[must_use]
    pub fn copy(source: S, destination: D) -> Self {
        Self::plain(Operation::Copy, source, destination)
    }

    /// What `session` does, from `source` to `destination`.
    #[must_use]
    pub fn session(session: &Session, source: S, destination: D) -> Self {
        Self { session: Some(session.clone()), ..Self::plain(session.operation(), source, destination) }
    }

    /// The nonce and the associated data of an AEAD job.
    #[must_use]
    pub fn with_nonce<A: ReadBuf>(self, nonce: [u8; 12], associated_data: A) -> OwnedWork<S, D, A> {
        let mut immediate = self.immediate;
        immediate[..12].copy_from_slice(&nonce);
        let Self { operation, session, source, destination, aux: (), .. } = self;
        OwnedWork { operation, session, source, destination, aux: associated_data, immediate }
    }

    fn plain(operation: Operation, source: S, destination: D) -> Self {
        Self { operation, session: None, source, destination, aux: (), immediate: [0; 16] }
    }
}

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> OwnedWork<S, D, A> {
    /// Source, destination and aux, for those who do not want to submit the job any more.
    #[must_use]
    pub fn into_buffers(self) -> (S, D, A) {
        (self.source, self.destination, self.aux)
    }

    pub(crate) fn source_len(&self) -> u64 {
        self.source.bytes().1 as u64
    }

    #[cold]
    pub(crate) fn rejected(self, error: Error) -> Box<Rejected<S, D, A>> {
        Box::new(Rejected { error, work: self })
    }
}

/// A job that could not be submitted, with its buffers.
#[derive(Debug)]
pub struct Rejected<S, D, A = ()> {
    /// Why.
    pub error: Error,
    /// The job, as it was given.
    pub work: OwnedWork<S, D, A>,
}

impl<S: fmt::Debug, D: fmt::Debug, A: fmt::Debug> std::error::Error for Rejected<S, D, A> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<S, D, A> fmt::Display for Rejected<S, D, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was not submitted")
    }
}

/// What submitting an owned job returns: the job in flight, or the job as it was given and why it was not submitted.
pub type Submitted<S, D, A = ()> = Result<JobFuture<S, D, A>, Box<Rejected<S, D, A>>>;

/// What comes back from an owned job: how it ended, and the buffers.
#[derive(Debug)]
#[must_use]
pub struct Finished<S, D, A = ()> {
    /// How it ended.
    pub result: Result<Outcome, Error>,
    /// Source, destination and aux. `None` with [`Error::Lost`], when the device would not let go of them, and in a
    /// child process, with [`Error::Forked`].
    pub buffers: Option<(S, D, A)>,
}

impl<S, D, A> Finished<S, D, A> {
    /// The outcome and the destination, for those who need nothing else.
    ///
    /// # Errors
    /// Why the job failed; the buffers are dropped then.
    pub fn into_output(self) -> Result<(Outcome, D), Error> {
        let outcome = self.result?;
        match self.buffers {
            Some((_, destination, _)) => Ok((outcome, destination)),
            None => Err(Error::Lost { device: "".into() }),
        }
    }
}

/// The buffers of a job in flight.
struct Buffers<S, D, A> {
    source: S,
    destination: D,
    aux: A,
    secret: bool,
    /// The key schedule on the queue lives at least as long as the job.
    session: Option<Session>,
}

impl<S, D: WriteBuf, A> Wipe for Buffers<S, D, A> {
    fn wipe(&mut self) {
        if self.secret {
            self.destination.wipe();
        }
    }
}

/// Buffers that are not in the value itself.
type Elsewhere<S, D, A> = fn() -> Buffers<S, D, A>;

/// An owned job in flight: a future of its [`Finished`].
///
/// Dropping it does not stop the device: the buffers stay in the queue's table until the job is answered or the queue has stopped.
/// Forgetting it ([`std::mem::forget`]) is as safe, but keeps its place in the table for good.
#[must_use = "the job runs anyway, but its result and its buffers are lost to you"]
pub struct JobFuture<S: ReadBuf, D: WriteBuf, A: ReadBuf = ()> {
    /// `None` once the result was polled.
    core: Option<Arc<QueueCore>>,
    slot: usize,
    /// Whether the result was taken, and the slot is another job's.
    taken: AtomicBool,
    /// The buffers lie in the slot, so sharing or sending the future is a matter of its own fields.
    _buffers: PhantomData<Elsewhere<S, D, A>>,
}

/// How often a thread that waits gives way to another that has the queue, before it sleeps.
const YIELDS: u32 = 64;

/// Moves the buffers into a slot, and submits.
#[inline(never)]
pub(crate) fn submit_owned<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
    core: &Arc<QueueCore>,
    pair: &mut Pair,
    work: OwnedWork<S, D, A>,
) -> Submitted<S, D, A> {
    let device = core.device.name();
    if pair.verdict != Verdict::Usable {
        return Err(work.rejected(Error::device_failed(device, "the queue did not come back after a stop")));
    }
    let session = match enter(core, pair, &work) {
        Ok(session) => session,
        Err(error) => return Err(work.rejected(error)),
    };
    let leave = |pair: &mut Pair| {
        if let Some(session) = session {
            pair.sessions.leave(session);
        }
    };
    if !core.has_free_slot(pair) {
        leave(pair);
        return Err(work.rejected(core.full()));
    }
    let slot = pair.slots.next();
    let owned = core.owned_slot(slot);

    // The buffers move into the slot first; only then are their addresses taken.
    let OwnedWork { operation, session: handle, source, destination, aux, immediate } = work;
    let secret = operation == Operation::Open;
    // SAFETY: the pair is here, and the slot is free.
    let buffers = unsafe { owned.park(Buffers { source, destination, aux, secret, session: handle }) };
    // SAFETY: just parked, and nobody else knows of it.
    let buffers = unsafe { &mut *buffers };
    let unpark = |error| {
        // SAFETY: parked above with this type; called only if the device has not seen the job.
        let Buffers { source, destination, aux, session, .. } = unsafe { owned.unpark::<Buffers<S, D, A>>() };
        OwnedWork { operation, session, source, destination, aux, immediate }.rejected(error)
    };
    let raw = raw_work(operation, immediate, buffers);
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
            return Err(unpark(Error::device_failed(device, error)));
        }
        Err(error) => Some(error),
    };
    pair.slots.submitted(1);
    pair.owned += 1;
    let job = JobFuture { core: Some(core.clone()), slot, taken: AtomicBool::new(false), _buffers: PhantomData };
    if let Some(error) = error {
        // The device may have seen it: only its answer or a stop can free it now.
        recover_owned(core, pair, &error.into());
    }
    Ok(job)
}

/// Counts a job in on its session, if it has one, and opens that if need be.
#[inline]
fn enter<S, D, A>(
    core: &QueueCore,
    pair: &mut Pair,
    work: &OwnedWork<S, D, A>,
) -> Result<Option<uaccel_queue::SessionId>, Error> {
    let Some(session) = &work.session else { return Ok(None) };
    let spec = session.spec();
    if !pair.granted.algorithms.contains(spec.algorithm(), spec.direction()) {
        let (algorithm, operation) = (spec.algorithm(), work.operation);
        return Err(Error::UnsupportedAlgorithm { device: core.device.name().into(), algorithm, operation });
    }
    pair.enter(core, session).map(Some)
}

fn raw_work<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
    operation: Operation,
    immediate: [u8; 16],
    buffers: &mut Buffers<S, D, A>,
) -> RawWork<'_> {
    let (source, source_len) = buffers.source.bytes();
    let (aux, aux_len) = buffers.aux.bytes();
    let room = buffers.destination.room();
    let mut flags = JobFlags::VOUCHED;
    flags.set(JobFlags::UNINIT_DESTINATION, !room.initialised);
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

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> JobFuture<S, D, A> {
    /// The same job with another deadline, counted from the first look at it that finds it unfinished.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        if let Some(core) = self.core.as_ref().filter(|core| core.fork.is_home()) {
            self.slot(core).set_limit(deadline);
        }
        self
    }

    /// Blocks until the job has ended.
    // What has ended is taken where it is returned: it is large, and a processor waits for a value that was just stored in
    // small pieces and is then moved in wide ones.
    pub fn wait(self) -> Finished<S, D, A> {
        let Some(core) = &self.core else { return without_buffers(Error::Canceled) };
        // Once is enough: a thread that waits does not fork.
        if !core.fork.is_home() {
            return without_buffers(Error::Forked);
        }
        let slot = self.slot(core);
        let mut patience = Patience::new(slot.limit());
        let mut turned_away = 0;
        loop {
            let next = if let Some(mut seat) = Seat::take(core) {
                turned_away = 0;
                if let Home::Here(pair) = &mut *seat.home {
                    let next = drive(core, pair, self.slot, &mut patience);
                    // An answer that somebody else has polled is found at the first look as well.
                    if slot.is_over() {
                        return self.collect(core, |slot| pair.slots.release(slot));
                    }
                    next
                } else {
                    drop(seat);
                    self.park(core, Instant::now() + patience::BACKSTOP);
                    Next::Poll
                }
            } else {
                // Somebody else polls the queue, and may find the answer: in a moment, or as long as a job of his takes.
                if turned_away < YIELDS {
                    turned_away += 1;
                    thread::yield_now();
                } else {
                    self.park(core, Instant::now() + patience::BACKSTOP);
                }
                Next::Poll
            };
            if slot.is_over() {
                return self.collect(core, |slot| core.free_owned(slot));
            }
            match next {
                Next::Poll => {}
                Next::Sleep(until) => self.sleep(core, until),
                Next::Expired => self.expire(core),
            }
        }
    }

    /// Sleeps until the device signals, which was demanded, or until the reactor has seen the answer.
    fn sleep(&self, core: &Arc<QueueCore>, until: Instant) {
        let watched = core.watched.load(Ordering::Acquire);
        let transport = match core.try_home().as_deref() {
            Some(Home::Here(pair)) if !watched && pair.granted.wakes => Some(pair.transport.clone()),
            _ => None,
        };
        if let Some(transport) = transport {
            // An error here is found again by the next poll.
            let _ = transport.sleep(Some(until));
        } else {
            self.park(core, until);
        }
    }

    /// Sleeps until somebody else has seen the answer: who has the queue, or the reactor.
    #[cold]
    fn park(&self, core: &Arc<QueueCore>, until: Instant) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        if self.register(core, &waker) {
            core.leave_to_reactor();
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
    }

    fn expire(&self, core: &Arc<QueueCore>) {
        let mut seat = Seat::wait(core);
        let Home::Here(pair) = &mut *seat.home else { return };
        if self.slot(core).is_in_flight() {
            recover_owned(core, pair, &Cause::Deadline(self.slot(core).limit()));
        }
    }

    /// What the job shares with its queue.
    #[inline]
    fn slot<'c>(&self, core: &'c QueueCore) -> &'c OwnedSlot {
        core.owned_slot(self.slot)
    }

    /// Leaves a waker, unless the job is answered already.
    fn register(&self, core: &QueueCore, waker: &Waker) -> bool {
        self.slot(core).register(waker)
    }

    /// Result and buffers of a job that is over; its slot goes to `free`. The caller gives up the queue afterwards.
    // Not built in, so that what it returns is written where it stays: it is large, and a processor waits for a value that
    // was just stored in small pieces and is then moved in wide ones.
    #[inline(never)]
    fn collect(&self, core: &QueueCore, free: impl FnOnce(u32)) -> Finished<S, D, A> {
        let slot = self.slot;
        // Relaxed: as in `drop`.
        self.taken.store(true, Ordering::Relaxed);
        // SAFETY: parked by `submit_owned` with this type; whoever gets something here asks no more.
        let Some((buffers, error)) = (unsafe { core.owned_slot(slot).take::<Buffers<S, D, A>>() }) else {
            return without_buffers(Error::Lost { device: core.device.name().into() });
        };
        // SAFETY: answered, and the slot is not handed back before the next line.
        let (operation, outcome) = unsafe { (core.cells.job(slot).operation, core.cells.outcome(slot)) };
        #[allow(clippy::cast_possible_truncation, reason = "a slot is below MAX_DEPTH")]
        free(slot as u32);
        if error.is_some() || outcome.status != Status::Ok {
            return finish_badly(core, operation, error, &outcome, buffers);
        }
        let Buffers { source, mut destination, aux, .. } = buffers;
        if operation != Operation::Compare {
            let written = usize::try_from(outcome.produced).unwrap_or(usize::MAX).min(destination.room().len);
            // SAFETY: the device wrote that much, by its completion, which was checked against the room.
            unsafe { destination.set_written(written) };
        }
        Finished { result: Ok(outcome), buffers: Some((source, destination, aux)) }
    }
}

/// Polls the queue once for the job in `slot`, whose future the caller has, and says what to do next if that did not end it.
#[inline]
fn drive(core: &QueueCore, pair: &mut Pair, slot: usize, patience: &mut Patience) -> Next {
    match core.drain_because(pair, Reason::WaitedFor(slot), |_, _| {}) {
        Ok(0) => patience.next(&mut *pair.completer, pair.granted.wakes),
        Ok(_) => Next::Poll,
        Err(error) => {
            recover_owned(core, pair, &error.into());
            Next::Poll
        }
    }
}

/// What comes back from a job that was taken back, or did not end well.
#[cold]
fn finish_badly<S: ReadBuf, D: WriteBuf, A: ReadBuf>(
    core: &QueueCore,
    operation: Operation,
    error: Option<Error>,
    outcome: &Outcome,
    buffers: Buffers<S, D, A>,
) -> Finished<S, D, A> {
    let Buffers { source, mut destination, aux, secret, .. } = buffers;
    let room = destination.room().len as u64;
    if secret {
        destination.wipe();
    }
    let error =
        error.unwrap_or_else(|| Error::of_outcome(core.device.name(), operation, outcome, room, core.device.limit()));
    Finished { result: Err(error), buffers: Some((source, destination, aux)) }
}

fn without_buffers<S, D, A>(error: Error) -> Finished<S, D, A> {
    Finished { result: Err(error), buffers: None }
}

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> Future for JobFuture<S, D, A> {
    type Output = Finished<S, D, A>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(core) = &self.core else { return Poll::Ready(without_buffers(Error::Canceled)) };
        if !core.fork.is_home() {
            return Poll::Ready(without_buffers(Error::Forked));
        }
        let slot = self.slot(core);
        if !slot.is_over()
            && let Some(mut seat) = Seat::take(core)
            && let Home::Here(pair) = &mut *seat.home
            && let Err(error) = core.drain(pair, |_, _| {})
        {
            recover_owned(core, pair, &error.into());
        }
        if slot.is_over() {
            let finished = self.collect(core, |slot| core.free_owned(slot));
            self.core = None;
            return Poll::Ready(finished);
        }
        if self.register(core, context.waker()) {
            core.leave_to_reactor();
        } else {
            // Answered between the two: look again at once.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// The buffers stay where they are until the job is answered.
impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> Drop for JobFuture<S, D, A> {
    fn drop(&mut self) {
        let Some(core) = self.core.take() else { return };
        // Relaxed: whoever drops the future has it alone.
        if self.taken.load(Ordering::Relaxed) {
            return;
        }
        if !core.fork.is_home() {
            // The job, and its buffers, are the parent's.
            std::mem::forget(core);
            return;
        }
        let slot = self.slot;
        // SAFETY: this is the job's future, and it has taken nothing: it would have no queue.
        match unsafe { core.owned_slot(slot).abandon() } {
            Abandoned::InFlight => {
                core.tally.abandoned.add(1);
                core.leave_to_reactor();
            }
            #[allow(clippy::cast_possible_truncation, reason = "a slot is below MAX_DEPTH")]
            Abandoned::Answered => core.free_owned(slot as u32),
            Abandoned::Lost => {}
        }
    }
}

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> fmt::Debug for JobFuture<S, D, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFuture").field("slot", &self.slot).finish_non_exhaustive()
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Buffers of the common shape are stored without another allocation.
const _: () = assert!(size_of::<Buffers<Vec<u8>, Vec<u8>, Vec<u8>>>() <= Parked::IN_PLACE);
