//! Jobs that own their buffers, in flight: futures of their results.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use uaccel_queue::{Operation, Outcome, Status, Transport, TransportError};

use crate::device::Seat;
use crate::error::Cause;
use crate::owned::{Buffers, recover_owned};
use crate::owned_slot::{Abandoned, OwnedSlot};
use crate::pair::Pair;
use crate::patience::{self, Next, Patience};
use crate::queue_core::{Home, QueueCore, Reason};
use crate::sys::signal::{self, Bell};
use crate::{Error, ReadBuf, WriteBuf};

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

/// Buffers that are not in the value itself.
type Elsewhere<S, D, A> = fn() -> Buffers<S, D, A>;

/// An owned job in flight: a future of its [`Finished`].
///
/// Dropping it does not stop the device: the buffers stay in the queue's table until the job is answered or the queue has stopped.
/// Forgetting it ([`std::mem::forget`]) is as safe, but keeps its place in the table for good. Until it is dropped it keeps its queue open, also when it has ended.
#[must_use = "the job runs anyway, but its result and its buffers are lost to you"]
pub struct JobFuture<S: ReadBuf, D: WriteBuf, A: ReadBuf = ()> {
    core: Arc<QueueCore>,
    /// Where the job is, or [`TAKEN`] when the result was taken and the slot is another job's.
    // With a field of its own for that the future would be moved as one wide piece, and a processor waits for a value that was just stored in small ones: a fifth of the time that an owned job takes.
    slot: u32,
    /// The buffers lie in the slot, so sharing or sending the future is a matter of its own fields.
    _buffers: PhantomData<Elsewhere<S, D, A>>,
}

