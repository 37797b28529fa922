//! What a device is told to do slowly, or wrong.
//!
//! A plan is seeded: the same plan over the same jobs in the same order decides the same. It can be changed while the device runs. Without a
//! plan a host spends one branch per batch on all this.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Blemish, Timing, WorkItem};

/// Bytes of the pages that page faults are counted in.
const PAGE: u64 = 4096;

/// What a device does slowly, or wrong. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// How long jobs take; `None` means as long as the work takes.
    pub timing: Option<Timing>,
    /// What goes wrong. The first rule that applies to a job counts.
    pub rules: Vec<Rule>,
    /// Jobs are taken, and never begun, until this is lifted.
    pub hold: bool,
    /// Requests to stop a queue are not answered.
    pub deaf: bool,
}

/// One thing that goes wrong, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// To which jobs.
    pub when: When,
    /// What.
    pub what: Mishap,
}

/// To which jobs a rule applies. Jobs of all queues are counted together, from 1, from when the plan was set; commands that manage
/// a queue are no jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// To this one.
    Nth(u64),
    /// To every so manieth.
    Every(u64),
    /// To this share of them, 0 to 1, by chance.
    Chance(f64),
}

/// What can go wrong with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mishap {
    /// It is done, and nobody is told.
    LostCompletion,
    /// It is answered twice.
    DuplicatedCompletion,
    /// Its completion names another job.
    WrongToken,
    /// Its completion claims impossible lengths.
    ImpossibleLengths,
    /// Its completion has a status that does not exist.
    UnknownStatus,
    /// It is answered only after so many others of its queue.
    LateCompletion(u32),
    /// The device fails, with this reason, before the job is begun.
    DeviceFailure(u32),
}

impl Plan {
    /// A plan that only takes time.
    #[must_use]
    pub fn timed(timing: Timing) -> Self {
        Self { timing: Some(timing), ..Self::default() }
    }

    /// The same plan with one more rule.
    #[must_use]
    pub fn with(mut self, when: When, what: Mishap) -> Self {
        self.rules.push(Rule { when, what });
        self
    }

    fn is_empty(&self) -> bool {
        self.timing.is_none() && self.rules.is_empty() && !self.hold && !self.deaf
    }
}

/// What a plan decided about a job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    /// Not to be begun now.
    pub(crate) held: bool,
    /// What goes wrong.
    pub(crate) mishap: Option<Mishap>,
    /// When it may be answered.
    pub(crate) due: Option<Instant>,
    /// Pages that were missing.
    pub(crate) missing: u32,
}

impl Mishap {
    /// What it does to the completion.
    pub(crate) fn blemish(self) -> Option<Blemish> {
        match self {
            Self::WrongToken => Some(Blemish::WrongToken),
            Self::ImpossibleLengths => Some(Blemish::ImpossibleLengths),
            Self::UnknownStatus => Some(Blemish::UnknownStatus),
            _ => None,
        }
    }
}

/// The plan of a running device, to look at and to change.
#[derive(Clone)]
pub struct PlanHandle(Arc<Shared>);

struct Shared {
    /// Whether workers must ask at all.
    active: AtomicBool,
    running: Mutex<Running>,
    /// Tells the workers that something changed.
    changed: Box<dyn Fn() + Send + Sync>,
}

struct Running {
    plan: Plan,
    random: Random,
    jobs: u64,
    /// When each engine is free. One entry per engine, only while a timing counts.
    engines: Vec<Instant>,
    /// When the jobs that are not answered will be, of a timing to which that matters.
    answers: Vec<Instant>,
    default_engines: usize,
}

impl PlanHandle {
    pub(crate) fn new(plan: Plan, default_engines: usize, changed: impl Fn() + Send + Sync + 'static) -> Self {
        let active = AtomicBool::new(!plan.is_empty());
        let running = Running {
            random: Random(plan.seed),
            plan,
            jobs: 0,
            engines: Vec::new(),
            answers: Vec::new(),
            default_engines,
        };
        Self(Arc::new(Shared { active, running: Mutex::new(running), changed: Box::new(changed) }))
    }

    /// Replaces the plan; counting begins anew. Jobs whose time runs keep it; jobs on hold go on, unless the new plan holds them.
    pub fn set(&self, plan: Plan) {
        self.change(|running| {
            running.random = Random(plan.seed);
            running.jobs = 0;
            running.engines.clear();
            running.answers.clear();
            running.plan = plan;
        });
    }

    /// A copy of the plan.
    #[must_use]
    pub fn get(&self) -> Plan {
        self.running().plan.clone()
    }

