//! Everything at once on the ZIP function, in every order: jobs both ways, missing pages, answers, invalidations, queues that are stopped and opened, processes that
//! end, errors and resets. Every job of a queue that lives is answered once, in order, with what its pages deserve; a seed that fails is printed.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the test itself")]

mod support;

use std::collections::VecDeque;
use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use support::kunpeng::{DEPTH, Kunpeng, QUEUES, ZipUser};
use support::{Chance, Rights, page};
use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Entry, Request, Results, Status};
use uaccel_hisi_abi::{MailboxCommand, MailboxOperation, registers};
use uaccel_qemu::{Function, NO_PASID, PAGE};

const SEEDS: u64 = 12;
const STEPS: usize = 500;
/// Pages of the text that is compressed, and of what becomes of it at most.
const SPAN: u64 = 12;
/// Where a process has its text, and its packed text.
const TEXT: u64 = page(100);
const PACKED: u64 = page(200);

/// A job on its way.
struct Job {
    tag: u32,
    destination: u64,
    len: u32,
    /// Whether its process does not have all that it writes to.
    missing: bool,
}

/// A queue and what is in flight on it.
struct Client {
    user: ZipUser,
    kind: u16,
    jobs: VecDeque<Job>,
    /// Whether its process has ended.
    dead: bool,
}

