//! A worker: a thread that takes jobs from queues, does them and answers them.

use core::sync::atomic::Ordering;
use std::mem;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;

use super::Backing;
use super::hands::Hands;
use super::idle::Idle;
use super::place::Place;
use super::post::Post;
use super::queue::{CompleteSide, FetchSide, Queue};
use super::shared::Shared;
use crate::stages::Stage;
use crate::{Budget, DeviceModel, Fetch, Mishap, Taken, WorkItem};

/// Jobs taken at once, at most.
const BATCH: usize = 32;
/// Estimated nanoseconds of work taken at once, beyond the first job.
const BATCH_COST: u64 = 20_000;
/// Estimated nanoseconds from which on somebody else shall poll meanwhile. A wake-up costs about as much.
const LONG: u64 = 15_000;
/// A time that is up this soon is waited for awake: sleeping is not more precise.
const SOON: Duration = Duration::from_micros(200);
/// How long a worker sleeps that others may not have seen going to sleep.
const UNFENCED: Duration = Duration::from_millis(1);
/// How often a ring that is the only one, or the only one in use, is looked at before its lock is let go.
const LOOKS: usize = 16;
/// The same where nobody else wants it: one worker, and a CPU for it.
const LONG_LOOKS: usize = 64;
/// Batches done without letting the locks of a queue go: other queues wait, and signals for this one.
const KEPT: usize = 16;
/// Empty looks after which it is asked whether somebody sleeps over an answer. The fence for it has little left to wait for by then, and
/// where jobs come without a pause it is not on their way.
const SETTLED: usize = 8;
/// How far a user's virtual time may be ahead of the one who comes first, in virtual nanoseconds: a batch of one of middle weight. The finer, the more often
/// the device turns from one to the other.
const AHEAD: u64 = 4 * BATCH_COST;
/// What a job that does nothing is charged for, in nanoseconds: reading the clock would take longer.
const NOTHING: u64 = 10;
/// Estimated nanoseconds of a copy without staging up to which it is done under the locks of its queue: letting them go and taking them again would cost a
/// good part of it. 8 KiB.
const AT_ONCE: u64 = 1_100;
/// Empty looks at a ring between two looks at the clock, so that the time is known when a job comes: reading it then would be on the job's way.
const LOOKS_PER_TIME: usize = 16;

/// A thread that takes jobs from queues, does them and answers them.
pub(super) struct Worker<M: DeviceModel, B: Backing> {
    pub(super) hands: Hands<M, B>,
    index: usize,
    /// Whether a CPU is left when all workers poll.
    spare: bool,
    /// The queues there were at `generation`.
    queues: Vec<Place<M, B>>,
    generation: u64,
    /// Counts rounds.
    turn: u32,
    pub(super) taken: Taken,
    pub(super) done: Vec<(WorkItem, Option<Mishap>)>,
    pub(super) missing: u64,
    /// Whether the queue served last has more.
    more: bool,
    /// Whether the queue that was last to be served was somebody else's at the moment.
    missed: bool,
    /// Whether the last round had work beside which a look at a queue is nothing.
    pub(super) worked: bool,
    /// What was answered under the locks of its queue, so far.
    at_once: AtOnce,
}

/// Jobs that need no work, or hardly any.
#[derive(Clone, Copy, Default)]
struct AtOnce {
    jobs: u64,
    /// Bytes they named.
    bytes: u64,
    /// Estimated nanoseconds they took.
    cost: u64,
}

impl<M: DeviceModel, B: Backing> Worker<M, B> {
    pub(super) fn new(shared: Arc<Shared<M, B>>, post: Arc<Post>, index: usize, spare: bool) -> Self {
        Self {
            hands: Hands::new(shared, post),
            index,
            spare,
            queues: Vec::new(),
            generation: 0,
            turn: 0,
            taken: Taken::default(),
            done: Vec::new(),
            missing: 0,
            more: false,
            missed: false,
            worked: false,
            at_once: AtOnce::default(),
        }
    }

