//! A device in use: its queues, opened when needed and leased to threads.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use spin::mutex::SpinMutexGuard;
use uaccel_queue::{Bus, Capabilities, Cells, DeviceInfo, Driver, OpenError, Outcome, QueueRequest, TransportError};

use crate::attempts::{Attempts, BUSY_PAUSE, Refusal};
use crate::choice::Candidate;
use crate::counters::{Counters, Tally};
use crate::error::with_cause;
use crate::pair::Pair;
use crate::policy::OnLost;
use crate::queue_core::{Home, QueueCore};
use crate::reactor::Reactor;
use crate::recover::Verdict;
use crate::scope;
use crate::session::DroppedSessions;
use crate::sys::fork_mark::ForkMark;
use crate::work::RawWork;
use crate::{Error, patience, probe, reach};

/// What all queues of a device share.
pub(crate) struct DeviceCore {
    pub(crate) info: DeviceInfo,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) request: QueueRequest,
    pub(crate) options: Options,
    pub(crate) dropped: Arc<DroppedSessions>,
    pub(crate) fork: ForkMark,
    pub(crate) reactor: Arc<Reactor>,
    /// Counts what is not counted per queue.
    pub(crate) tally: Tally,
    /// Who asks for queues, and when not.
    pub(crate) attempts: Attempts,
    /// The most bytes a job may write, as the first queue was granted it.
    limit: OnceLock<u64>,
}

/// What the builder was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) deadline: Duration,
    pub(crate) on_lost: OnLost,
    pub(crate) queues: usize,
}

impl DeviceCore {
    pub(crate) fn new(
        candidate: Candidate,
        request: QueueRequest,
        options: Options,
        dropped: Arc<DroppedSessions>,
        fork: ForkMark,
        reactor: Arc<Reactor>,
    ) -> Self {
        let Candidate { info, bus, driver, .. } = candidate;
        let (tally, attempts, limit) = (Tally::default(), Attempts::default(), OnceLock::new());
        Self { info, bus, driver, request, options, dropped, fork, reactor, tally, attempts, limit }
    }

    /// The most bytes a job may write.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.get().copied().unwrap_or(u64::MAX)
    }

    pub(crate) fn name(&self) -> &str {
        &self.info.name
    }

    /// The error of a queue that could not be opened.
    pub(crate) fn open_failed(&self, source: OpenError) -> Error {
        Error::Open { device: self.name().into(), source: Box::new(source) }
    }

    /// The error of a queue that was not even asked for.
    pub(crate) fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Busy => self.open_failed(TransportError::Busy(self.name().to_owned()).into()),
            Refusal::Down(why) => Error::device_failed(self.name(), why),
        }
    }
}

/// Places for queues; one of which the device does not let go keeps its place, so there are more places than queues in use.
const PLACES_PER_QUEUE: usize = 4;

/// A device in use.
pub(crate) struct Device {
    pub(crate) core: Arc<DeviceCore>,
    pub(crate) granted: Capabilities,
    queues: Box<[OnceLock<Arc<QueueCore>>]>,
    /// How many places are taken.
    opened: AtomicUsize,
}

impl Device {
    /// Opens the device, with its first queue.
    pub(crate) fn open(core: DeviceCore) -> Result<Self, Error> {
        let core = Arc::new(core);
        let first = open_first(&core)?;
        let granted = match &*first.home() {
            Home::Here(pair) => pair.granted.clone(),
            _ => core.driver.advertised(&core.info),
        };
        core.limit.get_or_init(|| granted.max_transfer);
        let queues: Box<[OnceLock<_>]> = (0..core.options.queues * PLACES_PER_QUEUE).map(|_| OnceLock::new()).collect();
        if let Some(place) = queues.first() {
            place.get_or_init(|| first);
        }
        Ok(Self { core, granted, queues, opened: AtomicUsize::new(1) })
    }

    pub(crate) fn name(&self) -> &str {
        self.core.name()
    }

    /// Takes the pair of a queue that is free and no lease's. It is a lease's from then on.
    pub(crate) fn take(&self) -> Result<(Arc<QueueCore>, Box<Pair>), Error> {
        loop {
            let mut seat = self.find(|core| !core.is_leased())?;
            match std::mem::replace(&mut *seat.home, Home::Leased) {
                Home::Here(pair) => {
                    seat.core.set_leased(true);
                    return Ok((seat.core.clone(), pair));
                }
                other => *seat.home = other,
            }
        }
    }

