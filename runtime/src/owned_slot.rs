//! What the future of an owned job and its queue share: one for each slot of the queue.
//!
//! Who may touch buffers and error is told by the state, and so there is no lock:
//!
//! | state | whose they are | ends with |
//! | --- | --- | --- |
//! | free | the holder of the pair, to park the buffers of a new job | [`launch`](OwnedSlot::launch) |
//! | pending, watched | the device's and the holder's | [`answer`](OwnedSlot::answer), [`answer_own`](OwnedSlot::answer_own), [`lose`](OwnedSlot::lose), [`abandon`](OwnedSlot::abandon) |
//! | abandoned | the device's and the holder's; the future is gone | [`answer`](OwnedSlot::answer), [`lose`](OwnedSlot::lose) |
//! | answered | the future's | [`take`](OwnedSlot::take), [`abandon`](OwnedSlot::abandon) |
//! | lost | nobody's, for ever; the slot is the future's | [`take`](OwnedSlot::take), [`abandon`](OwnedSlot::abandon) |

use std::sync::LazyLock;
use std::task::Waker;
use std::time::{Duration, Instant};

#[cfg(not(loom))]
use atomic_waker::AtomicWaker;
#[cfg(loom)]
use loom::future::AtomicWaker;
use uaccel_queue::sync::SharedCell;
use uaccel_queue::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::Error;
use crate::parked::{Parked, Wipe};

const FREE: u8 = 0;
const PENDING: u8 = 1;
/// As pending, and the future has left a waker.
const WATCHED: u8 = 2;
const ABANDONED: u8 = 3;
const ANSWERED: u8 = 4;
const LOST: u8 = 5;

/// Deadlines are kept as nanoseconds after this, since an `Instant` does not fit into an atomic.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One slot's part of an owned job.
pub(crate) struct OwnedSlot {
    state: AtomicU8,
    parked: SharedCell<Parked>,
    /// Why the job was taken back, if it was.
    error: SharedCell<Option<Error>>,
    waker: AtomicWaker,
    /// Nanoseconds the job has, from the first look at it that finds it unfinished.
    limit: AtomicU64,
    /// Nanoseconds after [`EPOCH`]; 0 if nobody has set one.
    deadline: AtomicU64,
}

// SAFETY: buffers and error are `Send`, and touched by one thread at a time, as the table of states has it.
unsafe impl Send for OwnedSlot {}
// SAFETY: as for `Send`.
unsafe impl Sync for OwnedSlot {}

/// What became of a job whose future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// It is in flight; its answer frees the slot.
    InFlight,
    /// It was answered, or given up; the slot is free now.
    Over,
}

/// A job that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Whether it had buffers, which stay for ever.
    pub(crate) leaked: bool,
    /// Whether its future was dropped before: nobody comes to free the slot, so it is free now.
    pub(crate) is_free: bool,
}