    /// Jobs are taken, and never begun, until [`release`](Self::release).
    pub fn hold(&self) {
        self.change(|running| running.plan.hold = true);
    }

    /// Lets jobs go on that were on hold.
    pub fn release(&self) {
        self.change(|running| running.plan.hold = false);
    }

    /// Whether requests to stop are ignored from now on.
    pub fn deafen(&self, deaf: bool) {
        self.change(|running| running.plan.deaf = deaf);
    }

    fn change(&self, change: impl FnOnce(&mut Running)) {
        let mut running = self.running();
        change(&mut running);
        if !running.plan.is_empty() {
            // Release, pairs with the acquire load in `is_active`. It is not needed for the plan, which has a lock; only so that a job
            // published after this call is judged by it, as far as the caller's own publication orders the two.
            self.0.active.store(true, Ordering::Release);
        }
        drop(running);
        (self.0.changed)();
    }

    /// Whether workers must ask. Stays true after a plan was withdrawn until [`rest`](Self::rest).
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        self.0.active.load(Ordering::Acquire)
    }

    /// Called by a host that holds no job back: if there is no plan either, nobody needs to ask any more.
    pub(crate) fn rest(&self) {
        let running = self.running();
        if running.plan.is_empty() {
            self.0.active.store(false, Ordering::Release);
        }
    }

    /// Called by a host that has put a job aside, after it has.
    pub(crate) fn stir(&self) {
        self.0.active.store(true, Ordering::Release);
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.is_active() && self.running().plan.deaf
    }

    pub(crate) fn holds(&self) -> bool {
        self.running().plan.hold
    }

    /// Decides about a job that is about to begin.
    pub(crate) fn judge(&self, item: &WorkItem) -> Verdict {
        self.running().judge(item)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PlanHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlanHandle").field(&self.running().plan).finish()
    }
}

impl Running {
    fn judge(&mut self, item: &WorkItem) -> Verdict {
        if self.plan.hold {
            return Verdict { held: true, ..Verdict::default() };
        }
        self.jobs += 1;
        let mishap = self.mishap();
        let Some(timing) = self.plan.timing else { return Verdict { mishap, ..Verdict::default() } };
        let missing = self.missing_pages(&timing, item);
        let now = Instant::now();
        let through =
            self.book(now, timing.engines.unwrap_or(self.default_engines), timing.service(item.bytes(), missing));
        let due = if timing.accompanied.is_zero() { through } else { self.answer(now, through, timing.company()) };
        Verdict { held: false, mishap, due: Some(due), missing }
    }

    fn mishap(&mut self) -> Option<Mishap> {
        let Self { plan, random, jobs, .. } = self;
        // Every rule draws, so that what one decides does not depend on the others.
        plan.rules.iter().fold(None, |chosen, rule| {
            let applies = match rule.when {
                When::Nth(nth) => *jobs == nth,
                When::Every(every) => every != 0 && jobs.is_multiple_of(every),
                When::Chance(share) => random.unit() < share,
            };
            chosen.or(applies.then_some(rule.what))
        })
    }

    fn missing_pages(&mut self, timing: &Timing, item: &WorkItem) -> u32 {
        if timing.page_fault_rate <= 0.0 {
            return timing.missing;
        }
        let pages: u64 = [item.source, item.destination, item.aux]
            .into_iter()
            .filter(|span| span.len != 0)
            .map(|span| (span.address.saturating_add(span.len as u64 - 1)) / PAGE - span.address / PAGE + 1)
            .sum();
        let missing = (0..pages).filter(|_| self.random.unit() < timing.page_fault_rate).count();
        u32::try_from(missing).unwrap_or(u32::MAX).saturating_add(timing.missing)
    }

    /// When a job is answered with which an engine is through by then: not before `accompanied` is over, unless there is no other.
    fn answer(&mut self, now: Instant, through: Instant, accompanied: Duration) -> Instant {
        self.answers.retain(|answer| *answer > now);
        let due = if self.answers.is_empty() { through } else { through.max(now + accompanied) };
        self.answers.push(due);
        due
    }

    /// Books the engine that is free first, and says when the job is through.
    fn book(&mut self, now: Instant, engines: usize, service: Duration) -> Instant {
        if self.engines.len() != engines {
            self.engines.resize(engines.max(1), now);
        }
        let Some(free) = self.engines.iter_mut().min() else { return now };
        *free = (*free).max(now) + service;
        *free
    }
}

/// A small generator of reproducible chance (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