struct Storm {
    seed: u64,
    chance: Chance,
    kernel: Kunpeng,
    text: Vec<u8>,
    packed: Vec<u8>,
    clients: [Option<Client>; QUEUES as usize],
    next_page: u64,
    next_tag: u32,
    answered: usize,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let kernel = Kunpeng::started();
        let text: Vec<u8> = (0..SPAN * PAGE).map(|n| (n * n % 251 % 17) as u8).collect();
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&text).expect("memory");
        let packed = encoder.finish().expect("memory");
        for pasid in 1..=3 {
            give(&kernel, pasid, &text, &packed);
        }
        let clients = [const { None }; QUEUES as usize];
        let chance = Chance::new(seed);
        Self { seed, chance, kernel, text, packed, clients, next_page: 1000, next_tag: 0, answered: 0 }
    }

    fn step(&mut self) {
        let queue = self.chance.below(QUEUES.into()) as u16;
        match self.chance.below(24) {
            0 | 1 if self.clients[usize::from(queue)].is_none() => self.open(queue),
            0 if self.chance.below(3) == 0 => self.stop(queue),
            2..=10 => self.submit(queue),
            11..=15 => {
                self.kernel.machine.step();
            }
            16..=19 => self.answer(),
            20 => self.invalidate(),
            21 => self.kernel.host.page_response(self.chance.below(5) as u32, 600, self.chance.below(2) == 0),
            22 if self.chance.below(6) == 0 => self.kill(),
            23 if self.chance.below(12) == 0 => self.reset(),
            _ => {}
        }
        (0..QUEUES).for_each(|queue| self.collect(queue));
    }

    fn open(&mut self, queue: u16) {
        let (pasid, kind) = (1 + self.chance.below(3) as u32, self.chance.below(2) as u16);
        let user = ZipUser::open(&self.kernel, queue, pasid, kind);
        self.clients[usize::from(queue)] = Some(Client { user, kind, jobs: VecDeque::new(), dead: false });
    }

    /// The kernel stops a queue, and waits for it; meanwhile the rest of the world goes on.
    fn stop(&mut self, queue: u16) {
        if self.clients[usize::from(queue)].is_none() {
            return;
        }
        self.kernel.stop(queue);
        while self.kernel.mailbox().busy {
            let other = self.chance.below(QUEUES.into()) as u16;
            match self.chance.below(3) {
                0 => self.submit(other),
                1 => self.answer(),
                _ => self.kernel.machine.run(),
            }
            std::thread::yield_now();
        }
        assert_eq!(self.kernel.mailbox().status, 0, "seed {}", self.seed);
        self.collect(queue);
        self.clients[usize::from(queue)] = None;
    }

    fn submit(&mut self, queue: u16) {
        if self.clients[usize::from(queue)].as_ref().is_none_or(|client| client.jobs.len() >= usize::from(DEPTH) - 1) {
            return;
        }
        let base = page(self.next_page);
        self.next_page += SPAN + 2;
        let Some(client) = &mut self.clients[usize::from(queue)] else { return };
        if client.dead {
            return;
        }
        let (pasid, machine) = (client.user.pasid, &self.kernel.machine);
        let (source, source_len, len) = match client.kind {
            COMPRESS => (TEXT, 1 + self.chance.below(self.text.len() as u64) as u32, (SPAN * PAGE) as u32),
            _ => (PACKED, self.packed.len() as u32, self.text.len() as u32),
        };
        let mut missing = false;
        for page in (0..=SPAN).map(|n| base + n * PAGE) {
            match self.chance.below(40) {
                // What is packed needs not all of its room.
                0 if client.kind == DECOMPRESS => missing = true,
                1..=20 => machine.map(pasid, page, 1, Rights::Write),
                _ => machine.reserve(pasid, page, 1, Rights::Write),
            }
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        let destination = base + 1 + self.chance.below(PAGE - 1);
        let entry = Entry { tag, ..Entry::whole(Request::Deflate, source, source_len, destination, len) };
        client.user.submit(&entry);
        client.jobs.push_back(Job { tag, destination, len: source_len, missing });
    }

    fn answer(&mut self) {
        for _ in 0..self.chance.below(8) {
            let requests = self.kernel.machine.requests();
            if requests.is_empty() {
                return;
            }
            let at = self.chance.below(requests.len() as u64) as usize;
            self.kernel.machine.answer(requests[at]);
        }
    }

    fn invalidate(&mut self) {
        let pasid = 1 + self.chance.below(3) as u32;
        match self.chance.below(3) {
            0 => self.kernel.host.invalidated(pasid, 0, u64::MAX),
            _ => self.kernel.host.invalidated(pasid, page(1000 + self.chance.below(self.next_page - 999)), PAGE - 1),
        }
    }

    /// A process ends: its address space goes, what it had asked for is refused, its queues are stopped.
    fn kill(&mut self) {
        let pasid = 1 + self.chance.below(3) as u32;
        let asked = self.kernel.machine.kill(pasid);
        for client in self.clients.iter_mut().flatten().filter(|client| client.user.pasid == pasid) {
            client.dead = true;
        }
        (0..self.chance.below(5)).for_each(|_| {
            self.kernel.machine.step();
        });
        asked.into_iter().for_each(|request| self.kernel.machine.refuse(request));
        for queue in 0..QUEUES {
            if self.clients[usize::from(queue)].as_ref().is_some_and(|client| client.dead) {
                self.stop(queue);
            }
        }
        assert!(!self.kernel.machine.watched().contains(&pasid), "seed {}", self.seed);
        self.kernel.machine.revive(pasid);
        give(&self.kernel, pasid, &self.text, &self.packed);
    }

    /// An error, with all that the kernel does about it.
    fn reset(&mut self) {
        self.kernel.host.raise_error(1);
        let accesses = self.kernel.machine.accesses();
        let queue = self.chance.below(QUEUES.into()) as u16;
        let mailbox = self.kernel.send(MailboxCommand::StopQueue, MailboxOperation::Write, queue, 0);
        assert!(mailbox.status != 0 && !mailbox.busy, "seed {}", self.seed);
        self.kernel.machine.run();
        self.kernel.stop_for_reset();
        self.kernel.machine.run();
        self.kernel.prepare();
        assert_eq!(self.kernel.machine.accesses(), accesses, "seed {}", self.seed);
        // No job waits for these any more. Answers come all the same, and address spaces are left with the last one.
        for request in self.kernel.machine.requests() {
            self.kernel.machine.answer(request);
        }
        self.kernel.machine.run();
        assert_eq!(self.kernel.machine.watched(), [NO_PASID], "seed {}", self.seed);
        self.clients = [const { None }; QUEUES as usize];
        self.kernel.start();
    }

    /// Takes what is answered, and compares it with what it should be.
    fn collect(&mut self, queue: u16) {
        let Some(client) = &mut self.clients[usize::from(queue)] else { return };
        let mut some = false;
        while let Some((results, tag)) = client.user.take() {
            some = true;
            let job = client.jobs.pop_front().unwrap_or_else(|| panic!("seed {}: {tag} out of nowhere", self.seed));
            assert_eq!(job.tag, tag, "seed {}: in order", self.seed);
            self.answered += 1;
            if client.dead {
                continue;
            }
            let Results { consumed, produced, ended } = results;
            if job.missing {
                assert_eq!(ended.status, Status::Translation as u8, "seed {}", self.seed);
                continue;
            }
            assert_eq!(consumed, job.len, "seed {}: {results:?}", self.seed);
            let written = self.kernel.machine.peek(client.user.pasid, job.destination, produced as usize);
            let whole = if client.kind == COMPRESS {
                let mut text = Vec::new();
                DeflateDecoder::new(&written[..]).read_to_end(&mut text).expect("deflate");
                text == self.text[..job.len as usize]
            } else {
                written == self.text
            };
            assert!(whole, "seed {}: {tag} is not what it should be", self.seed);
        }
        if some {
            client.user.taken(self.chance.below(2) == 0);
        }
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        let machine = self.kernel.machine.clone();
        machine.live_until(|| {
            (0..QUEUES).for_each(|queue| self.collect(queue));
            self.clients.iter().flatten().all(|client| client.jobs.is_empty())
        });
        (0..QUEUES).for_each(|queue| self.stop(queue));
        assert_eq!((machine.watched(), self.kernel.get(registers::ERRORS)), (vec![NO_PASID], 0), "seed {}", self.seed);
    }
}

/// Gives a process a text, and the same packed.
fn give(kernel: &Kunpeng, pasid: u32, text: &[u8], packed: &[u8]) {
    for (address, bytes) in [(TEXT, text), (PACKED, packed)] {
        kernel.machine.map(pasid, address, (bytes.len() as u64).div_ceil(PAGE), Rights::Read);
        kernel.machine.poke(pasid, address, bytes);
    }
}

#[test]
fn every_job_is_answered_once_in_order_with_what_its_pages_deserve() {
    let mut answered = 0;
    for seed in 1..=SEEDS {
        let mut storm = Storm::new(seed);
        (0..STEPS).for_each(|_| storm.step());
        storm.settle();
        answered += storm.answered;
    }
    assert!(answered > 1000, "{answered} jobs are a breeze");
}