/// No job's slot.
const TAKEN: u32 = u32::MAX;
/// How long to leave the queue to whoever has it, when the job in it is to be taken back.
const AWHILE: Duration = Duration::from_millis(1);
/// How often a thread that waits gives way to another that has the queue, before it sleeps.
const YIELDS: u32 = 64;

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> JobFuture<S, D, A> {
    /// The future of the job in `slot`, whose buffers are of these types.
    #[inline]
    pub(crate) fn new(core: Arc<QueueCore>, slot: u32) -> Self {
        Self { core, slot, _buffers: PhantomData }
    }

    /// The same job with another deadline, counted from the first look at it that finds it unfinished.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        if !self.is_taken() && self.core.fork.is_home() {
            self.slot().set_limit(deadline);
        }
        self
    }

    /// Blocks until the job has ended.
    // What has ended is taken where it is returned: it is large, and a processor waits for a value that was just stored in
    // small pieces and is then moved in wide ones.
    pub fn wait(mut self) -> Finished<S, D, A> {
        if self.is_taken() {
            return without_buffers(Error::Canceled);
        }
        let core = &self.core;
        // Once is enough: a thread that waits does not fork.
        if !core.fork.is_home() {
            return without_buffers(Error::Forked);
        }
        let slot = self.slot();
        let mut patience = Patience::new(slot.limit());
        let mut turned_away = 0;
        let mut bell = None;
        loop {
            let next = if let Some(mut seat) = Seat::take(core) {
                turned_away = 0;
                if let Some(pair) = seat.pair() {
                    let next = drive(core, pair, self.slot as usize, &mut patience);
                    // An answer that somebody else has polled is found at the first look as well.
                    if slot.is_over() {
                        if bell.is_some() && pair.owned != 0 {
                            demand_again(core, pair);
                        }
                        let slot = mem::replace(&mut self.slot, TAKEN);
                        return Self::collect(core, slot, |slot| pair.slots.release(slot));
                    }
                    next
                } else {
                    drop(seat);
                    self.park(Instant::now() + patience::BACKSTOP);
                    Next::Poll
                }
            } else {
                // Somebody else polls the queue, and may find the answer: in a moment, or as long as a job of his takes.
                if turned_away < YIELDS {
                    turned_away += 1;
                    thread::yield_now();
                } else {
                    self.park(Instant::now() + patience::BACKSTOP);
                }
                Next::Poll
            };
            if slot.is_over() {
                let slot = mem::replace(&mut self.slot, TAKEN);
                return Self::collect(core, slot, |slot| core.free_owned(slot));
            }
            match next {
                Next::Poll => {}
                Next::Sleep(until) => self.sleep(until, &mut bell),
                Next::Expired => self.take_back(&Cause::Deadline(slot.limit())),
            }
        }
    }

    /// Sleeps until the device signals, which was demanded, or until somebody else has seen the answer.
    fn sleep(&self, until: Instant, bell: &mut Option<Arc<Bell>>) {
        let core = &self.core;
        let watched = core.watched.load(Ordering::Acquire);
        let transport = match core.try_home().as_deref() {
            Some(Home::Here(pair)) if !watched && pair.granted.wakes => Some(pair.transport.clone()),
            _ => None,
        };
        let Some(transport) = transport else { return self.park(until) };
        if let Err(error) = self.sleep_on(&*transport, until, bell) {
            self.take_back(&error.into());
        }
    }

    /// Sleeps on the device's signal and on a bell. Whoever else polls the queue may find this job's answer, and take the signal for it away.
    fn sleep_on(
        &self,
        transport: &dyn Transport,
        until: Instant,
        bell: &mut Option<Arc<Bell>>,
    ) -> Result<(), TransportError> {
        let (Some(signal), Some(bell)) = (transport.wake_fd(), Self::bell(bell)) else {
            return transport.sleep(Some(until)).map(|_| ());
        };
        bell.clear();
        if !self.register(&Waker::from(bell.clone())) {
            return Ok(());
        }
        let left = until.saturating_duration_since(Instant::now());
        let slept = signal::sleep_on(&[signal, bell.as_fd()], left);
        // The slot outlives its jobs, and would keep the bell's descriptor.
        self.slot().forget_waker();
        slept.map_err(|source| TransportError::System { call: "poll", source })?;
        // Takes the signal back, and knows whether the device is still there.
        transport.sleep(Some(Instant::now())).map(|_| ())
    }

    /// The bell of a thread that waits, made when it first sleeps.
    fn bell(bell: &mut Option<Arc<Bell>>) -> Option<&Arc<Bell>> {
        if bell.is_none() {
            *bell = Bell::new()
                .inspect_err(|error| tracing::warn!(%error, "no bell to sleep on; answers may be seen late"))
                .ok()
                .map(Arc::new);
        }
        bell.as_ref()
    }

    /// Sleeps until somebody else has seen the answer: who has the queue, or the reactor.
    #[cold]
    fn park(&self, until: Instant) {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        if self.register(&waker) {
            self.core.leave_to_reactor();
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Has what is in flight on the queue taken back, unless the job is answered by now.
    fn take_back(&self, cause: &Cause) {
        let core = &self.core;
        // Whoever has the seat may keep it as long as the device keeps his memory: the caller looks at its job, and comes again.
        let Some(mut seat) = Seat::take(core) else { return self.park(Instant::now() + AWHILE) };
        let Some(pair) = seat.pair() else { return };
        if self.slot().is_in_flight() {
            recover_owned(core, pair, cause);
        }
    }

    /// What the job shares with its queue.
    #[inline]
    fn slot(&self) -> &OwnedSlot {
        self.core.owned_slot(self.slot as usize)
    }

    /// Whether the result was taken.
    #[inline]
    fn is_taken(&self) -> bool {
        self.slot == TAKEN
    }

    /// Leaves a waker, unless the job is answered already.
    fn register(&self, waker: &Waker) -> bool {
        self.slot().register(waker)
    }

    /// Result and buffers of a job that is over; its slot goes to `free`. The caller gives up the queue afterwards.
    // Not built in, so that what it returns is written where it stays: it is large, and a processor waits for a value that
    // was just stored in small pieces and is then moved in wide ones.
    #[inline(never)]
    fn collect(core: &QueueCore, freed: u32, free: impl FnOnce(u32)) -> Finished<S, D, A> {
        let slot = freed as usize;
        // SAFETY: parked by `submit_owned` with this type; whoever gets something here asks no more.
        let Some((buffers, error)) = (unsafe { core.owned_slot(slot).take::<Buffers<S, D, A>>() }) else {
            free(freed);
            return without_buffers(Error::Lost { device: core.device.name().into() });
        };
        // SAFETY: answered, and the slot is not handed back before the next line.
        let (operation, outcome) = unsafe { (core.cells.job(slot).operation, core.cells.outcome(slot)) };
        free(freed);
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

/// Demands a signal for others who sleep on the queue, since the last one may have been for them, and looks once more.
#[cold]
fn demand_again(core: &QueueCore, pair: &mut Pair) {
    pair.completer.arm();
    if let Err(error) = core.drain(pair, |_, _| {}) {
        recover_owned(core, pair, &error.into());
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
    let error = error.unwrap_or_else(|| core.error_of(operation, outcome, room));
    Finished { result: Err(error), buffers: Some((source, destination, aux)) }
}

fn without_buffers<S, D, A>(error: Error) -> Finished<S, D, A> {
    Finished { result: Err(error), buffers: None }
}

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> Future for JobFuture<S, D, A> {
    type Output = Finished<S, D, A>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.get_mut();
        if future.is_taken() {
            return Poll::Ready(without_buffers(Error::Canceled));
        }
        let core = &future.core;
        if !core.fork.is_home() {
            return Poll::Ready(without_buffers(Error::Forked));
        }
        let slot = future.slot();
        if !slot.is_over()
            && let Some(mut seat) = Seat::take(core)
            && let Some(pair) = seat.pair()
            && let Err(error) = core.drain(pair, |_, _| {})
        {
            recover_owned(core, pair, &error.into());
        }
        if slot.is_over() {
            let slot = mem::replace(&mut future.slot, TAKEN);
            return Poll::Ready(Self::collect(core, slot, |slot| core.free_owned(slot)));
        }
        if future.register(context.waker()) {
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
        if self.is_taken() {
            return;
        }
        let core = &self.core;
        if !core.fork.is_home() {
            // The job, and its buffers, are the parent's: the queue is not dropped here.
            mem::forget(core.clone());
            return;
        }
        // SAFETY: this is the job's future, and it has taken nothing.
        match unsafe { self.slot().abandon() } {
            Abandoned::InFlight => {
                core.tally.abandoned.add(1);
                core.leave_to_reactor();
            }
            Abandoned::Over => core.free_owned(self.slot),
        }
    }
}

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> fmt::Debug for JobFuture<S, D, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobFuture").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
