//! The table of jobs of one queue: built in place, read by the driver, answered in place.
//!
//! A slot goes round like this, and at each point one party may touch it:
//!
//! | state | who | what |
//! | --- | --- | --- |
//! | free or being built | the runtime, holding the submitter | writes the job |
//! | in flight, from [`Batch::launch`] to [`Done::complete`] | nobody writes; the driver reads the job | |
//! | answered | the runtime, holding the completer | reads the outcome, hands the slot back |
//!
//! The table lies in memory of this process that no device reaches. What a device says is compared with it: a
//! completion whose token is not that of a job in flight is [`DeviceError::UnknownToken`], and changes nothing.

use core::fmt;

use crate::sync::SharedCell;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::{DeviceError, Job, JobFlags, MAX_DEPTH, Outcome, Token, bounds};

/// One slot: a job and its answer, two cache lines.
#[derive(Debug)]
#[repr(C, align(128))]
struct Cell {
    job: SharedCell<Job>,
    outcome: SharedCell<Outcome>,
    /// The raw token of the job in flight. If there is none, some token inverted: it names another slot, so nothing
    /// that is looked for here equals it. It stands here, not in an array of its own, so that the two halves of a queue
    /// share a line only over a job that both are at.
    live: AtomicU32,
}

/// What stands for a token that is not in flight.
const fn idle(token: Token) -> u32 {
    !token.raw()
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Cell>() == 128, "a slot is two cache lines");

/// The table of jobs of one queue.
pub struct Cells {
    cells: Box<[Cell]>,
}

// SAFETY: the pointers in a job are only values here; who may touch which cell when is stated above and kept by the
// callers of the unsafe methods.
unsafe impl Send for Cells {}
// SAFETY: as for `Send`: concurrent calls touch different cells, or the same cell only for reading.
unsafe impl Sync for Cells {}

impl Cells {
    /// A table of `depth` slots, all free.
    ///
    /// # Panics
    /// If `depth` is 0 or more than [`MAX_DEPTH`].
    #[must_use]
    pub fn new(depth: usize) -> Self {
        assert!((1..=MAX_DEPTH).contains(&depth), "a queue has 1 to {MAX_DEPTH} slots, not {depth}");
        Self {
            cells: (0..depth)
                .map(|slot| Cell {
                    job: SharedCell::new(Job::nop(Token::first(slot))),
                    outcome: SharedCell::new(Outcome::ok(0, 0)),
                    live: AtomicU32::new(idle(Token::first(slot))),
                })
                .collect(),
        }
    }

    /// The number of slots.
    #[inline]
    #[must_use]
    pub fn depth(&self) -> usize {
        self.cells.len()
    }

    /// Builds the next job of a free slot in place: gives the slot its next token and clears the flags; `build` does the
    /// rest.
    ///
    /// # Safety
    /// `slot` is below [`Cells::depth`] and free, and belongs to the caller until it is launched.
    #[inline]
    pub unsafe fn build<R>(&self, slot: usize, build: impl FnOnce(&mut Job) -> R) -> R {
        // SAFETY: the caller's promise.
        unsafe { cell(&self.cells, slot) }.job.with_mut(|job| {
            // SAFETY: the slot is the caller's, so nobody else has a reference to it.
            let job = unsafe { &mut *job };
            job.token = job.token.next();
            job.flags = JobFlags::empty();
            build(job)
        })
    }

    /// A job that was answered, and what became of it.
    ///
    /// # Safety
    /// `slot` was handed out by [`Done::slots`], and is not built again while the references live.
    #[inline]
    #[must_use]
    pub unsafe fn answer(&self, slot: usize) -> (&Job, &Outcome) {
        // SAFETY: the caller's promise.
        unsafe { answer(&self.cells, slot) }
    }

