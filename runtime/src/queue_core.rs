//! One open queue: its table of jobs, its two halves, and the buffers of jobs that own theirs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use spin::mutex::{SpinMutex, SpinMutexGuard};
use uaccel_queue::{Cells, DeviceError, Done, OpenError, Operation, Outcome, Quiet, Status, Token};

use crate::books::Books;
use crate::counters::Tally;
use crate::device::{DeviceCore, refusal_of};
use crate::error::Cause;
use crate::owned_slot::{Lost, OwnedSlot};
use crate::pair::Pair;
use crate::pins::Pins;
use crate::recover::{self, Verdict};
use crate::sys::fork_mark::ForkMark;
use crate::{Error, patience};

/// One open queue. Shared by the device's pool, by futures of its jobs, and by the reactor while it watches.
pub(crate) struct QueueCore {
    pub(crate) device: Arc<DeviceCore>,
    pub(crate) cells: Arc<Cells>,
    /// The device's, near at hand.
    pub(crate) fork: ForkMark,
    /// The part that the future of an owned job shares, for each slot.
    slots: Box<[OwnedSlot]>,
    /// Held for short, or by a caller whose job runs. A lock that spins is let go with a plain store; who cannot have it at once
    /// naps here, and does not spin.
    home: SpinMutex<Home>,
    /// Held while somebody begins to wait for the pair.
    waiting: Mutex<()>,
    returned_home: Condvar,
    /// Slots of owned jobs that are done with, for whoever holds the pair next.
    freed: ArrayQueue<u32>,
    /// Whether the reactor has it on its list.
    pub(crate) watched: AtomicBool,
    /// Whether it is a lease's, also while the pair is at home because of owned jobs in flight.
    leased: AtomicBool,
    /// Whether a call stays with it, because the device holds what was lent.
    parked: AtomicBool,
    /// What its jobs have covered, where that has to be. The halves own it.
    pins: Mutex<Weak<Pins>>,
    /// The PASID of its accesses, where that is known.
    pasid: Mutex<Option<u32>>,
    pub(crate) tally: Tally,
}

/// Why a queue is polled.
#[derive(Clone, Copy)]
pub(crate) enum Reason<'a> {
    /// To see what there is.
    Polled,
    /// By the future of the owned job in this slot, on its own thread.
    WaitedFor(usize),
    /// Because jobs are being taken back: those that were cancelled were so because of this.
    TakenBack(&'a Cause),
}

/// Where the pair is.
pub(crate) enum Home {
    /// Here: whoever has the lock may use it.
    Here(Box<Pair>),
    /// With a lease, which brings it back when it ends or leaves owned jobs in flight.
    Leased,
    /// Here, but the queue cannot be used: it did not come up again, or the device would not let go of its memory. Without a pair, somebody tries to bring it back
    /// just now.
    Down(Option<Box<Pair>>),
}

impl QueueCore {
    pub(crate) fn new(device: Arc<DeviceCore>, cells: Arc<Cells>, pair: Pair) -> Self {
        let depth = cells.depth();
        Self {
            fork: device.fork.clone(),
            device,
            slots: (0..depth).map(|_| OwnedSlot::new()).collect(),
            home: SpinMutex::new(Home::Here(Box::new(pair))),
            waiting: Mutex::new(()),
            returned_home: Condvar::new(),
            freed: ArrayQueue::new(depth),
            watched: AtomicBool::new(false),
            leased: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            pins: Mutex::default(),
            pasid: Mutex::default(),
            tally: Tally::default(),
            cells,
        }
    }

