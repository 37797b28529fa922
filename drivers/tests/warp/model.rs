//! Random schedules against a model: whatever the interleaving, the driver is two queues.

use std::collections::VecDeque;

use proptest::prelude::*;
use uaccel_queue::{Algorithm, Operation, SessionId, SessionSpec};
use uaccel_warp_abi::{Features, Mode};

use crate::fake::{Nature, Queue};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The runtime submits so many jobs.
    Submit(usize),
    /// The runtime opens and closes a session.
    Command,
    /// The device reads so many descriptors.
    Fetch(usize),
    /// The device finishes one of the jobs it has read.
    Complete(usize),
    /// The runtime polls with so much room.
    Poll(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6_usize).prop_map(Step::Submit),
        1 => Just(Step::Command),
        4 => (1..6_usize).prop_map(Step::Fetch),
        8 => any::<usize>().prop_map(Step::Complete),
        3 => (0..9_usize).prop_map(Step::Poll),
    ]
}

/// A submission as the model knows it: its number and token, and whether it is a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    index: u64,
    token: u32,
    job: bool,
}

struct Model {
    queue: Queue,
    depth: u32,
    free: Vec<u32>,
    /// Jobs submitted and not read by the device, in order.
    published: VecDeque<u32>,
    /// What the device has read and not answered.
    running: Vec<Sent>,
    /// Answers the device gave that were not polled, in the order in which a poll must find them.
    answered: VecDeque<Sent>,
    fetched: u64,
    session_open: bool,
}

impl Model {
    fn new(features: Features, depth: u32) -> Self {
        let queue = Queue::with(Nature { features, ..Nature::default() }, depth as usize);
        let free = (0..depth).collect();
        let empty = VecDeque::new;
        Self {
            queue,
            depth,
            free,
            published: empty(),
            running: Vec::new(),
            answered: VecDeque::new(),
            fetched: 0,
            session_open: false,
        }
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Submit(count) => {
                let at = self.free.len().saturating_sub(count);
                let slots = self.free.split_off(at);
                let tokens: Vec<_> = slots
                    .iter()
                    .map(|slot| self.queue.build(*slot, |job| job.operation = Operation::Nop).raw())
                    .collect();
                let accepted = self.queue.submit(&slots);
                self.published.extend(&tokens[..accepted]);
                self.free.extend(&slots[accepted..]);
            }
            Step::Command => {
                if self.session_open {
                    self.queue.submitter.close_session(SessionId(0));
                } else {
                    let spec = SessionSpec::digest(Algorithm::Sha256, &[]).expect("no key");
                    self.queue.submitter.open_session(SessionId(0), &spec).expect("offered");
                }
                self.session_open = !self.session_open;
            }
            Step::Fetch(count) => {
                for _ in 0..count {
                    let Some(found) = self.queue.fetch(self.fetched) else { break };
                    let job = found.token >= 4096;
                    if job {
                        prop_assert_eq!(
                            Some(found.token),
                            self.published.pop_front(),
                            "jobs stand in the ring in order"
                        );
                    }
                    let sent = Sent { index: self.fetched, token: found.token, job };
                    prop_assert!(
                        !self.running.iter().any(|running| running.token == sent.token),
                        "{:?} is already running",
                        sent
                    );
                    self.running.push(sent);
                    self.fetched += 1;
                }
            }
            Step::Complete(pick) => {
                if !self.running.is_empty() {
                    let sent = self.running.remove(pick % self.running.len());
                    match self.queue.geometry.mode() {
                        Mode::Ring => {
                            self.queue.counts(sent.token, 0, 0, 0);
                            self.answered.push_back(sent);
                        }
                        Mode::Mailbox => {
                            self.queue.answer(sent.index, sent.token, 0, 0);
                            let at = self.answered.partition_point(|earlier| earlier.index < sent.index);
                            self.answered.insert(at, sent);
                        }
                    }
                }
            }
            Step::Poll(room) => {
                let mut slots = Vec::with_capacity(room);
                let room = slots.capacity();
                // Commands are taken on the way, as long as there is room for the job that may come behind.
                while slots.len() < room
                    && let Some(sent) = self.answered.pop_front()
                {
                    if sent.job {
                        slots.push(sent.token & 0xfff);
                    }
                }
                let found: Vec<u32> =
                    self.queue.poll_room(room).expect("sound").into_iter().map(|answer| answer.0).collect();
                prop_assert_eq!(&found, &slots);
                self.free.extend(found);
            }
        }
        Ok(())
    }

    /// Lets everything come to its end.
    fn finish(mut self) -> Result<(), TestCaseError> {
        for _ in 0..1000 {
            self.run(Step::Fetch(64))?;
            self.run(Step::Complete(0))?;
            self.run(Step::Poll(16))?;
            self.queue.submit(&[]);
        }
        prop_assert_eq!(self.free.len(), self.depth as usize, "every job came back");
        prop_assert!(self.published.is_empty() && self.running.is_empty() && self.answered.is_empty());
        prop_assert_eq!(self.queue.cells.in_flight().count(), 0);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn rings(depth in 1..20_u32, steps in prop::collection::vec(step(), 1..400)) {
        let mut model = Model::new(Features::empty(), depth);
        for step in steps {
            model.run(step)?;
        }
        model.finish()?;
    }

    #[test]
    fn mailboxes(depth in 1..9_u32, steps in prop::collection::vec(step(), 1..400)) {
        let mut model = Model::new(Features::MAILBOX, depth);
        for step in steps {
            model.run(step)?;
        }
        model.finish()?;
    }
}