    /// Jobs that were answered, and what became of each, in the order of `slots`.
    ///
    /// # Safety
    /// As for [`answer`](Self::answer), for every slot.
    #[inline]
    pub unsafe fn answers<'a>(&'a self, slots: &'a [u32]) -> impl ExactSizeIterator<Item = (&'a Job, &'a Outcome)> {
        // The cells themselves, not the table, as in `Batch`.
        let cells = &*self.cells;
        // SAFETY: the caller's promise.
        slots.iter().map(move |slot| unsafe { answer(cells, *slot as usize) })
    }

    /// What became of a job that was answered.
    ///
    /// # Safety
    /// As for [`answer`](Self::answer).
    #[inline]
    #[must_use]
    pub unsafe fn outcome(&self, slot: usize) -> Outcome {
        // SAFETY: the caller's promise.
        by_fields(unsafe { self.answer(slot) }.1)
    }

    /// The job in a slot.
    ///
    /// # Safety
    /// `slot` is below [`Cells::depth`], and built, in flight or answered; the reference is dropped before it is built
    /// again.
    #[inline]
    #[must_use]
    pub unsafe fn job(&self, slot: usize) -> &Job {
        // SAFETY: the caller's promise; nobody writes a job between being built and built again.
        unsafe { cell(&self.cells, slot).job.with(|job| &*job) }
    }

    /// Whether the job under this token is in flight.
    #[inline]
    #[must_use]
    pub fn is_live(&self, token: Token) -> bool {
        // Relaxed: the answer is only as fresh as what orders this call against submit and poll.
        self.cells.get(token.slot()).is_some_and(|cell| cell.live.load(Ordering::Relaxed) == token.raw())
    }

    /// The tokens in flight. A snapshot: exact while the caller holds both halves of the queue.
    pub fn in_flight(&self) -> impl Iterator<Item = Token> + '_ {
        let live = self.cells.iter().map(|cell| Token::from_raw(cell.live.load(Ordering::Relaxed)));
        live.enumerate().filter(|(slot, token)| token.slot() == *slot).map(|(_, token)| token)
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("depth", &self.depth()).field("in_flight", &self.in_flight().count()).finish()
    }
}

/// The jobs of one submit, in order.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The cells themselves, not the table: a driver's loop then keeps their address in a register.
    cells: &'a [Cell],
    slots: &'a [u32],
}

impl<'a> Batch<'a> {
    /// Offers the jobs in `slots` to a driver.
    ///
    /// # Safety
    /// Every slot is below the table's depth, built, not in flight, named once, and stays the driver's until it is
    /// answered.
    #[inline]
    #[must_use]
    pub unsafe fn new(cells: &'a Cells, slots: &'a [u32]) -> Self {
        Self { cells: &cells.cells, slots }
    }

    /// How many jobs there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Job number `index` of the batch.
    ///
    /// # Panics
    /// If `index` is not below [`Batch::len`].
    #[inline]
    #[must_use]
    pub fn job(&self, index: usize) -> &'a Job {
        // SAFETY: `new`'s caller promised that the slot is the driver's until it is answered, so nobody writes the job.
        self.cell(index).job.with(|job| unsafe { &*job })
    }

    /// Marks job number `index` as in flight and says under which token. Call it before the device can see the job, and
    /// read the job no more afterwards: from here on its completion is believed.
    ///
    /// # Panics
    /// If `index` is not below [`Batch::len`].
    #[inline]
    pub fn launch(&self, index: usize) -> Token {
        launch(self.cell(index))
    }

    /// As [`launch`](Self::launch), for a device that is this process itself and is done with the job when `submit` returns:
    /// records how the job ended, for [`Done::complete_answered`].
    ///
    /// # Safety
    /// The outcome claims no more than the job offered: what [`InFlight::complete`] would refuse, it does not say. The
    /// token is given to the completer once.
    ///
    /// # Panics
    /// As for [`launch`](Self::launch).
    #[inline]
    pub unsafe fn launch_answered(&self, index: usize, outcome: Outcome) -> Token {
        let cell = self.cell(index);
        // SAFETY: the slot is the driver's until it is answered, and nobody looks at the outcome before it is.
        cell.outcome.with_mut(|place| unsafe { *place = by_fields(&outcome) });
        launch(cell)
    }

    /// Takes back [`Batch::launch`] for a job that the device has *not* accepted.
    ///
    /// # Panics
    /// If `index` is not below [`Batch::len`].
    #[inline]
    pub fn recall(&self, index: usize) {
        // Relaxed: the device never saw the job, so nobody looks for it.
        let cell = self.cell(index);
        cell.live.store(idle(self.job(index).token), Ordering::Relaxed);
    }

    #[inline]
    fn cell(&self, index: usize) -> &'a Cell {
        // SAFETY: `new`'s caller promised that every slot is below the table's depth.
        unsafe { cell(self.cells, self.slots[index] as usize) }
    }
}