    /// The pair's home, if nobody else has it locked. What the lock guards is whole at every point, so a panic of a caller's
    /// closure does no harm to it.
    #[inline]
    pub(crate) fn try_home(&self) -> Option<SpinMutexGuard<'_, Home>> {
        self.home.try_lock()
    }

    /// The pair's home, as soon as nobody else has it locked.
    pub(crate) fn home(&self) -> SpinMutexGuard<'_, Home> {
        const FIRST_NAP: Duration = Duration::from_micros(20);
        const LONGEST_NAP: Duration = Duration::from_millis(1);
        let mut nap = FIRST_NAP;
        loop {
            if let Some(home) = self.try_home() {
                return home;
            }
            thread::sleep(nap);
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }

    /// Whether a call stays with it, because the device holds what was lent.
    pub(crate) fn is_parked(&self) -> bool {
        // Relaxed: who finds out late only looks once more.
        self.parked.load(Ordering::Relaxed)
    }

    /// A call stays with it, or does no more.
    pub(crate) fn set_parked(&self, parked: bool) {
        self.parked.store(parked, Ordering::Relaxed);
    }

    /// Whether it is some lease's.
    pub(crate) fn is_leased(&self) -> bool {
        // Relaxed: set by whoever has the home locked, and asked for by those who do.
        self.leased.load(Ordering::Relaxed)
    }

    /// Makes it a lease's, or nobody's again. The home is locked, unless a lease ends.
    pub(crate) fn set_leased(&self, leased: bool) {
        // Relaxed: see `is_leased`. The pair has a lock of its own, so who finds out late only looks once more.
        self.leased.store(leased, Ordering::Relaxed);
    }

    /// Notes the address space of its accesses.
    pub(crate) fn set_pasid(&self, pasid: Option<u32>) {
        *self.pasid.lock().unwrap_or_else(PoisonError::into_inner) = pasid;
    }

    /// What a caller is told of a job that went wrong.
    #[cold]
    pub(crate) fn error_of(&self, operation: Operation, outcome: &Outcome, room: u64) -> Error {
        let pasid = *self.pasid.lock().unwrap_or_else(PoisonError::into_inner);
        Error::of_outcome(self.device.name(), pasid, operation, outcome, room, self.device.limit())
    }

    /// Notes where the halves keep what jobs have covered.
    pub(crate) fn set_pins(&self, pins: Option<&Arc<Pins>>) {
        *self.pins.lock().unwrap_or_else(PoisonError::into_inner) = pins.map(Arc::downgrade).unwrap_or_default();
    }

    /// Why the job in a slot was not passed to the device: its memory could not be covered. Whoever asks has the slot, whose job was answered.
    #[cold]
    pub(crate) fn refusal(&self, slot: usize, operation: Operation) -> Option<Error> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        let reason = pins.refusal(slot)?.to_string().into();
        Some(Error::Unreachable { operation, reason })
    }

    /// Waits until the pair is at home, and takes it along. A queue that is down is brought back, if that can be.
    pub(crate) fn take_pair(&self) -> Result<Box<Pair>, Error> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut home = self.home();
            match std::mem::replace(&mut *home, Home::Leased) {
                Home::Here(pair) => return Ok(pair),
                Home::Down(Some(mut pair)) => {
                    *home = Home::Down(None);
                    drop((home, waiting));
                    match self.revive_in_turn(&mut pair) {
                        Ok(()) => {
                            *self.home() = Home::Leased;
                            return Ok(pair);
                        }
                        Err(error) => {
                            self.bring_home(pair);
                            return Err(error);
                        }
                    }
                }
                Home::Down(None) => *home = Home::Down(None),
                Home::Leased => {}
            }
            drop(home);
            let waited = self.returned_home.wait_timeout(waiting, patience::BACKSTOP);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Brings the pair back to where others find it, whatever has become of the queue.
    pub(crate) fn bring_home(&self, pair: Box<Pair>) {
        *self.home() = if pair.verdict == Verdict::Usable { Home::Here(pair) } else { Home::Down(Some(pair)) };
        self.tell_who_waits();
    }

    /// Brings back a queue that is down and no lease's. Says whether it is there; `None` if it was not down, or somebody else is at it.
    pub(crate) fn revive(&self) -> Option<Result<(), OpenError>> {
        let mut pair = {
            let mut home = self.try_home()?;
            match &mut *home {
                Home::Down(pair) if !self.is_leased() => pair.take()?,
                _ => return None,
            }
        };
        let revived = recover::revive(self, &mut pair);
        self.bring_home(pair);
        Some(revived)
    }

    /// As [`revive`](Self::revive), for whoever has the pair, unless the device was found down just before.
    fn revive_in_turn(&self, pair: &mut Pair) -> Result<(), Error> {
        let device = &self.device;
        let turn = device.attempts.begin().map_err(|refusal| device.refused(refusal))?;
        match recover::revive(self, pair) {
            Ok(()) => turn.succeeded(),
            Err(error) => {
                let error = device.open_failed(error);
                turn.failed(refusal_of(&error));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Wakes who waits for the pair: with the lock, so that nobody is between his last look and his sleep.
    fn tell_who_waits(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.returned_home.notify_all();
    }

    /// The error of a job for which there is no place, counted.
    #[cold]
    pub(crate) fn full(&self) -> Error {
        self.tally.full.add(1);
        Error::QueueFull
    }

    /// Whether there is a slot to build a job in.
    #[inline]
    pub(crate) fn has_free_slot(&self, pair: &mut Pair) -> bool {
        pair.slots.has_free() || self.has_slot_of_a_future(pair)
    }

    /// Fetches the slots of owned jobs that are done with.
    #[cold]
    fn has_slot_of_a_future(&self, pair: &mut Pair) -> bool {
        while let Some(slot) = self.freed.pop() {
            pair.slots.release(slot);
        }
        pair.slots.has_free()
    }

    /// How many slots are free.
    pub(crate) fn free_slots(&self, pair: &Pair) -> usize {
        pair.slots.free() + self.freed.len()
    }

    /// What the future of a slot's job shares with the queue.
    #[inline]
    pub(crate) fn owned_slot(&self, slot: usize) -> &OwnedSlot {
        &self.slots[slot]
    }

    /// Hands back the slot of an owned job that is answered and taken.
    pub(crate) fn free_owned(&self, slot: u32) {
        let pushed = self.freed.push(slot);
        debug_assert!(pushed.is_ok(), "there are as many places as slots");
    }

    /// Polls once. Answers of borrowed jobs go to `borrowed`, those of owned jobs to their futures. Says how many there were.
    #[inline]
    pub(crate) fn drain(
        &self,
        pair: &mut Pair,
        borrowed: impl FnMut(Token, &Outcome),
    ) -> Result<usize, Box<DeviceError>> {
        self.drain_because(pair, Reason::Polled, borrowed)
    }

    /// As [`drain`](Self::drain), for `reason`.
    #[inline]
    pub(crate) fn drain_because(
        &self,
        pair: &mut Pair,
        reason: Reason<'_>,
        mut borrowed: impl FnMut(Token, &Outcome),
    ) -> Result<usize, Box<DeviceError>> {
        // SAFETY: whoever has the pair has the only completer of this table.
        let mut done = unsafe { Done::new(&self.cells, pair.slots.places()) };
        let polled = pair.completer.poll(&mut done);
        let count = done.slots().len();
        if count != 0 {
            self.hand_out(pair, count, reason, &mut borrowed);
        }
        polled.map(|()| count)
    }

    /// Ends everything in flight as aborted, because of `cause`. The device is quiet.
    pub(crate) fn abort_all(&self, pair: &mut Pair, cause: &Cause, mut borrowed: impl FnMut(Token, &Outcome)) {
        // First: whoever is told of an end has the memory back, and may have other memory there in a moment.
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(pins) = pins {
            pins.release_jobs();
        }
        let tokens: Vec<_> = self.cells.in_flight().collect();
        // SAFETY: as in `drain`.
        let mut done = unsafe { Done::new(&self.cells, pair.slots.places()) };
        for token in tokens {
            let aborted = done.complete(token, &Outcome::failed(Status::Aborted));
            debug_assert!(aborted.is_ok(), "the token was just found in flight");
        }
        let count = done.slots().len();
        self.hand_out(pair, count, Reason::TakenBack(cause), &mut borrowed);
    }

    /// Books the `count` jobs just answered, and tells whom they concern.
    #[inline]
    fn hand_out(
        &self,
        pair: &mut Pair,
        mut count: usize,
        reason: Reason<'_>,
        borrowed: &mut impl FnMut(Token, &Outcome),
    ) {
        if pair.owned != 0 {
            count = self.answer_owned_jobs(pair, count, reason);
        }
        pair.borrowed -= count;
        let answered = pair.slots.answered(count);
        // SAFETY: just answered. The slots are free again, but nobody builds a job while the pair is borrowed here.
        let answers = unsafe { self.cells.answers(answered) };
        let mut books = Books::open(&self.tally, &mut pair.sessions, answers);
        while let Some((job, outcome)) = books.next() {
            borrowed(job.token, outcome);
        }
    }

    /// Answers the owned jobs among the `count` answered, and takes their slots away: they come back when their futures
    /// have the answers. Says how many others there are.
    #[inline(never)]
    fn answer_owned_jobs(&self, pair: &mut Pair, count: usize, reason: Reason<'_>) -> usize {
        let mut left = 0;
        for at in 0..count {
            let places = pair.slots.places();
            let slot = places[at];
            let owned = self.owned_slot(slot as usize);
            if !owned.is_in_flight() {
                places[left] = slot;
                left += 1;
                continue;
            }
            pair.owned -= 1;
            // SAFETY: the slot was answered, and is built again only after its future has freed it.
            let answers = unsafe { self.cells.answers(std::slice::from_ref(&slot)) };
            let mut books = Books::open(&self.tally, &mut pair.sessions, answers);
            let Some((job, outcome)) = books.next() else { continue };
            // Counted in full before the future is told: whoever it wakes may look at the counters.
            drop(books);
            let error = match (reason, outcome.status) {
                // A fault without an address is one that the device never met.
                (_, Status::Fault) if outcome.fault.is_none() => self.refusal(slot as usize, job.operation),
                (Reason::TakenBack(cause), Status::Aborted | Status::Canceled) => {
                    Some(cause.to_error(self.device.name()))
                }
                (Reason::WaitedFor(own), _) if own == slot as usize => {
                    // SAFETY: the pair is here; the job is answered; and it is its future that polls.
                    unsafe { owned.answer_own() };
                    continue;
                }
                _ => None,
            };
            // SAFETY: the pair is here; the job is answered, so the device has finished with its memory.
            if unsafe { owned.answer(error) } {
                self.free_owned(slot);
            }
        }
        left
    }

    /// Gives up every owned job in flight, and its buffers for ever: the device may still use them. Slots come back as those of other jobs do, when their
    /// futures have seen it; the queue is not used before the device is quiet.
    pub(crate) fn lose_owned(&self, pair: &mut Pair) {
        pair.owned = 0;
        let tokens: Vec<_> =
            self.cells.in_flight().filter(|token| self.owned_slot(token.slot()).is_in_flight()).collect();
        // SAFETY: as in `drain`.
        let mut done = unsafe { Done::new(&self.cells, pair.slots.places()) };
        for token in &tokens {
            let aborted = done.complete(*token, &Outcome::failed(Status::Aborted));
            debug_assert!(aborted.is_ok(), "the token was just found in flight");
        }
        let mut lost = 0;
        for token in &tokens {
            // SAFETY: the pair is here.
            let Some(Lost { leaked, is_free }) = (unsafe { self.owned_slot(token.slot()).lose() }) else { continue };
            lost += u64::from(leaked);
            if is_free {
                #[allow(clippy::cast_possible_truncation, reason = "a slot is below MAX_DEPTH")]
                self.free_owned(token.slot() as u32);
            }
        }
        self.device.tally.lost.add(lost);
        tracing::error!(device = self.device.name(), lost, "device does not let go; buffers leaked");
    }

    /// Whether somebody still wants to know of an owned job in flight.
    pub(crate) fn is_wanted(&self) -> bool {
        self.slots.iter().any(OwnedSlot::is_wanted)
    }

    /// The earliest deadline of an owned job in flight.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.slots.iter().filter_map(OwnedSlot::deadline).min()
    }

    /// Puts the queue on the reactor's list: it has an owned job in flight, and perhaps nobody polls it.
    #[inline]
    pub(crate) fn leave_to_reactor(self: &Arc<Self>) {
        self.device.reactor.watch(self);
    }
}

/// Stops the device before anything it may use is freed. What it will not let go of is leaked, counted and logged.
impl Drop for QueueCore {
    fn drop(&mut self) {
        let home = std::mem::replace(self.home.get_mut(), Home::Leased);
        let (Home::Here(mut pair) | Home::Down(Some(mut pair))) = home else { return };
        if !self.fork.is_home() {
            // A child of the process that opened the queue: neither the device nor its descriptors nor the buffers are ours.
            std::mem::forget(pair);
            std::mem::forget(self.cells.clone());
            return;
        }
        if pair.verdict == Verdict::Unproven {
            // What it can reach stays as it is, unless it has let go by now. Buffers were given up before.
            if !matches!(pair.transport.stop(Duration::ZERO), Ok(Quiet::Proven)) {
                std::mem::forget(pair);
                std::mem::forget(self.cells.clone());
                return;
            }
        }
        if self.cells.in_flight().next().is_some() {
            match pair.transport.stop(recover::STEP) {
                Ok(Quiet::Proven) => {}
                stopped => {
                    tracing::error!(device = self.device.name(), ?stopped, "device is not quiet");
                    self.lose_owned(&mut pair);
                    std::mem::forget(pair);
                    std::mem::forget(self.cells.clone());
                    return;
                }
            }
        }
        // Halves first: they may talk to the device; then buffers, which nothing uses any more.
        drop(pair);
        for slot in &self.slots {
            // SAFETY: nothing was in flight, or the device is quiet; and whoever shared the slot is gone.
            unsafe { slot.discard() };
        }
    }
}

impl fmt::Debug for QueueCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueCore")
            .field("device", &self.device.name())
            .field("cells", &self.cells)
            .finish_non_exhaustive()
    }
}
