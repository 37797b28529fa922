//! How a worker does jobs when a plan says how long they take and what goes wrong.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::Backing;
use super::place::Place;
use super::queue::Queue;
use super::worker::Worker;
use crate::plan::Verdict;
use crate::stages::Stage;
use crate::{DeviceModel, Mishap, WorkItem};

impl<M: DeviceModel, B: Backing> Worker<M, B> {
    /// Does the jobs that were taken as the plan says.
    pub(super) fn work_to_plan(&mut self, queue: &Arc<Queue<M, B>>) {
        self.worked = true;
        let begun = if self.hands.shared.keeps_accounts { self.hands.shared.clock() } else { 0 };
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
        if self.hands.shared.keeps_accounts {
            self.hands.charge(queue, begun, None);
        }
    }

    /// Begins one job, or puts it aside, as the plan says.
    fn begin_to_plan(&mut self, queue: &Arc<Queue<M, B>>, mut item: WorkItem) {
        if item.stage() == Stage::Complete {
            self.done.push((item, None));
            return;
        }
        if queue.is_stopping() {
            return;
        }
        let Verdict { held, mishap, due, missing } = self.hands.shared.plan.judge(&item);
        if held {
            queue.held().push(item);
            self.hands.shared.plan.stir();
            return;
        }
        if let Some(Mishap::DeviceFailure(reason)) = mishap {
            self.hands.shared.fail(reason);
            return;
        }
        self.missing += u64::from(missing);
        self.hands.run_item(queue, &mut item);
        match due {
            Some(at) => {
                self.hands.shared.timeline().push(at, queue.id, item, mishap);
                self.hands.shared.plan.stir();
            }
            None => self.done.push((item, mishap)),
        }
    }

    /// Looks after what the plan put aside.
    pub(super) fn serve_plan(&mut self, places: &[Place<M, B>]) -> bool {
        let mut found = false;
        let now = Instant::now();
        while !self.hands.is_relieved()
            && let Some(queue) = self.take_due(now, places)
        {
            found = true;
            self.conclude(&queue);
            self.hands.end_serving(&queue);
        }
        let holds = self.hands.shared.plan.holds();
        let mut aside = self.hands.shared.timeline().next().is_some();
        for Place { queue, .. } in places {
            if self.hands.is_relieved() {
                return true;
            }
            let mut held = queue.held();
            if holds || held.is_empty() {
                aside |= !held.is_empty() || !queue.complete_side().late.is_empty();
                continue;
            }
            let items = mem::take(&mut *held);
            self.hands.post.begin(queue.id);
            drop(held);
            for item in items {
                self.begin_to_plan(queue, item);
            }
            self.conclude(queue);
            self.hands.end_serving(queue);
            found = true;
            aside = true;
        }
        if !aside {
            self.hands.shared.plan.rest();
        }
        found
    }

    /// Takes the next job whose time is up, and serves its queue.
    fn take_due(&mut self, now: Instant, places: &[Place<M, B>]) -> Option<Arc<Queue<M, B>>> {
        let mut timeline = self.hands.shared.timeline();
        loop {
            let due = timeline.pop(now)?;
            if let Some(Place { queue, .. }) = places.iter().find(|place| place.queue.id == due.queue) {
                self.hands.post.begin(queue.id);
                self.done.push((due.item, due.mishap));
                return Some(queue.clone());
            }
        }
    }

    /// Answers what is done, as the plan says.
    fn conclude(&mut self, queue: &Queue<M, B>) {
        let mut side = queue.complete_side();
        let mut done = mem::take(&mut self.done);
        for (mut item, mishap) in done.drain(..) {
            item.blemish = mishap.and_then(Mishap::blemish);
            match mishap {
                Some(Mishap::LostCompletion) => continue,
                Some(Mishap::LateCompletion(others)) => {
                    side.late.push((others, item));
                    self.hands.shared.plan.stir();
                    continue;
                }
                Some(Mishap::DuplicatedCompletion) => self.hands.answer(queue, &mut side, &item),
                _ => {}
            }
            self.hands.answer(queue, &mut side, &item);
            side.late.iter_mut().for_each(|(others, _)| *others = others.saturating_sub(1));
            let ripe: Vec<_> = side.late.extract_if(.., |(others, _)| *others == 0).collect();
            for (_, item) in ripe {
                self.hands.answer(queue, &mut side, &item);
            }
        }
        self.done = done;
        queue.counters.page_requests.add(mem::take(&mut self.missing));
        self.hands.publish(queue, &mut side);
    }
}