/// Where a driver puts the answers of one poll.
#[derive(Debug)]
pub struct Done<'a> {
    cells: &'a [Cell],
    places: &'a mut [u32],
    len: usize,
}

impl<'a> Done<'a> {
    /// A sink with room for one answered slot in each of `places`, filled from the first on.
    ///
    /// # Safety
    /// The caller holds the only completer of this table for as long as the value lives.
    #[inline]
    #[must_use]
    pub unsafe fn new(cells: &'a Cells, places: &'a mut [u32]) -> Self {
        Self { cells: &cells.cells, places, len: 0 }
    }

    /// How many more answers fit. A driver leaves what does not fit for the next poll.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        self.places.len() - self.len
    }

    /// The job under `token`, to be answered.
    ///
    /// # Errors
    /// [`DeviceError::UnknownToken`] if no such job is in flight.
    #[inline]
    pub fn find(&mut self, token: Token) -> Result<InFlight<'_, 'a>, DeviceError> {
        match live(self.cells, token) {
            Some(cell) => Ok(InFlight { done: self, cell, token }),
            None => Err(DeviceError::UnknownToken(token)),
        }
    }

    /// Records how the job under `token` ended: [`find`](Self::find) and [`InFlight::complete`].
    ///
    /// # Errors
    /// As for the two.
    ///
    /// # Panics
    /// As for [`InFlight::complete`].
    #[inline]
    pub fn complete(&mut self, token: Token, outcome: &Outcome) -> Result<(), DeviceError> {
        self.find(token)?.complete(*outcome)
    }

    /// Completes one job after the other, as long as there is [`room`](Self::room), with the outcomes that
    /// [`Batch::launch_answered`] recorded.
    ///
    /// # Safety
    /// Each token is one that [`Batch::launch_answered`] returned, and that call happened before this one.
    ///
    /// # Errors
    /// [`DeviceError::UnknownToken`]. The jobs before are completed, that one is not, those behind were not taken.
    #[inline]
    pub unsafe fn complete_answered(&mut self, tokens: impl Iterator<Item = Token>) -> Result<(), DeviceError> {
        // In registers for the loop: as fields they would be loaded and stored for every answer.
        let (cells, mut len) = (self.cells, self.len);
        let mut unknown = None;
        for (place, token) in self.places[len..].iter_mut().zip(tokens) {
            let Some(cell) = live(cells, token) else {
                unknown = Some(token);
                break;
            };
            // Relaxed: as in `end`.
            cell.live.store(idle(token), Ordering::Relaxed);
            *place = slot_of(token);
            len += 1;
        }
        self.len = len;
        match unknown {
            None => Ok(()),
            Some(token) => Err(DeviceError::UnknownToken(token)),
        }
    }

    /// Completes one job after the other, as long as there is [`room`](Self::room) and `next` has an answer, with what `outcome` makes of it: the loop for what
    /// nearly all answers are. Returns the first answer that is something else, and is not completed: its token is that of no job in flight, or `outcome` makes nothing of it, or
    /// something that the job's lengths do not plainly allow. It is for [`find`](Self::find) and [`InFlight::complete`], which need not refuse it.
    ///
    /// `next` has seen the device's answer as for [`InFlight::complete`]. Neither of the two panics: jobs that were completed by then would be in no [`slots`](Self::slots).
    #[inline]
    pub fn complete_plain<A: Copy>(
        &mut self,
        mut next: impl FnMut() -> Option<(Token, A)>,
        outcome: impl Fn(A, &Job) -> Option<Outcome>,
    ) -> Option<(Token, A)> {
        // In registers for the loop: as fields they would be loaded and stored for every answer.
        let (cells, places, mut len) = (self.cells, &mut *self.places, self.len);
        let mut other = None;
        while len < places.len() {
            let Some((token, answer)) = next() else { break };
            let plain = live(cells, token).and_then(|cell| {
                // SAFETY: the slot is in flight, so nobody writes the job.
                let job = cell.job.with(|job| unsafe { &*job });
                outcome(answer, job).filter(|outcome| bounds::hold(job, outcome)).map(|outcome| (cell, outcome))
            });
            let Some((cell, outcome)) = plain else {
                other = Some((token, answer));
                break;
            };
            places[len] = end(cell, token, outcome);
            len += 1;
        }
        self.len = len;
        other
    }

    /// The slots answered so far.
    #[inline]
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.places[..self.len]
    }
}