impl OwnedSlot {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            parked: SharedCell::new(Parked::EMPTY),
            error: SharedCell::new(None),
            waker: AtomicWaker::new(),
            limit: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
        }
    }

    /// Puts buffers into a free slot and returns where they are.
    ///
    /// # Safety
    /// The caller holds the pair, and the slot is free.
    #[inline]
    pub(crate) unsafe fn park<T: Send + 'static + Wipe>(&self, value: T) -> *mut T {
        // SAFETY: the caller's promise makes the buffers' place his.
        self.parked.with_mut(|parked| unsafe { &mut *parked }.put(value))
    }

    /// Takes back what was parked in a slot that was not launched, or whose job the device has not seen.
    ///
    /// # Safety
    /// As for [`park`](Self::park), which was called with this type, and the slot's job is not in flight.
    #[inline]
    pub(crate) unsafe fn unpark<T: Send + 'static>(&self) -> T {
        // Relaxed: nobody else knows of the job.
        self.state.store(FREE, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        self.parked.with_mut(|parked| unsafe { (*parked).take::<T>() })
    }

    /// The job is about to be submitted, by the holder of the pair, and may take `limit`.
    #[inline]
    pub(crate) fn launch(&self, limit: Duration) {
        self.set_limit(limit);
        // Relaxed, both: whoever polls the answer holds the pair after the caller, and the future is made by the caller.
        self.deadline.store(0, Ordering::Relaxed);
        self.state.store(PENDING, Ordering::Relaxed);
    }

    /// Changes how long the job may take, from the first look at it that finds it unfinished.
    #[inline]
    pub(crate) fn set_limit(&self, limit: Duration) {
        // Relaxed: for the future alone, which is made after the launch.
        self.limit.store(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the job may take, from the first look at it that finds it unfinished.
    #[inline]
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit.load(Ordering::Relaxed))
    }

    /// Whether a job with buffers of its own is in flight, for the holder of the pair.
    #[inline]
    pub(crate) fn is_in_flight(&self) -> bool {
        // Relaxed: whether it is in flight is changed only by the holder of the pair.
        matches!(self.state.load(Ordering::Relaxed), PENDING | WATCHED | ABANDONED)
    }

    /// Whether a job is in flight that somebody waits for.
    pub(crate) fn is_wanted(&self) -> bool {
        // Relaxed: as fresh as it can be.
        matches!(self.state.load(Ordering::Relaxed), PENDING | WATCHED)
    }

    /// When the job in flight is to be taken back, if that was said.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // Relaxed: a future that sets it rings the reactor's bell afterwards.
        match self.deadline.load(Ordering::Relaxed) {
            0 => None,
            nanos => (*EPOCH).checked_add(Duration::from_nanos(nanos)).filter(|_| self.is_in_flight()),
        }
    }

    /// Hands the answer to the future, with `error` if the job was taken back. `true` if nobody wants it: the buffers are
    /// dropped, and the slot is free.
    ///
    /// # Safety
    /// The caller holds the pair; the job is in flight as far as this slot knows, and the device has finished with its
    /// memory.
    #[inline]
    pub(crate) unsafe fn answer(&self, error: Option<Error>) -> bool {
        if error.is_some() {
            // SAFETY: in flight, so the error's place is the caller's.
            self.error.with_mut(|place| unsafe { *place = error });
        }
        // Release: pairs with the acquire in `take` and `abandon`: the future sees the error, and what the device wrote.
        // Acquire: pairs with the release in `register`, so that `wake` finds the waker; and with that in `abandon`.
        match self.state.swap(ANSWERED, Ordering::AcqRel) {
            ABANDONED => {
                // SAFETY: the future is gone, and the device has finished.
                unsafe { self.discard() };
                true
            }
            WATCHED => {
                self.waker.wake();
                false
            }
            _ => false,
        }
    }

    /// As [`answer`](Self::answer), without an error, for a future that polls the queue itself.
    ///
    /// # Safety
    /// As for [`answer`](Self::answer); and the caller acts for the job's future, which hence does nothing else meanwhile.
    #[inline]
    pub(crate) unsafe fn answer_own(&self) {
        // Relaxed: the only one who will look is the caller, so there is nobody to race with, and nobody to wake.
        self.state.store(ANSWERED, Ordering::Relaxed);
    }

    /// Gives the buffers of a job in flight up, because the device may use them for ever. `None` if no such job is in flight.
    ///
    /// # Safety
    /// The caller holds the pair.
    pub(crate) unsafe fn lose(&self) -> Option<Lost> {
        if !self.is_in_flight() {
            return None;
        }
        // SAFETY: in flight, so the buffers' place is the caller's.
        let leaked = self.parked.with_mut(|parked| unsafe { &mut *parked }.leak());
        // AcqRel: as in `answer`.
        let before = self.state.swap(LOST, Ordering::AcqRel);
        if before == WATCHED {
            self.waker.wake();
        }
        let is_free = before == ABANDONED;
        if is_free {
            // Relaxed: as in `take`.
            self.state.store(FREE, Ordering::Relaxed);
        }
        Some(Lost { leaked, is_free })
    }

    /// Leaves a waker, and a deadline unless there is one. `false` if there is nothing to wait for any more.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        self.set_deadline();
        #[cfg(not(loom))]
        self.waker.register(waker);
        #[cfg(loom)]
        self.waker.register_by_ref(waker);
        // Release: pairs with the acquire in `answer` and `lose`: who finds the slot watched finds the waker. If it was
        // watched before, they may find it so without the new waker; then it is they who meet in the waker.
        match self.state.compare_exchange(PENDING, WATCHED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(WATCHED) => true,
            Err(_) => false,
        }
    }

    /// Takes the waker back, for the job's future, which is awake, and looks before it sleeps again.
    pub(crate) fn forget_waker(&self) {
        #[cfg(not(loom))]
        drop(self.waker.take());
        #[cfg(loom)]
        drop(self.waker.take_waker());
    }

    /// Whether the job is answered, or its buffers are lost: for its future, which then has something to [`take`](Self::take).
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: pairs with the release in `answer` and `lose`, for what `take` does next.
        matches!(self.state.load(Ordering::Acquire), ANSWERED | LOST)
    }

    /// Takes the buffers, and why the job was taken back, if it was. `None` if the device has kept the buffers. The slot is free
    /// then.
    ///
    /// # Safety
    /// The caller is the job's future, which has taken nothing yet, and has seen that the job [is over](Self::is_over); the
    /// buffers were parked with this type.
    #[inline]
    pub(crate) unsafe fn take<T: Send + 'static>(&self) -> Option<(T, Option<Error>)> {
        // Relaxed: `is_over` has acquired what came before, and nobody else changes the state any more.
        if self.state.load(Ordering::Relaxed) == LOST {
            // Relaxed: as below.
            self.state.store(FREE, Ordering::Relaxed);
            return None;
        }
        // SAFETY: answered, so both are the caller's, and the type is right by his promise.
        let value = self.parked.with_mut(|parked| unsafe { (*parked).take::<T>() });
        // SAFETY: as above. There is seldom one, and the place is wide.
        let error = self.error.with_mut(|error| unsafe { (*error).is_some().then(|| (*error).take()) }).flatten();
        // Relaxed: the slot is handed to the holder of the pair afterwards, through that or a queue.
        self.state.store(FREE, Ordering::Relaxed);
        Some((value, error))
    }

    /// The future is dropped. The job has as long as it was given, or until the deadline that was set before.
    ///
    /// # Safety
    /// The caller is the job's future, which has taken nothing, and comes no more.
    pub(crate) unsafe fn abandon(&self) -> Abandoned {
        self.set_deadline();
        let mut state = self.state.load(Ordering::Acquire);
        while let PENDING | WATCHED = state {
            // Release: pairs with the acquire in `answer`. Acquire, if it fails: pairs with the release there.
            match self.state.compare_exchange(state, ABANDONED, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Abandoned::InFlight,
                Err(now) => state = now,
            }
        }
        if state == LOST {
            // Relaxed: as in `take`.
            self.state.store(FREE, Ordering::Relaxed);
            return Abandoned::Over;
        }
        // SAFETY: answered, so the device has finished, and the buffers are the caller's.
        unsafe { self.discard() };
        Abandoned::Over
    }

    fn set_deadline(&self) {
        // Relaxed, both: see `deadline`. Only the future sets it.
        if self.deadline.load(Ordering::Relaxed) == 0 {
            let nanos = EPOCH.elapsed().saturating_add(self.limit()).as_nanos();
            self.deadline.store(u64::try_from(nanos).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
        }
    }

    /// Drops what is parked, and frees the slot.
    ///
    /// # Safety
    /// The device does not use the buffers, and nobody else touches this slot.
    pub(crate) unsafe fn discard(&self) {
        // SAFETY: the caller's promise.
        self.parked.with_mut(|parked| unsafe { (*parked).discard() });
        // SAFETY: as above.
        self.error.with_mut(|error| unsafe { *error = None });
        // Relaxed: as in `take`.
        self.state.store(FREE, Ordering::Relaxed);
    }
}

