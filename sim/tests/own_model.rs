//! A device model from outside this crate, through its public interface only: it answers in order, and computes itself.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use support::{PATIENCE, open};
use uaccel_queue::{Order, Outcome, RegionKind};
use uaccel_sim::{
    Access, AddressSpace, Budget, Compute, Control, DeviceModel, Doorbell, Fetch, Flush, MemoryPort, Opening, Plan,
    Scratch, Span, Taken, Task, ThreadHost, ThreadHostConfig, Timing, UserPage, Work, WorkItem,
};

const BASE: usize = 0x40;
const START: usize = 0x48;
const DOORBELL: usize = 0x50;
/// A line: source, destination, length, and the count of the job, stored last.
const LINE: u64 = 32;
const ENTRIES: u64 = 16;
/// Behind the ring: how many jobs are done, in order.
const DONE: u64 = ENTRIES * LINE;
const SIZE: usize = 4096;

/// Turns bytes around.
#[derive(Debug)]
struct Mirror {
    engine: MirrorEngine,
}

#[derive(Clone, Copy, Debug)]
struct MirrorEngine;

impl Compute for MirrorEngine {
    fn compute(&self, task: &Task<'_>, _: &mut Scratch, destination: &mut [u8]) -> Outcome {
        let len = task.source.len().min(destination.len());
        destination.iter_mut().zip(task.source.iter().rev()).for_each(|(to, from)| *to = *from);
        Outcome::ok(len as u64, len as u64)
    }
}

#[derive(Clone, Copy)]
struct Place {
    space: AddressSpace,
    base: Option<u64>,
}

struct Submissions(Place, u64);

/// Jobs that ended before an earlier one wait for it.
struct Completions(Place, u64, BTreeMap<u64, ()>, bool);

impl DeviceModel for Mirror {
    type Submissions = Submissions;
    type Completions = Completions;

    fn interface(&self) -> &str {
        "mirror_v1"
    }

    fn queues(&self) -> usize {
        1
    }

    fn engines(&self) -> usize {
        2
    }

    fn order(&self) -> Order {
        Order::Submission
    }

    fn describe(&self, page: &UserPage) {
        page.store(0, 0x6d69);
    }

    fn open_queue(&self, Opening { rings: space, .. }: Opening) -> (Submissions, Completions) {
        let place = Place { space, base: None };
        (Submissions(place, 0), Completions(place, 0, BTreeMap::new(), false))
    }

    fn doorbell(&self, page: &UserPage, offset: usize, value: u64) -> Doorbell {
        page.store(offset, value);
        match offset {
            START => Doorbell::Control,
            DOORBELL => Doorbell::Submit,
            _ => Doorbell::Plain,
        }
    }

    fn control<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        completions: &mut Completions,
        port: &P,
        page: &UserPage,
        _: usize,
        value: u64,
    ) -> Control {
        let base = page.load(BASE);
        if value == 0 || !port.ring(submissions.0.space, Span::new(base, SIZE)) {
            return Control::Refused;
        }
        (submissions.0.base, completions.0.base) = (Some(base), Some(base));
        Control::Started
    }

    fn fetch<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        port: &P,
        _: &UserPage,
        taken: &mut Taken,
        mut budget: Budget,
    ) -> Fetch {
        let Submissions(Place { space, base: Some(base) }, head) = submissions else { return Fetch::Dry };
        while budget.is_open() {
            let line = *base + *head % ENTRIES * LINE;
            let Access::Ready(count) = port.observe(*space, line + 24) else { return Fetch::Failed };
            if count != *head + 1 {
                return Fetch::Dry;
            }
            let Access::Ready([source, destination, len]) = port.words(*space, line) else { return Fetch::Failed };
            let mut item = WorkItem::new(*head, *head, *space, Work::Own(Arc::new(self.engine)));
            item.source = Span::new(source, usize::try_from(len).unwrap_or(0));
            item.destination = Span::new(destination, item.source.len);
            if !budget.take(item.cost()) {
                return Fetch::More;
            }
            *head += 1;
            taken.items.push(item);
        }
        Fetch::More
    }

    // The device has no such word: its user always rings.
    fn want_wakeup<P: MemoryPort>(&self, _: &mut Submissions, _: &P, _: bool) {}

    fn complete<P: MemoryPort>(&self, Completions(_, next, early, fresh): &mut Completions, _: &P, item: &WorkItem) {
        early.insert(item.cookie, ());
        while early.remove(next).is_some() {
            *next += 1;
            *fresh = true;
        }
    }

    fn flush<P: MemoryPort>(
        &self,
        Completions(place, next, _, fresh): &mut Completions,
        port: &P,
        _: &UserPage,
    ) -> Flush {
        let published = std::mem::take(fresh);
        if let (true, Some(base)) = (published, place.base) {
            let _ = port.publish(place.space, base + DONE, *next);
        }
        Flush { published, blocked: None }
    }

    fn signal(&self, _: &mut Completions, _: &UserPage) -> bool {
        true
    }

    fn stopped<P: MemoryPort>(&self, submissions: &mut Submissions, _: &P) {
        submissions.0.base = None;
    }

    fn failed<P: MemoryPort>(&self, submissions: &mut Submissions, _: &P, _: u32) {
        submissions.0.base = None;
    }
}

fn run(plan: Plan) {
    let config = ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() };
    let host = ThreadHost::new(Mirror { engine: MirrorEngine }, config, plan).unwrap();
    let transport = open(&host);
    let ring = transport.ring_memory(SIZE).unwrap();
    let page = transport.region(RegionKind::User).unwrap();
    assert_eq!(page.read(0), 0x6d69);
    page.write(BASE, ring.device_address(0));
    transport.ring_doorbell(START, 1);

    // A long job first, then short ones: they end early, and are answered late.
    let lens = [200_000, 10, 20, 30, 0, 40];
    let sources: Vec<Vec<u8>> = lens.iter().map(|len| support::pattern(*len)).collect();
    let mut outs: Vec<Vec<u8>> = lens.iter().map(|len| vec![0; *len]).collect();
    for (index, (source, out)) in sources.iter().zip(&mut outs).enumerate() {
        let line = index * usize::try_from(LINE).unwrap();
        ring.write(line, source.as_ptr().expose_provenance() as u64);
        ring.write(line + 8, out.as_mut_ptr().expose_provenance() as u64);
        ring.write(line + 16, source.len() as u64);
        ring.publish(line + 24, index as u64 + 1);
        transport.ring_doorbell(DOORBELL, index as u64 + 1);
    }
    let begun = Instant::now();
    let mut seen = 0;
    while seen < lens.len() {
        let done = usize::try_from(ring.observe(usize::try_from(DONE).unwrap())).unwrap();
        for index in seen..done {
            assert!(outs[index].iter().eq(sources[index].iter().rev()), "job {index} was answered before it was done");
        }
        seen = done;
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
}

#[test]
fn a_model_of_ones_own_runs_on_threads() {
    run(Plan::default());
}

#[test]
fn it_keeps_its_order_where_a_plan_reorders() {
    run(Plan::timed(Timing { ns_per_byte: 500.0, ..Timing::fixed(std::time::Duration::from_micros(100)) }));
}
