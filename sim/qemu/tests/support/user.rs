//! A user of one queue: a process with rings in its memory.

use std::sync::Arc;

use uaccel_queue::{Operation, Status};
use uaccel_warp_abi::{Answer, Command, Completion, Descriptor, Geometry, Mode, SessionEntry, State, pci, user_page};

use super::{Machine, Rights, WarpHost, assign};

/// A queue of a process.
pub struct User {
    pub machine: Arc<Machine>,
    pub host: Arc<WarpHost>,
    pub pasid: u32,
    pub queue: usize,
    /// Where its rings are.
    pub base: u64,
    pub geometry: Geometry,
    tail: u64,
    head: u64,
    arm: u64,
}

impl User {
    /// Opens a queue with resident rings at `base` and starts it.
    pub fn open(machine: &Arc<Machine>, host: &Arc<WarpHost>, queue: usize, pasid: u32, base: u64) -> Self {
        let user = Self::idle(machine, host, queue, pasid, base);
        machine.map(pasid, base, user.geometry.size().div_ceil(4096) as u64, Rights::Write);
        user.enable();
        machine.run();
        assert_eq!(user.state(), State::Ready);
        user
    }

    /// Opens a queue that is not started, and whose rings are nowhere yet.
    pub fn idle(machine: &Arc<Machine>, host: &Arc<WarpHost>, queue: usize, pasid: u32, base: u64) -> Self {
        assign(host, queue, pasid);
        let geometry = Geometry::new(5, 4, Mode::Ring).expect("possible");
        Self { machine: machine.clone(), host: host.clone(), pasid, queue, base, geometry, tail: 0, head: 0, arm: 0 }
    }

    pub fn register(&self, offset: usize) -> u64 {
        self.host.read(pci::user_page(self.queue) + offset)
    }

    pub fn set(&self, offset: usize, value: u64) {
        self.host.write(pci::user_page(self.queue) + offset, value);
    }

    pub fn enable(&self) {
        self.set(user_page::RING_BASE, self.base);
        self.set(user_page::GEOMETRY, self.geometry.register());
        self.set(user_page::ENABLE, 1);
    }

    /// The state word in ring memory.
    pub fn state(&self) -> State {
        State::decode(self.machine.word(self.pasid, self.base + Geometry::STATE as u64))
    }

    /// Publishes a descriptor and rings the doorbell.
    pub fn submit(&mut self, descriptor: &Descriptor) {
        self.publish(descriptor);
        self.set(user_page::SUBMIT, self.tail);
    }

    /// Publishes a descriptor.
    pub fn publish(&mut self, descriptor: &Descriptor) {
        let line = self.base + self.geometry.submission(self.tail) as u64;
        let words = descriptor.encode(self.geometry.phase(self.tail));
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.machine.poke(self.pasid, line, &bytes);
        self.tail += 1;
    }

    /// Takes the next completion, if it is there.
    pub fn poll(&mut self) -> Option<Completion> {
        let at = self.base + self.geometry.completion(self.head) as u64;
        let [result, control] = [0, 8].map(|offset| self.machine.word(self.pasid, at + offset));
        if (control & Descriptor::PHASE != 0) != self.geometry.phase(self.head) {
            return None;
        }
        self.head += 1;
        Some(Completion::decode(result, control))
    }

    /// Lets the machine live until the next completion is there.
    pub fn wait(&mut self) -> Completion {
        let machine = self.machine.clone();
        let mut completion = None;
        machine.live_until(|| {
            completion = self.poll();
            completion.is_some()
        });
        completion.expect("until there was one")
    }

    /// Waits for the next completion while no page request is answered.
    pub fn wait_unanswered(&mut self) -> Completion {
        let machine = self.machine.clone();
        let mut completion = None;
        machine.run_until(|| {
            completion = self.poll();
            completion.is_some()
        });
        completion.expect("until there was one")
    }

    pub fn arm(&mut self) {
        self.arm += 1;
        self.set(user_page::ARM, self.arm);
    }

    /// Opens a session and waits for the answer.
    pub fn open_session(&mut self, id: u16, entry: &SessionEntry) -> u8 {
        let bytes: Vec<u8> = entry.encode().iter().flat_map(|word| word.to_le_bytes()).collect();
        self.machine.poke(self.pasid, self.base + self.geometry.session(id) as u64, &bytes);
        let opcode = Command::OpenSession as u8;
        self.submit(&Descriptor { token: 0xf000, opcode, session: id, ..Descriptor::default() });
        self.wait().status
    }
}

/// A copy.
pub fn copy(token: u32, source: u64, destination: u64, len: u32) -> Descriptor {
    Descriptor {
        source,
        destination,
        source_len: len,
        destination_len: len,
        token,
        opcode: Operation::Copy as u8,
        ..Descriptor::default()
    }
}

/// Filling memory with sevens.
pub fn fill(token: u32, destination: u64, len: u32) -> Descriptor {
    Descriptor {
        destination,
        destination_len: len,
        token,
        opcode: Operation::Fill as u8,
        operand: [7; 12],
        ..Descriptor::default()
    }
}

/// Whether a completion is a success for this token.
pub fn is_ok(completion: &Completion, token: u32) -> bool {
    completion.token == token && completion.status == Status::Ok as u8
}

/// The completion of a job that ended at a bad address.
pub fn faulted(token: u32, answer: Answer) -> Completion {
    Completion { token, status: Status::Fault as u8, answer }
}