    /// Works until the pool is shut, or somebody stands in.
    pub(super) fn run(mut self) {
        // Signals of the process are for its own threads.
        if let Err(errno) = SigSet::all().thread_block() {
            tracing::warn!(%errno, "cannot block signals on a worker");
        }
        self.begin_polling();
        let mut idle = Idle::default();
        while !self.hands.shared.is_shut() && !self.hands.is_relieved() {
            if self.round() {
                idle = Idle::default();
            } else if !idle.poll_on(self.spare) && !self.due_soon() {
                self.rest();
                idle = Idle::default();
            }
        }
        self.hands.leave();
    }

    /// Serves every queue once. Whether there was anything to do.
    #[inline]
    fn round(&mut self) -> bool {
        // Acquire, pairs with the release of whoever changed the list.
        let generation = self.hands.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.queues.clear();
            self.queues.extend(self.hands.shared.queues().iter().map(|queue| Place::new(queue.clone())));
            // Workers begin at different queues, so that they do not all knock at the same door.
            let first = self.index % self.queues.len().max(1);
            self.queues.rotate_left(first);
        }
        self.turn = self.turn.wrapping_add(1);
        let mut queues = mem::take(&mut self.queues);
        if let [only] = &mut *queues {
            only.wake();
        }
        let looks = match queues.iter().filter(|place| !place.is_quiet()).count() {
            0 => 1,
            1 if self.is_alone() && self.spare => LONG_LOOKS,
            1 => LOOKS,
            _ => 1,
        };
        let worked = mem::take(&mut self.worked);
        let mut found = if self.hands.shared.keeps_accounts {
            self.serve_fairly(&mut queues, looks, worked)
        } else {
            let mut found = false;
            for place in &mut queues {
                if place.rests(self.turn) && !worked {
                    continue;
                }
                self.missed = false;
                let served = self.serve(&place.queue, place.looks(looks));
                if !self.missed {
                    place.note(served);
                }
                found |= served;
                if self.hands.is_relieved() {
                    break;
                }
            }
            found
        };
        if self.hands.shared.plan.is_active() && !self.hands.is_relieved() {
            found |= self.serve_plan(&queues);
        }
        self.queues = queues;
        found
    }

    /// Serves the queues of those users whose turn it is.
    fn serve_fairly(&mut self, places: &mut [Place<M, B>], looks: usize, worked: bool) -> bool {
        // Relaxed, here and below: the schedule may be a little off.
        let floor = self.hands.shared.floor.load(Ordering::Relaxed);
        let mut found = false;
        // The least virtual time of a user who was served, or would have been.
        let mut least = u64::MAX;
        for place in places {
            if place.rests(self.turn) && !worked {
                continue;
            }
            let queue = &place.queue;
            if self.hands.is_relieved() {
                break;
            }
            if queue.account.is_blocked() {
                continue;
            }
            if queue.account.time() > floor.saturating_add(AHEAD) {
                // It may have nothing to do; then the others go ahead all the same, and if they have nothing either it is its turn.
                found = true;
                least = least.min(queue.account.time());
                if queue.backlog_since.load(Ordering::Relaxed) == 0 {
                    queue.backlog_since.store(self.hands.shared.clock(), Ordering::Relaxed);
                }
                continue;
            }
            let since = queue.backlog_since.load(Ordering::Relaxed);
            let mut begun = 0;
            if since != 0 {
                begun = self.hands.shared.clock();
                queue.backlog_since.store(0, Ordering::Relaxed);
            }
            (self.more, self.missed) = (false, false);
            let served = self.serve(queue, place.looks(looks));
            if self.missed {
                // Another worker is at it: it has its turn, and is counted as having it.
                least = least.min(queue.account.time());
                continue;
            }
            if served {
                found = true;
                least = least.min(queue.account.time());
                queue.account.count_wait(Duration::from_nanos(begun.saturating_sub(since)));
                if self.more {
                    queue.backlog_since.store(self.hands.shared.clock(), Ordering::Relaxed);
                }
            }
            place.note(served);
        }
        if least != u64::MAX && least > floor {
            self.hands.shared.floor.fetch_max(least, Ordering::Relaxed);
        }
        found
    }

    /// Whether there are no other workers.
    fn is_alone(&self) -> bool {
        self.hands.shared.workers == 1
    }

    /// Serves one queue for a while. Whether there was anything to do.
    #[inline]
    fn serve(&mut self, queue: &Arc<Queue<M, B>>, looks: usize) -> bool {
        if self.is_alone() { self.serve_alone(queue, looks) } else { self.serve_beside(queue, looks) }
    }

    /// Takes a few jobs of a queue and does them. If there are none, looks again up to `looks` times.
    #[inline]
    fn serve_beside(&mut self, queue: &Arc<Queue<M, B>>, looks: usize) -> bool {
        let Some(mut side) = queue.try_fetch_side() else {
            self.missed = true;
            return false;
        };
        if !side.running {
            return false;
        }
        let mut fetch = Fetch::Dry;
        for _ in 0..looks {
            let side = &mut *side;
            let budget = Budget::new(BATCH, BATCH_COST);
            fetch = self.hands.shared.model.fetch(
                &mut side.submissions,
                &side.port,
                queue.backing.page(),
                &mut self.taken,
                budget,
            );
            if fetch != Fetch::Dry || !self.taken.is_empty() {
                break;
            }
            core::hint::spin_loop();
        }
        if fetch == Fetch::Failed {
            side.running = false;
            queue.give_up();
        }
        self.more = fetch == Fetch::More;
        if self.taken.is_empty() {
            return false;
        }
        self.do_taken(queue, side, None);
        true
    }

    /// Does what was taken under the fetch lock, and lets that go when this worker is seen to serve the queue.
    #[inline]
    fn do_taken(&mut self, queue: &Arc<Queue<M, B>>, side: MutexGuard<'_, FetchSide<M, B>>, seen: Option<u64>) {
        self.hands.post.begin(queue.id);
        drop(side);
        if self.hands.shared.plan.is_active() {
            self.work_to_plan(queue);
        } else {
            self.work(queue, seen);
        }
        self.hands.end_serving(queue);
    }

    /// Serves a queue as the only worker there is: keeps both locks from one batch to the next.
    ///
    /// Nothing is done meanwhile that could take long, so that somebody who wants a lock gets it at once, and whoever has the fetch lock knows that this
    /// worker is not at the queue. For other jobs the locks are let go.
    #[inline]
    fn serve_alone(&mut self, queue: &Arc<Queue<M, B>>, looks: usize) -> bool {
        let Some(mut fetch_side) = queue.try_fetch_side() else {
            self.missed = true;
            return false;
        };
        if !fetch_side.running {
            return false;
        }
        let mut complete_side = queue.complete_side();
        let mut kept = 0;
        let mut empty = 0;
        let before = self.at_once;
        // Whether something was published and nobody has looked yet who sleeps over it.
        let mut unsignalled = false;
        // The time at a recent look that found nothing.
        let mut seen = None;
        let fetch = loop {
            let side = &mut *fetch_side;
            let budget = Budget::new(BATCH, BATCH_COST).with_nops_apart();
            let fetch = self.hands.shared.model.fetch(
                &mut side.submissions,
                &side.port,
                queue.backing.page(),
                &mut self.taken,
                budget,
            );
            if self.taken.is_empty() {
                empty += 1;
                if fetch != Fetch::Dry || empty >= looks || queue.is_wanted() {
                    break fetch;
                }
                if unsignalled && empty == SETTLED {
                    unsignalled = false;
                    self.hands.signal(queue, &mut complete_side);
                }
                if self.hands.shared.keeps_accounts && empty % LOOKS_PER_TIME == 1 {
                    seen = Some(self.hands.shared.clock());
                }
                core::hint::spin_loop();
                continue;
            }
            let spent = self.at_once.cost;
            // The plan is asked about after the jobs were seen, as always.
            if self.hands.shared.plan.is_active() {
                self.taken.join_nops(queue.opening.jobs);
            }
            if fetch == Fetch::Failed
                || !self.taken.cancels.is_empty()
                || self.hands.shared.plan.is_active()
                || !self.do_at_once(queue)
            {
                self.taken.join_nops(queue.opening.jobs);
                break fetch;
            }
            empty = 0;
            seen = None;
            let copied = self.at_once.cost != spent;
            unsignalled |= self.answer_at_once(queue, &mut complete_side);
            kept += 1;
            // Where jobs take any time others have their turn after each batch.
            if copied {
                self.worked = true;
                break fetch;
            }
            if kept == KEPT || queue.is_wanted() {
                break Fetch::More;
            }
        };
        if unsignalled {
            self.hands.signal(queue, &mut complete_side);
        }
        drop(complete_side);
        self.more = fetch == Fetch::More;
        if self.hands.shared.keeps_accounts {
            self.charge_at_once(queue, before);
        }
        if fetch == Fetch::Failed {
            fetch_side.running = false;
            queue.give_up();
        }
        if self.taken.is_empty() {
            drop(fetch_side);
            if queue.is_wanted() {
                // Who waits for the lock may sleep by now: give it the time to wake.
                thread::yield_now();
            }
            return kept != 0;
        }
        self.do_taken(queue, fetch_side, seen);
        true
    }

    /// Whether all that was taken needs no work any more. Short copies that need no staging are done for that.
    #[inline]
    fn do_at_once(&mut self, queue: &Queue<M, B>) -> bool {
        let Self { hands, taken, at_once, .. } = self;
        taken.items.iter_mut().all(|item| {
            let cost = item.cost();
            let copied = !item.is_trivial() && cost <= AT_ONCE && hands.copy_in_place(queue, item);
            if copied {
                at_once.cost += cost;
            }
            copied || item.is_trivial()
        })
    }

    /// Answers a batch of jobs that need no work, and says whether an answer was published. The books are kept afterwards.
    #[inline]
    fn answer_at_once(&mut self, queue: &Queue<M, B>, side: &mut CompleteSide<M, B>) -> bool {
        let model = &self.hands.shared.model;
        let Taken { items, nops, .. } = &mut self.taken;
        model.pass(&mut side.completions, &side.port, nops);
        for item in &mut *items {
            item.pass();
            model.complete(&mut side.completions, &side.port, item);
        }
        let published = model.flush(&mut side.completions, &side.port, queue.backing.page()).published;
        let jobs = (items.len() + nops.len()) as u64;
        queue.counters.jobs.add(jobs);
        nops.clear();
        self.at_once.jobs += jobs;
        self.at_once.cost += jobs * NOTHING;
        if !items.is_empty() {
            // Jobs that cannot be may name bytes; they never came to a bad address.
            let bytes = items.iter().map(WorkItem::bytes).sum();
            queue.counters.bytes.add(bytes);
            self.at_once.bytes += bytes;
            items.clear();
        }
        published
    }

    /// Charges for what was answered at once since `before`.
    fn charge_at_once(&self, queue: &Queue<M, B>, before: AtOnce) {
        let AtOnce { jobs, bytes, cost } = self.at_once;
        // A copy may have been done, and is answered later with what was taken beside it.
        if jobs != before.jobs || cost != before.cost {
            queue.account.count(jobs - before.jobs, bytes - before.bytes, 0);
            // Relaxed: as all of the schedule.
            queue.account.charge(self.hands.shared.floor.load(Ordering::Relaxed), cost - before.cost);
        }
    }

    /// Does the jobs that were taken, and answers them together.
    #[inline]
    fn work(&mut self, queue: &Arc<Queue<M, B>>, seen: Option<u64>) {
        self.worked = true;
        let keeps_accounts = self.hands.shared.keeps_accounts;
        let begun = if keeps_accounts { seen.unwrap_or_else(|| self.hands.shared.clock()) } else { 0 };
        if self.hands.shared.lanes.threads() != 0 {
            self.leave_long_jobs_to_lanes(queue, begun);
        }
        let mut items = mem::take(&mut self.taken.items);
        let long = self.hands.post.is_polling()
            && self.hands.shared.workers > 1
            && items.iter().map(WorkItem::cost).sum::<u64>() >= LONG;
        if long {
            self.hands.post.set_polling(false);
            self.hands.shared.sleepers.begin_work();
        }
        self.hands.run_items(queue, &mut items);
        if long && !self.hands.is_relieved() {
            self.begin_polling();
        }
        let mut side = queue.complete_side();
        // Whatever does not stand there was dropped by a stop.
        for item in items.iter().filter(|item| item.stage() == Stage::Complete) {
            self.hands.answer(queue, &mut side, item);
        }
        self.hands.publish(queue, &mut side);
        drop(side);
        if keeps_accounts {
            self.hands.charge(queue, begun, None);
        }
        items.clear();
        self.taken.items = items;
        // Without a plan nothing is held that could still be cancelled.
        self.taken.cancels.clear();
    }

    /// Has long jobs done elsewhere, and cancels those that have not begun there.
    fn leave_long_jobs_to_lanes(&mut self, queue: &Arc<Queue<M, B>>, now: u64) {
        let lanes = &self.hands.shared.lanes;
        let Taken { items, cancels, .. } = &mut self.taken;
        let mut overrun = false;
        for item in items.extract_if(.., |item| lanes.take(item)) {
            overrun |= !lanes.push(queue, item, now);
        }
        items.extend(cancels.drain(..).filter_map(|tag| lanes.cancel(queue.id, tag)));
        if overrun {
            tracing::warn!(queue = queue.id, "a user writes over descriptors that are not answered; its queue fails");
            self.hands.shared.fail_queue(queue, 0);
        }
    }

    fn begin_polling(&mut self) {
        self.hands.post.set_polling(true);
        let shared = &self.hands.shared;
        shared.sleepers.begin_polling(|| shared.want_wakeup(false));
        shared.alert();
    }

    /// Whether a job's time is up so soon that sleeping is no use.
    fn due_soon(&self) -> bool {
        if !self.hands.shared.plan.is_active() {
            return false;
        }
        let soon =
            self.hands.shared.timeline().next().is_some_and(|at| at.saturating_duration_since(Instant::now()) < SOON);
        if soon {
            thread::yield_now();
        }
        soon
    }

    /// Sleeps until there is something to do.
    fn rest(&mut self) {
        self.hands.post.set_polling(false);
        self.hands.shared.sleepers.begin_rest(|| self.hands.shared.want_wakeup(true));
        // Full fence between setting need-wake-up and the last look at the rings. Pairs with the user's, between publishing a descriptor and
        // reading need-wake-up, or takes that one's place: either we find the descriptor, or the user rings.
        let fenced = self.hands.shared.barrier.fence();
        self.queues.iter_mut().for_each(Place::wake);
        if !self.round() {
            let mut until = if self.hands.shared.plan.is_active() { self.hands.shared.timeline().next() } else { None };
            if !fenced {
                // Nobody is sure to ring.
                let soon = Instant::now() + UNFENCED;
                until = Some(until.map_or(soon, |until| until.min(soon)));
            }
            // A sleeper keeps no closed queue's memory.
            self.queues.clear();
            self.generation = 0;
            self.hands.shared.sleepers.sleep(until);
        }
        // Relieved in that last round it goes home, and nobody would count it off again.
        if !self.hands.is_relieved() {
            self.begin_polling();
        }
    }
}