#[cfg(all(loom, test))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use loom::sync::atomic::{AtomicUsize as Watched, Ordering as WatchedOrdering};
    use loom::thread;

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    /// Counts how often it is dropped.
    struct Buffers(Arc<AtomicUsize>);

    impl Wipe for Buffers {
        fn wipe(&mut self) {}
    }

    impl Drop for Buffers {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says that it was woken, in a way that loom sees.
    struct Flag(Watched);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, WatchedOrdering::Release);
        }
    }

    /// A slot with a job in flight, and how often its buffers were dropped.
    fn launched() -> (Arc<OwnedSlot>, Arc<AtomicUsize>) {
        let (slot, drops) = (Arc::new(OwnedSlot::new()), Arc::new(AtomicUsize::new(0)));
        // SAFETY: nobody else has the slot.
        unsafe { slot.park(Buffers(Arc::clone(&drops))) };
        slot.launch(SOON);
        (slot, drops)
    }

    fn answer(slot: &Arc<OwnedSlot>) -> thread::JoinHandle<bool> {
        let slot = Arc::clone(slot);
        // SAFETY: this thread plays the holder of the pair; there is no device.
        thread::spawn(move || unsafe { slot.answer(Some(Error::Canceled)) })
    }

    #[test]
    fn a_future_that_registers_is_woken_or_told_to_look_again() {
        loom::model(|| {
            let (slot, drops) = launched();
            let answering = answer(&slot);
            let flag = Arc::new(Flag(Watched::new(0)));
            let waits = slot.register(&Waker::from(Arc::clone(&flag)));
            answering.join().expect("no panic inside");
            assert_eq!(flag.0.load(WatchedOrdering::Acquire), usize::from(waits));
            assert!(slot.is_over());
            // SAFETY: this thread plays the future.
            let Some((buffers, Some(Error::Canceled))) = (unsafe { slot.take::<Buffers>() }) else {
                panic!("it was answered");
            };
            assert_eq!(drops.load(Ordering::Relaxed), 0);
            drop(buffers);
            assert_eq!(drops.load(Ordering::Relaxed), 1);
        });
    }

    #[test]
    fn a_second_waker_takes_the_place_of_the_first() {
        loom::model(|| {
            let (slot, _) = launched();
            let flags = [(); 2].map(|()| Arc::new(Flag(Watched::new(0))));
            assert!(slot.register(&Waker::from(Arc::clone(&flags[0]))));
            let answering = answer(&slot);
            let waits = slot.register(&Waker::from(Arc::clone(&flags[1])));
            answering.join().expect("no panic inside");
            let woken = flags[1].0.load(WatchedOrdering::Acquire);
            assert!(!waits || woken == 1, "told to wait, and not woken");
            assert!(slot.is_over());
            // SAFETY: this thread plays the future.
            assert!(unsafe { slot.take::<Buffers>() }.is_some());
        });
    }

    #[test]
    fn buffers_of_an_abandoned_job_are_dropped_once_by_whoever_is_last() {
        loom::model(|| {
            let (slot, drops) = launched();
            let answering = answer(&slot);
            // SAFETY: this thread plays the future.
            let abandoned = unsafe { slot.abandon() };
            let freed = answering.join().expect("no panic inside");
            assert_eq!(freed, abandoned == Abandoned::InFlight, "one of the two frees the slot");
            assert_eq!(drops.load(Ordering::Relaxed), 1);
            assert!(!slot.is_in_flight());
        });
    }

    #[test]
    fn lost_buffers_are_dropped_by_nobody() {
        loom::model(|| {
            let (slot, drops) = launched();
            let losing = {
                let slot = Arc::clone(&slot);
                // SAFETY: this thread plays the holder of the pair.
                thread::spawn(move || unsafe { slot.lose() })
            };
            // SAFETY: this thread plays the future.
            let abandoned = unsafe { slot.abandon() };
            let lost = losing.join().expect("no panic inside").expect("it was in flight");
            assert!(lost.leaked);
            assert_eq!(lost.is_free, abandoned == Abandoned::InFlight, "one of the two frees the slot");
            assert!(!slot.is_in_flight() && !slot.is_over(), "it can be used again");
            assert_eq!(drops.load(Ordering::Relaxed), 0);
        });
    }
}