    /// Waits for a queue that will do and whose pair is at home, and locks that.
    fn find(&self, will_do: impl Fn(&QueueCore) -> bool) -> Result<Seat<'_>, Error> {
        if !self.core.fork.is_home() {
            return Err(Error::Forked);
        }
        let begun = Instant::now();
        loop {
            let mut usable = 0;
            for core in self.queues() {
                match Seat::take(core) {
                    Some(seat) if seat.is_here() && will_do(core) => return Ok(seat),
                    Some(seat) => usable += usize::from(!is_down(core, &seat.home)),
                    None => usable += usize::from(!core.is_parked()),
                }
            }
            if usable < self.core.options.queues && self.open_another()? {
                continue;
            }
            if begun.elapsed() > self.core.options.deadline {
                return Err(Error::Deadline(self.core.options.deadline));
            }
            // All queues are leased out. Leases are short, or their number is the user's choice.
            std::thread::sleep(Duration::from_micros(200).min(patience::BACKSTOP));
        }
    }

    /// Waits until the device has a queue to use, if it is not back at once, but not longer than this.
    pub(crate) fn come_back(&self, within: Duration) -> Result<(), Error> {
        /// Between two looks, if they are not spaced by what they look for.
        const PAUSE: Duration = Duration::from_millis(2);
        let begun = Instant::now();
        loop {
            match self.find(|_| true) {
                Ok(_) => return Ok(()),
                Err(error) if !error.may_pass() || begun.elapsed() >= within => return Err(error),
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// The seat of a queue whose pair is at home, the thread's own first.
    #[inline(always)]
    pub(crate) fn seat(&self) -> Result<Seat<'_>, Error> {
        if !self.core.fork.is_home() {
            return Err(Error::Forked);
        }
        // Not kept while another is looked for: who looks would take it for one in use.
        match self.queue(thread_number()).and_then(Seat::take).filter(Seat::is_here) {
            Some(seat) => Ok(seat),
            None => self.find(|_| true),
        }
    }

    /// Runs one job to its end on a queue that has room for it.
    pub(crate) fn run(&self, work: &RawWork<'_>) -> Result<Outcome, Error> {
        let mut seat = self.seat()?;
        let core = seat.core;
        let result = seat.pair().map_or(Err(Error::QueueFull), |pair| scope::run_one(core, pair, work));
        drop(seat);
        match result {
            Err(Error::QueueFull) => self.run_on_another(work),
            result => result,
        }
    }

    /// The thread's own queue is full of jobs whose results nobody has fetched: any other one will do.
    #[cold]
    fn run_on_another(&self, work: &RawWork<'_>) -> Result<Outcome, Error> {
        loop {
            for core in self.queues() {
                let Some(mut seat) = Seat::take(core) else { continue };
                let Some(pair) = seat.pair() else { continue };
                let result = scope::run_one(core, pair, work);
                if !matches!(result, Err(Error::QueueFull)) {
                    return result;
                }
            }
            if !self.open_another()? {
                return Err(Error::QueueFull);
            }
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        self.core.tally.add_to(&mut sum);
        for core in self.queues() {
            core.tally.add_to(&mut sum);
        }
        sum
    }

    fn queues(&self) -> impl Iterator<Item = &Arc<QueueCore>> {
        self.queues.iter().map_while(OnceLock::get)
    }

    /// The queue that a thread tries first.
    fn queue(&self, thread: usize) -> Option<&Arc<QueueCore>> {
        // Relaxed: the number only spreads threads over queues; a queue's place has its own ordering.
        let open = self.opened.load(Ordering::Relaxed).max(1);
        // With a queue for every thread there is nothing to divide, which takes as long as a dozen other steps.
        self.queues.get(if thread < open { thread } else { thread % open })?.get()
    }

    /// Opens one more queue, in the place of one that is down if there is one. `false` if there are as many as there may be, or the device has no more and
    /// others can be waited for.
    fn open_another(&self) -> Result<bool, Error> {
        let turn = match self.core.attempts.begin() {
            Ok(turn) => turn,
            Err(refusal) => return self.without_another(refusal),
        };
        // Whoever had the turn before may have opened the last one.
        if self.usable_queues() >= self.core.options.queues {
            return Ok(false);
        }
        match self.fill_a_place() {
            Ok(()) => {
                turn.succeeded();
                Ok(true)
            }
            Err(error) => {
                tracing::debug!(device = self.name(), %error, "no further queue");
                let refusal = refusal_of(&error);
                turn.failed(refusal.clone());
                if refusal != Refusal::Busy && self.open_to_all() == 0 { Err(error) } else { Ok(false) }
            }
        }
    }

    /// What there is to do without another queue: to wait for those there are, or for other processes, or nothing.
    fn without_another(&self, refusal: Refusal) -> Result<bool, Error> {
        match refusal {
            Refusal::Down(_) if self.open_to_all() == 0 => Err(self.core.refused(refusal)),
            _ => Ok(false),
        }
    }

    /// Opens a queue where one is down, or in the next free place. The caller has the turn.
    fn fill_a_place(&self) -> Result<(), Error> {
        // First one that the device has let go of: with others it may take time to hear that it still has not.
        if let Some(revived) = self.revive_one(Verdict::Dead) {
            return revived;
        }
        let refused = match self.revive_one(Verdict::Unproven) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => Some(error),
            None => None,
        };
        match self.queues.iter().find(|place| place.get().is_none()) {
            Some(place) => {
                let core = open_queue(&self.core)?;
                place.get_or_init(|| core);
                self.opened.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            None => {
                Err(refused.unwrap_or_else(|| Error::device_failed(self.name(), "it has let go of none of its queues")))
            }
        }
    }

    /// Brings back a queue that is down for this reason; `None` if there is none.
    fn revive_one(&self, verdict: Verdict) -> Option<Result<(), Error>> {
        let mut refused = None;
        for core in self.queues().filter(|core| is_down_by(core, verdict)) {
            match core.revive() {
                None => {}
                Some(Ok(())) => return Some(Ok(())),
                Some(Err(error)) => {
                    refused = Some(Err(self.core.open_failed(error)));
                    if !is_down_by(core, Verdict::Unproven) {
                        // The device has let go, and gives no other queue: for the next one neither.
                        break;
                    }
                }
            }
        }
        refused
    }

    /// How many queues are not down.
    fn usable_queues(&self) -> usize {
        self.queues().filter(|core| is_usable(core)).count()
    }

    /// How many of those are nobody's own.
    fn open_to_all(&self) -> usize {
        self.queues().filter(|core| is_usable(core) && !core.is_leased()).count()
    }
}

/// Whether nobody can use the queue. One that is a lease's is brought back by that.
fn is_down(core: &QueueCore, home: &Home) -> bool {
    core.is_parked() || (matches!(home, Home::Down(_)) && !core.is_leased())
}

/// Whether somebody can use the queue.
fn is_usable(core: &QueueCore) -> bool {
    core.try_home().map_or_else(|| !core.is_parked(), |home| !is_down(core, &home))
}

/// Whether the queue is down, and for this reason.
fn is_down_by(core: &QueueCore, verdict: Verdict) -> bool {
    matches!(core.try_home().as_deref(), Some(Home::Down(Some(pair))) if pair.verdict == verdict)
}

/// What an error says about asking again.
pub(crate) fn refusal_of(error: &Error) -> Refusal {
    if is_busy(error) { Refusal::Busy } else { Refusal::Down(with_cause(error).into()) }
}

/// Opens the first queue, waiting for one if other processes have them all.
fn open_first(core: &Arc<DeviceCore>) -> Result<Arc<QueueCore>, Error> {
    let begun = Instant::now();
    loop {
        match open_queue(core) {
            Err(error) if is_busy(&error) && begun.elapsed() < core.options.deadline => {
                std::thread::sleep(BUSY_PAUSE);
            }
            opened => return opened,
        }
    }
}

fn is_busy(error: &Error) -> bool {
    let Error::Open { source, .. } = error else { return false };
    matches!(**source, OpenError::Transport(TransportError::Busy(_)))
}

fn open_queue(core: &Arc<DeviceCore>) -> Result<Arc<QueueCore>, Error> {
    let failed = |source| core.open_failed(source);
    let transport = core.bus.open(&core.info.name).map_err(|error| failed(OpenError::from(error)))?;
    let cells = Arc::new(Cells::new(core.request.depth));
    let (mut open, pins) = reach::open(&*core.driver, &transport, &cells, &core.request).map_err(failed)?;
    // A model's word is its own; hardware has a kernel between.
    if !core.info.simulated {
        open = probe::probe(open, &transport, &cells, &core.fork).map_err(failed)?;
    }
    tracing::debug!(device = core.name(), driver = core.driver.name(), "queue opened");
    let pair = Pair::new(open, transport, core.request.depth, core.dropped.clone());
    let pasid = pair.transport.pasid();
    let queue = QueueCore::new(core.clone(), cells, pair);
    queue.set_pasid(pasid);
    queue.set_pins(pins.as_ref());
    Ok(Arc::new(queue))
}

/// A queue that is used where it is, with its pair's home locked. When this ends, a queue that is finished is down. Owned
/// jobs in flight are watched from when their futures are first polled, or dropped.
pub(crate) struct Seat<'a> {
    pub(crate) core: &'a Arc<QueueCore>,
    pub(crate) home: SpinMutexGuard<'a, Home>,
}

impl<'a> Seat<'a> {
    /// Takes the seat, if nobody else has it.
    #[inline]
    pub(crate) fn take(core: &'a Arc<QueueCore>) -> Option<Self> {
        Some(Self { core, home: core.try_home()? })
    }

    /// Whether the pair is there.
    #[inline]
    fn is_here(&self) -> bool {
        matches!(*self.home, Home::Here(_))
    }

    /// The pair, if it is there.
    #[inline]
    pub(crate) fn pair(&mut self) -> Option<&mut Pair> {
        match &mut *self.home {
            Home::Here(pair) => Some(pair),
            _ => None,
        }
    }

    /// The queue cannot be used as it is.
    #[cold]
    fn bury(&mut self) {
        if let Home::Here(pair) = std::mem::replace(&mut *self.home, Home::Down(None)) {
            *self.home = Home::Down(Some(pair));
        }
    }
}

impl Drop for Seat<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Home::Here(pair) = &*self.home
            && pair.verdict != Verdict::Usable
        {
            self.bury();
        }
    }
}

/// A small number that differs between threads as long as there are few.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            // Relaxed: only the spread counts.
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name())
            .field("queues", &self.queues().count())
            .finish_non_exhaustive()
    }
}
