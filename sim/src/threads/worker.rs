//! A worker: a thread that takes jobs from queues, does them and answers them.

use core::sync::atomic::{Ordering, fence};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use uaccel_queue::{Outcome, Status};
use uaccel_units::Scratch;

use super::port::ThreadPort;
use super::queue::{CompleteSide, Queue};
use super::shared::Shared;
use crate::plan::Verdict;
use crate::stages::{self, Pool, Stage, Step};
use crate::{Budget, DeviceModel, Fetch, Mishap, Taken, Work, WorkItem};

/// Jobs taken at once, at most.
const BATCH: usize = 32;
/// Estimated nanoseconds of work taken at once, beyond the first job.
const BATCH_COST: u64 = 20_000;
/// Estimated nanoseconds from which on somebody else shall poll meanwhile. A wake-up costs about as much.
const LONG: u64 = 15_000;
/// How long an idle worker polls. Clearly longer than being woken takes, which is 50 to 100 µs on virtual machines: a client that our answer has just
/// woken must find us awake with its next job, or both would sleep over every single one.
const SPIN: Duration = Duration::from_micros(300);
/// A time that is up this soon is waited for awake: sleeping is not more precise.
const SOON: Duration = Duration::from_micros(200);
/// How long a worker sleeps that others may not have seen going to sleep.
const UNFENCED: Duration = Duration::from_millis(1);
/// How often a ring that is the only one is looked at before its lock is let go.
const LOOKS: usize = 16;
/// The same where nobody else wants it: one worker, and a CPU for it.
const LONG_LOOKS: usize = 64;
/// Batches done without letting the locks of a queue go: other queues wait, and signals for this one.
const KEPT: usize = 16;
/// Empty looks after which it is asked whether somebody sleeps over an answer. The fence for it has little left to wait for by then, and
/// where jobs come without a pause it is not on their way.
const SETTLED: usize = 8;
/// Empty polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 8;

/// A thread that takes jobs from queues, does them and answers them.
pub(super) struct Worker<M: DeviceModel> {
    shared: Arc<Shared<M>>,
    index: usize,
    /// Whether a CPU is left when all workers poll.
    spare: bool,
    /// The queues there were at `generation`.
    queues: Vec<Arc<Queue<M>>>,
    generation: u64,
    taken: Taken,
    done: Vec<(WorkItem, Option<Mishap>)>,
    missing: u64,
    pool: Pool,
    scratch: Scratch,
    /// Reaches the memory of jobs; knows no rings.
    port: ThreadPort,
    /// Whether this worker counts as polling.
    polling: bool,
}

