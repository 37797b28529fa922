//! Everything at once, in every order: jobs, missing pages, answers, invalidations, queues that come and go, processes that end. Every job is answered once, with
//! what its pages deserve; a seed that fails is printed.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the test itself")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use support::user::{copy, faulted, fill, is_ok};
use support::{Chance, Machine, Rights, User, WarpHost, page, plug, revoke};
use uaccel_qemu::Function;
use uaccel_warp_abi::{Answer, Completion, State, control_page};

const SEEDS: u64 = 40;
const STEPS: usize = 500;
/// Pages a job writes, at most.
const SPAN: u64 = 20;

/// A job on its way.
struct Job {
    destination: u64,
    len: u32,
    /// The first page of the destination that its process does not have.
    missing: Option<u64>,
}

/// A queue and what is in flight on it.
struct Client {
    user: User,
    jobs: BTreeMap<u32, Job>,
}

struct Storm {
    seed: u64,
    chance: Chance,
    machine: Arc<Machine>,
    host: Arc<WarpHost>,
    clients: [Option<Client>; 4],
    next_page: u64,
    next_token: u32,
    answered: usize,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let (machine, host) = plug();
        let chance = Chance::new(seed);
        let clients = [const { None }; 4];
        Self { seed, chance, machine, host, clients, next_page: 1000, next_token: 0, answered: 0 }
    }

    /// Pages that were never used, so that what is found in them is from one job.
    fn fresh(&mut self, count: u64) -> u64 {
        self.next_page += count;
        page(self.next_page - count)
    }

    fn step(&mut self) {
        let queue = self.chance.below(4) as usize;
        match self.chance.below(20) {
            0 if self.chance.below(4) == 0 => self.close(queue),
            0 | 1 if self.clients[queue].is_none() || self.chance.below(8) == 0 => self.open(queue),
            2..=8 => self.submit(queue),
            9..=13 => {
                self.machine.step();
            }
            14..=16 => self.answer(),
            17 => self.invalidate(),
            18 => self.host.page_response(self.chance.below(5) as u32, 600, self.chance.below(2) == 0),
            _ if self.chance.below(8) == 0 => self.kill(),
            _ => {}
        }
        for queue in 0..4 {
            self.collect(queue);
        }
    }

    fn open(&mut self, queue: usize) {
        self.close(queue);
        let (pasid, base) = (1 + self.chance.below(3) as u32, self.fresh(8));
        let user = User::idle(&self.machine, &self.host, queue, pasid, base);
        // Rings, too, may have to be brought in.
        self.machine.reserve(pasid, base, 8, Rights::Write);
        user.enable();
        self.clients[queue] = Some(Client { user, jobs: BTreeMap::new() });
    }

    fn close(&mut self, queue: usize) {
        if self.clients[queue].take().is_some() {
            revoke(&self.host, queue);
        }
    }

    fn submit(&mut self, queue: usize) {
        if self.clients[queue].as_ref().is_none_or(|client| client.jobs.len() >= client.user.geometry.entries()) {
            return;
        }
        let pages = 1 + self.chance.below(SPAN);
        let base = self.fresh(SPAN + 2);
        let Some(client) = &mut self.clients[queue] else { return };
        let pasid = client.user.pasid;
        let mut missing = None;
        for page in (0..=pages).map(|n| base + n * 4096) {
            match self.chance.below(40) {
                0 => missing = missing.or(Some(page)),
                1..=20 => self.machine.map(pasid, page, 1, Rights::Write),
                _ => self.machine.reserve(pasid, page, 1, Rights::Write),
            }
        }
        let (destination, len) = (base + self.chance.below(4096), (pages * 4096) as u32);
        // The last page may be one that is not needed.
        let missing = missing.filter(|page| *page < destination + u64::from(len));
        let token = self.next_token;
        self.next_token += 1;
        let descriptor = if self.chance.below(2) == 0 {
            fill(token, destination, len)
        } else {
            // From a page that is read again and again, as often as it is invalidated.
            let source = page(900);
            if !self.machine.has(pasid, source) {
                self.machine.map(pasid, source, SPAN, Rights::Read);
                self.machine.poke(pasid, source, &[7; SPAN as usize * 4096]);
            }
            copy(token, source, destination, len)
        };
        client.user.submit(&descriptor);
        client.jobs.insert(token, Job { destination, len, missing });
    }

    fn answer(&mut self) {
        for _ in 0..self.chance.below(8) {
            let requests = self.machine.requests();
            if requests.is_empty() {
                return;
            }
            let at = self.chance.below(requests.len() as u64) as usize;
            self.machine.answer(requests[at]);
        }
    }

    fn invalidate(&mut self) {
        let pasid = 1 + self.chance.below(3) as u32;
        match self.chance.below(3) {
            0 => self.host.invalidated(pasid, 0, u64::MAX),
            _ => self.host.invalidated(pasid, page(1000 + self.chance.below(self.next_page - 999)), 4095),
        }
    }

    /// A process ends; its queues are revoked later, as its files are closed, and what it had asked for is refused before that, or after.
    fn kill(&mut self) {
        let pasid = 1 + self.chance.below(3) as u32;
        let mut asked = self.machine.kill(pasid);
        let early = asked.len() - self.chance.below(asked.len() as u64 + 1) as usize;
        asked.drain(..early).for_each(|request| self.machine.refuse(request));
        for _ in 0..self.chance.below(5) {
            self.machine.step();
        }
        for queue in 0..4 {
            if self.clients[queue].as_ref().is_some_and(|client| client.user.pasid == pasid) {
                self.close(queue);
            }
        }
        asked.into_iter().for_each(|request| self.machine.refuse(request));
        self.machine.run();
        assert!(!self.machine.watched().contains(&pasid), "seed {}", self.seed);
        self.machine.revive(pasid);
    }

    /// Takes what is answered, and compares it with what it should be.
    fn collect(&mut self, queue: usize) {
        let Some(client) = &mut self.clients[queue] else { return };
        while let Some(completion) = client.user.poll() {
            let Completion { token, .. } = completion;
            let job =
                client.jobs.remove(&token).unwrap_or_else(|| panic!("seed {}: {token} is not in flight", self.seed));
            match job.missing {
                None => {
                    assert!(is_ok(&completion, token), "seed {}: {completion:?}", self.seed);
                    let written = self.machine.peek(client.user.pasid, job.destination, job.len as usize);
                    assert!(written.iter().all(|byte| *byte == 7), "seed {}: {token} left bytes out", self.seed);
                }
                Some(page) => {
                    let at = page.max(job.destination);
                    assert_eq!(completion, faulted(token, Answer::WriteFault(at)), "seed {}", self.seed);
                }
            }
            self.answered += 1;
        }
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        let machine = self.machine.clone();
        machine.live_until(|| {
            (0..4).for_each(|queue| self.collect(queue));
            self.clients.iter().flatten().all(|client| client.jobs.is_empty())
        });
        for queue in 0..4 {
            if self.clients[queue].is_some() {
                let state = State::decode(self.host.read(control_page::queue_state(queue)));
                assert_eq!(state, State::Ready, "seed {}: nothing happened that could make a queue fail", self.seed);
            }
            self.close(queue);
        }
        machine.live_until(|| machine.requests().is_empty());
        assert_eq!(machine.watched(), [], "seed {}", self.seed);
        for queue in 0..4 {
            assert_eq!(self.host.read(control_page::assign(queue)), 0, "seed {}: queue {queue} is quiet", self.seed);
        }
    }
}

#[test]
fn every_job_is_answered_once_with_what_its_pages_deserve() {
    let mut answered = 0;
    for seed in 1..=SEEDS {
        let mut storm = Storm::new(seed);
        for _ in 0..STEPS {
            storm.step();
        }
        storm.settle();
        answered += storm.answered;
    }
    assert!(answered > 1000, "{answered} jobs are a breeze");
}