/// A job in flight that the device has answered.
#[derive(Debug)]
pub struct InFlight<'d, 'a> {
    done: &'d mut Done<'a>,
    cell: &'a Cell,
    token: Token,
}

impl InFlight<'_, '_> {
    /// The job.
    #[inline]
    #[must_use]
    pub fn job(&self) -> &Job {
        // SAFETY: the slot is in flight, so nobody writes the job.
        self.cell.job.with(|job| unsafe { &*job })
    }

    /// Records how it ended. Lengths beyond what the job offered are refused.
    ///
    /// The caller has seen the device's answer with acquire ordering or stronger, or produced it itself: afterwards the
    /// device no longer touches the job's memory.
    ///
    /// # Errors
    /// [`DeviceError::Overrun`] if the device claims to have used more than it was given, [`DeviceError::Malformed`] if it expects more of a job that is none of a stream; nothing is
    /// recorded then.
    ///
    /// # Panics
    /// If there is no [`room`](Done::room).
    #[inline]
    pub fn complete(self, outcome: Outcome) -> Result<(), DeviceError> {
        bounds::check(self.job(), &outcome)?;
        let Self { done, cell, token } = self;
        let place = &mut done.places[done.len];
        *place = end(cell, token, outcome);
        done.len += 1;
        Ok(())
    }
}

/// Marks a cell, which is its driver's, as in flight.
#[inline]
fn launch(cell: &Cell) -> Token {
    // SAFETY: the slot is the driver's until it is answered, so nobody writes the job.
    let token = cell.job.with(|job| unsafe { (*job).token });
    // Release: pairs with the acquire in `live`. For a device that answers what it was asked, the release of the descriptor
    // would do; one that guesses a token in advance must not lead a completer to a job that is only half visible.
    cell.live.store(token.raw(), Ordering::Release);
    token
}

/// # Safety
/// `slot` is below the table's depth.
#[inline]
unsafe fn cell(cells: &[Cell], slot: usize) -> &Cell {
    debug_assert!(slot < cells.len(), "slot {slot} of {}", cells.len());
    // SAFETY: the caller's promise. Where slots come from is settled when a queue is opened; a check per access would be
    // one per job and step.
    unsafe { cells.get_unchecked(slot) }
}

/// # Safety
/// As for [`Cells::answer`].
#[inline]
unsafe fn answer(cells: &[Cell], slot: usize) -> (&Job, &Outcome) {
    // SAFETY: the caller's promise: an answered slot is one of the table.
    let cell = unsafe { cell(cells, slot) };
    // SAFETY: answered cells are only read, until the runtime builds them again.
    (cell.job.with(|job| unsafe { &*job }), cell.outcome.with(|outcome| unsafe { &*outcome }))
}

/// The cell of the job under `token`, if that is in flight.
#[inline]
fn live(cells: &[Cell], token: Token) -> Option<&Cell> {
    // Acquire: pairs with the release in `Batch::launch`; whoever finds a token sees its job whole.
    cells.get(token.slot()).filter(|cell| cell.live.load(Ordering::Acquire) == token.raw())
}

/// Ends the flight of the job under `token`, which is that of `cell`, and returns its slot. For whoever holds the only
/// [`Done`] of the table.
#[inline]
fn end(cell: &Cell, token: Token, outcome: Outcome) -> u32 {
    // Relaxed: whoever builds the slot again got it from the caller, whose business that hand-over is.
    cell.live.store(idle(token), Ordering::Relaxed);
    // SAFETY: the slot was in flight and is now the completer's, which `Done::new`'s caller holds alone.
    cell.outcome.with_mut(|cell| unsafe { *cell = outcome });
    slot_of(token)
}

/// Copies an outcome field by field, as it was written: a copy in wide pieces, right after the fields were stored one by one, waits until the stores are through.
#[inline]
fn by_fields(outcome: &Outcome) -> Outcome {
    Outcome {
        status: outcome.status,
        checksum: outcome.checksum,
        consumed: outcome.consumed,
        fault: outcome.fault.as_ref().copied(),
        produced: outcome.produced,
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "a slot is below MAX_DEPTH")]
fn slot_of(token: Token) -> u32 {
    token.slot() as u32
}