impl<M: DeviceModel> Worker<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, index: usize, spare: bool) -> Self {
        Self {
            shared,
            index,
            spare,
            queues: Vec::new(),
            generation: 0,
            taken: Taken::default(),
            done: Vec::new(),
            missing: 0,
            pool: Pool::new(),
            scratch: Scratch::new(),
            port: ThreadPort::new(Vec::new()),
            polling: false,
        }
    }

    /// Works until the host is shut.
    pub(super) fn run(mut self) {
        // Signals of the process are for its own threads.
        if let Err(errno) = SigSet::all().thread_block() {
            tracing::warn!(%errno, "cannot block signals on a worker");
        }
        self.begin_polling();
        let mut idle = Idle::default();
        while !self.shared.shut.load(Ordering::Relaxed) {
            if self.round() {
                idle = Idle::default();
            } else if !idle.poll_on(self.spare) && !self.due_soon() {
                self.rest();
                idle = Idle::default();
            }
        }
    }

    /// Serves every queue once. Whether there was anything to do.
    #[inline]
    fn round(&mut self) -> bool {
        // Acquire, pairs with the release of whoever changed the list.
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.queues.clone_from(&self.shared.queues());
            // Workers begin at different queues, so that they do not all knock at the same door.
            let first = self.index % self.queues.len().max(1);
            self.queues.rotate_left(first);
        }
        let queues = mem::take(&mut self.queues);
        let alone = self.shared.serving.len() == 1;
        let looks = match queues.len() {
            1 if alone && self.spare => LONG_LOOKS,
            1 => LOOKS,
            _ => 1,
        };
        let mut found = false;
        for queue in &queues {
            found |= if alone { self.serve_alone(queue, looks) } else { self.serve(queue, looks) };
        }
        if self.shared.plan.is_active() {
            found |= self.serve_plan(&queues);
        }
        self.queues = queues;
        found
    }

    /// Takes a few jobs of a queue and does them. If there are none, looks again up to `looks` times.
    #[inline]
    fn serve(&mut self, queue: &Arc<Queue<M>>, looks: usize) -> bool {
        let Some(mut side) = queue.try_fetch_side() else { return false };
        if !side.running {
            return false;
        }
        let mut fetch = Fetch::Dry;
        for _ in 0..looks {
            let side = &mut *side;
            let budget = Budget::new(BATCH, BATCH_COST);
            fetch = self.shared.model.fetch(&mut side.submissions, &side.port, &queue.page, &mut self.taken, budget);
            if fetch != Fetch::Dry || !self.taken.is_empty() {
                break;
            }
            core::hint::spin_loop();
        }
        if fetch == Fetch::Failed {
            side.running = false;
            queue.failed.store(true, Ordering::Relaxed);
            queue.signal();
        }
        if self.taken.is_empty() {
            return false;
        }
        self.shared.serving[self.index].begin(queue.id);
        drop(side);
        if self.shared.plan.is_active() {
            self.work_to_plan(queue);
        } else {
            self.work(queue);
        }
        self.end_serving(queue);
        true
    }

    /// Serves a queue as the only worker there is: keeps both locks from one batch to the next.
    ///
    /// Nothing is done meanwhile that could take long, or touches memory other than the rings, so that somebody who wants a lock gets it at
    /// once, and whoever has the fetch lock knows that this worker is not at the queue. For other jobs the locks are let go.
    #[inline]
    fn serve_alone(&mut self, queue: &Arc<Queue<M>>, looks: usize) -> bool {
        let Some(mut fetch_side) = queue.try_fetch_side() else { return false };
        if !fetch_side.running {
            return false;
        }
        let mut complete_side = queue.complete_side();
        let mut kept = 0;
        let mut empty = 0;
        // Whether something was published and nobody has looked yet who sleeps over it.
        let mut unsignalled = false;
        let fetch = loop {
            let side = &mut *fetch_side;
            let budget = Budget::new(BATCH, BATCH_COST).with_nops_apart();
            let fetch =
                self.shared.model.fetch(&mut side.submissions, &side.port, &queue.page, &mut self.taken, budget);
            if self.taken.is_empty() {
                empty += 1;
                if fetch != Fetch::Dry || empty >= looks || queue.is_wanted() {
                    break fetch;
                }
                if unsignalled && empty == SETTLED {
                    unsignalled = false;
                    self.signal(queue, &mut complete_side);
                }
                core::hint::spin_loop();
                continue;
            }
            // The plan is asked about after the jobs were seen, as always.
            if self.shared.plan.is_active() {
                self.taken.join_nops(queue.space);
            }
            if fetch == Fetch::Failed
                || !self.taken.cancels.is_empty()
                || !self.taken.items.iter().all(WorkItem::is_trivial)
                || self.shared.plan.is_active()
            {
                self.taken.join_nops(queue.space);
                break fetch;
            }
            empty = 0;
            unsignalled |= self.answer_trivial(queue, &mut complete_side);
            kept += 1;
            if kept == KEPT || queue.is_wanted() {
                break Fetch::More;
            }
        };
        if unsignalled {
            self.signal(queue, &mut complete_side);
        }
        drop(complete_side);
        if fetch == Fetch::Failed {
            fetch_side.running = false;
            queue.failed.store(true, Ordering::Relaxed);
            queue.signal();
        }
        if self.taken.is_empty() {
            drop(fetch_side);
            if queue.is_wanted() {
                // Who waits for the lock may sleep by now: give it the time to wake.
                thread::yield_now();
            }
            return kept != 0;
        }
        self.shared.serving[self.index].begin(queue.id);
        drop(fetch_side);
        if self.shared.plan.is_active() {
            self.work_to_plan(queue);
        } else {
            self.work(queue);
        }
        self.end_serving(queue);
        true
    }

    /// Answers a batch of jobs that need no work, and says whether an answer was published. The books are kept afterwards.
    #[inline]
    fn answer_trivial(&mut self, queue: &Queue<M>, side: &mut CompleteSide<M>) -> bool {
        let model = &self.shared.model;
        let Taken { items, nops, .. } = &mut self.taken;
        model.pass(&mut side.completions, &side.port, nops);
        for item in &mut *items {
            item.pass();
            model.complete(&mut side.completions, &side.port, item);
        }
        let published = model.flush(&mut side.completions, &side.port).published;
        queue.counters.jobs.add((items.len() + nops.len()) as u64);
        nops.clear();
        if !items.is_empty() {
            // Jobs that cannot be may name bytes; they never came to a bad address.
            queue.counters.bytes.add(items.iter().map(WorkItem::bytes).sum());
            items.clear();
        }
        published
    }

    fn end_serving(&self, queue: &Queue<M>) {
        self.shared.serving[self.index].end();
        if queue.is_stopping() && queue.owes_stopped.load(Ordering::SeqCst) {
            self.shared.settle(queue);
        }
    }

    /// Does the jobs that were taken, and answers them together.
    #[inline]
    fn work(&mut self, queue: &Queue<M>) {
        let mut items = mem::take(&mut self.taken.items);
        let long =
            self.polling && self.shared.serving.len() > 1 && items.iter().map(WorkItem::cost).sum::<u64>() >= LONG;
        if long {
            self.polling = false;
            self.shared.sleepers.begin_work();
        }
        for item in &mut items {
            if queue.is_stopping() {
                break;
            }
            self.run_item(item);
        }
        if long {
            self.begin_polling();
        }
        let mut side = queue.complete_side();
        // Whatever does not stand there was dropped by a stop.
        for item in items.iter().filter(|item| item.stage() == Stage::Complete) {
            self.answer(queue, &mut side, item);
        }
        self.publish(queue, &mut side);
        drop(side);
        items.clear();
        self.taken.items = items;
        // Without a plan nothing is held that could still be cancelled.
        self.taken.cancels.clear();
    }

    /// Does the jobs that were taken as the plan says.
    fn work_to_plan(&mut self, queue: &Arc<Queue<M>>) {
        let mut items = mem::take(&mut self.taken.items);
        for tag in self.taken.cancels.drain(..) {
            let mut held = queue.held();
            if let Some(at) = held.iter().position(|item| item.tag == tag) {
                let mut item = held.remove(at);
                item.cancel();
                self.done.push((item, None));
            }
        }
        for item in items.drain(..) {
            self.begin_to_plan(queue, item);
        }
        self.taken.items = items;
        self.conclude(queue);
    }

    /// Begins one job, or puts it aside, as the plan says.
    fn begin_to_plan(&mut self, queue: &Arc<Queue<M>>, mut item: WorkItem) {
        if item.stage() == Stage::Complete {
            self.done.push((item, None));
            return;
        }
        if queue.is_stopping() {
            return;
        }
        let Verdict { held, mishap, due, missing } = self.shared.plan.judge(&item);
        if held {
            queue.held().push(item);
            self.shared.plan.stir();
            return;
        }
        if let Some(Mishap::DeviceFailure(reason)) = mishap {
            self.shared.fail(reason);
            return;
        }
        self.missing += u64::from(missing);
        self.run_item(&mut item);
        match due {
            Some(at) => {
                self.shared.timeline().push(at, queue.id, item, mishap);
                self.shared.plan.stir();
            }
            None => self.done.push((item, mishap)),
        }
    }

    /// Looks after what the plan put aside.
    fn serve_plan(&mut self, queues: &[Arc<Queue<M>>]) -> bool {
        let mut found = false;
        let now = Instant::now();
        while let Some(queue) = self.take_due(now, queues) {
            found = true;
            self.conclude(&queue);
            self.end_serving(&queue);
        }
        let holds = self.shared.plan.holds();
        let mut aside = self.shared.timeline().next().is_some();
        for queue in queues {
            let mut held = queue.held();
            if holds || held.is_empty() {
                aside |= !held.is_empty() || !queue.complete_side().late.is_empty();
                continue;
            }
            let items = mem::take(&mut *held);
            self.shared.serving[self.index].begin(queue.id);
            drop(held);
            for item in items {
                self.begin_to_plan(queue, item);
            }
            self.conclude(queue);
            self.end_serving(queue);
            found = true;
            aside = true;
        }
        if !aside {
            self.shared.plan.rest();
        }
        found
    }

    /// Takes the next job whose time is up, and serves its queue.
    fn take_due(&mut self, now: Instant, queues: &[Arc<Queue<M>>]) -> Option<Arc<Queue<M>>> {
        let mut timeline = self.shared.timeline();
        loop {
            let due = timeline.pop(now)?;
            if let Some(queue) = queues.iter().find(|queue| queue.id == due.queue) {
                self.shared.serving[self.index].begin(queue.id);
                self.done.push((due.item, due.mishap));
                return Some(queue.clone());
            }
        }
    }

    /// Answers what is done, as the plan says.
    fn conclude(&mut self, queue: &Queue<M>) {
        let mut side = queue.complete_side();
        let mut done = mem::take(&mut self.done);
        for (mut item, mishap) in done.drain(..) {
            item.blemish = mishap.and_then(Mishap::blemish);
            match mishap {
                Some(Mishap::LostCompletion) => continue,
                Some(Mishap::LateCompletion(others)) => {
                    side.late.push((others, item));
                    self.shared.plan.stir();
                    continue;
                }
                Some(Mishap::DuplicatedCompletion) => self.answer(queue, &mut side, &item),
                _ => {}
            }
            self.answer(queue, &mut side, &item);
            side.late.iter_mut().for_each(|(others, _)| *others = others.saturating_sub(1));
            let ripe: Vec<_> = side.late.extract_if(.., |(others, _)| *others == 0).collect();
            for (_, item) in ripe {
                self.answer(queue, &mut side, &item);
            }
        }
        self.done = done;
        queue.counters.page_requests.add(mem::take(&mut self.missing));
        self.publish(queue, &mut side);
    }

    /// Takes a job as far as it goes.
    #[inline]
    fn run_item(&mut self, item: &mut WorkItem) {
        let Self { port, pool, scratch, .. } = self;
        let step = match item.work {
            Work::Plain(_) => stages::run(item, port, pool, scratch),
            // A bug in a library below must not take the device down.
            _ => {
                panic::catch_unwind(AssertUnwindSafe(|| stages::run(item, port, pool, scratch))).unwrap_or_else(|_| {
                    item.finish(Outcome::failed(Status::DeviceError));
                    *scratch = Scratch::new();
                    Step::Done
                })
            }
        };
        if let Step::Parked(_) = step {
            // This port never asks to wait.
            item.finish(Outcome::failed(Status::DeviceError));
        }
    }

    #[inline(always)]
    fn answer(&self, queue: &Queue<M>, side: &mut CompleteSide<M>, item: &WorkItem) {
        self.shared.model.complete(&mut side.completions, &side.port, item);
        queue.counters.jobs.add(1);
        queue.counters.bytes.add(item.bytes());
        if item.outcome.status == Status::Fault {
            queue.counters.faults.add(1);
        }
    }

    #[inline]
    fn publish(&self, queue: &Queue<M>, side: &mut CompleteSide<M>) {
        if self.shared.model.flush(&mut side.completions, &side.port).published {
            self.signal(queue, side);
        }
    }

    /// Signals to a user who sleeps over an answer that was published.
    #[inline]
    fn signal(&self, queue: &Queue<M>, side: &mut CompleteSide<M>) {
        // Full fence between publishing completions and reading what the user armed. Pairs with the user's, between arming and polling once
        // more: one of us sees the other, so that nobody sleeps over an answer.
        fence(Ordering::SeqCst);
        if self.shared.model.signal(&mut side.completions, &queue.page) {
            queue.counters.signals.add(1);
            queue.signal();
        }
    }

    fn begin_polling(&mut self) {
        self.polling = true;
        self.shared.sleepers.begin_polling(|| self.shared.want_wakeup(false));
    }

    /// Whether a job's time is up so soon that sleeping is no use.
    fn due_soon(&self) -> bool {
        if !self.shared.plan.is_active() {
            return false;
        }
        let soon = self.shared.timeline().next().is_some_and(|at| at.saturating_duration_since(Instant::now()) < SOON);
        if soon {
            thread::yield_now();
        }
        soon
    }

    /// Sleeps until there is something to do.
    fn rest(&mut self) {
        self.polling = false;
        self.shared.sleepers.begin_rest(|| self.shared.want_wakeup(true));
        // Full fence between setting need-wake-up and the last look at the rings. Pairs with the user's, between publishing a descriptor and
        // reading need-wake-up, or takes that one's place: either we find the descriptor, or the user rings.
        let fenced = self.shared.barrier.fence();
        if !self.round() {
            let mut until = if self.shared.plan.is_active() { self.shared.timeline().next() } else { None };
            if !fenced {
                // Nobody is sure to ring.
                let soon = Instant::now() + UNFENCED;
                until = Some(until.map_or(soon, |until| until.min(soon)));
            }
            // A sleeper keeps no closed queue's memory.
            self.queues.clear();
            self.generation = 0;
            self.shared.sleepers.sleep(until);
        }
        self.begin_polling();
    }
}

/// How long nothing was found.
#[derive(Default)]
struct Idle {
    polls: u32,
    since: Option<Instant>,
}

impl Idle {
    /// Whether to poll on, after a poll that found nothing.
    #[inline]
    fn poll_on(&mut self, spare: bool) -> bool {
        self.polls += 1;
        if !spare {
            // Whoever is to give us work may be waiting for this CPU.
            thread::yield_now();
        }
        if !self.polls.is_multiple_of(POLLS_PER_LOOK) {
            return true;
        }
        self.since.get_or_insert_with(Instant::now).elapsed() < SPIN
    }
}
