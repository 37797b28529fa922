//! A board with a queue manager on it: memory, queues that do as they are told, and a kernel that talks to the registers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use uaccel_hisi_abi::{
    CompletionContext, Doorbell, DoorbellCommand, EventContext, Mailbox, MailboxCommand, MailboxOperation,
    SubmissionContext, VftQueues, registers,
};
use uaccel_sim::hisi::qm::{Config, Contexts, Host, Progress, QueueManager};

/// Where the kernel keeps the context that a mailbox command is about.
pub const CONTEXT: u64 = 0xffff_b000;
/// Its rings of events.
pub const EVENTS: u64 = 0xfff0_0000;
pub const ASYNC_EVENTS: u64 = 0xfff1_0000;
/// Where the device may keep contexts.
pub const SUBMISSION_BACKING: u64 = 0xffe0_0000;
pub const COMPLETION_BACKING: u64 = 0xffe1_0000;

/// What is around the queue manager.
#[derive(Default)]
pub struct Board {
    memory: RefCell<BTreeMap<u64, u8>>,
    /// Addresses that cannot be reached, from the first on.
    pub hole: Cell<Option<u64>>,
    pub open: RefCell<BTreeMap<u16, Contexts>>,
    pub stopped: RefCell<BTreeSet<u16>>,
    /// Queues with jobs in work.
    pub working: RefCell<BTreeSet<u16>>,
    pub progress: Cell<Progress>,
    pub interrupts: RefCell<Vec<u16>>,
    /// What was accessed: address, bytes, and whether it was written.
    pub accesses: RefCell<Vec<(u64, usize, bool)>>,
}

impl Board {
    pub fn poke(&self, address: u64, bytes: &[u8]) {
        self.memory.borrow_mut().extend((address..).zip(bytes.iter().copied()));
    }

    pub fn peek<const N: usize>(&self, address: u64) -> [u8; N] {
        let memory = self.memory.borrow();
        core::array::from_fn(|at| memory.get(&(address + at as u64)).copied().unwrap_or(0))
    }

    pub fn event(&self, ring: u64, place: u64) -> u32 {
        u32::from_le_bytes(self.peek(ring + place * 4))
    }

    pub fn take_interrupts(&self) -> Vec<u16> {
        self.interrupts.take()
    }

    fn reaches(&self, address: u64) -> bool {
        self.hole.get().is_none_or(|hole| address < hole)
    }
}

impl Host for Board {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.accesses.borrow_mut().push((address, into.len(), false));
        let memory = self.memory.borrow();
        for (at, byte) in into.iter_mut().enumerate() {
            *byte = memory.get(&address.wrapping_add(at as u64)).copied().unwrap_or(0);
        }
        self.reaches(address)
    }

    fn write(&self, address: u64, from: &[u8]) -> bool {
        self.accesses.borrow_mut().push((address, from.len(), true));
        if self.reaches(address) {
            let mut memory = self.memory.borrow_mut();
            for (at, byte) in from.iter().enumerate() {
                memory.insert(address.wrapping_add(at as u64), *byte);
            }
        }
        self.reaches(address)
    }

    fn start_queue(&self, queue: u16, contexts: &Contexts) -> bool {
        assert!(self.open.borrow_mut().insert(queue, *contexts).is_none(), "a queue is opened once");
        true
    }

    fn stop_queue(&self, queue: u16) {
        assert!(self.open.borrow().contains_key(&queue), "only a queue that is open is stopped");
        self.stopped.borrow_mut().insert(queue);
    }

    fn is_drained(&self, queue: u16) -> bool {
        assert!(self.stopped.borrow().contains(&queue), "only a queue that was stopped is drained");
        !self.working.borrow().contains(&queue)
    }

    fn progress(&self, queue: u16) -> Progress {
        assert!(self.open.borrow().contains_key(&queue), "only a queue that is open gets on");
        self.progress.get()
    }

    fn close_queue(&self, queue: u16) {
        assert!(self.open.borrow_mut().remove(&queue).is_some(), "only a queue that is open is closed");
        self.stopped.borrow_mut().remove(&queue);
    }

    fn interrupt(&self, vector: u16) {
        self.interrupts.borrow_mut().push(vector);
    }
}

/// The kernel, its board and the function on it.
pub struct Kernel {
    pub board: Board,
    pub function: QueueManager,
}

impl Kernel {
    pub fn new(config: Config) -> Self {
        Self { board: Board::default(), function: QueueManager::new(config).expect("it can be") }
    }

    /// A function that was probed and started, with 64 queues.
    pub fn started() -> Self {
        let mut kernel = Self::new(Config::zip(64));
        kernel.prepare();
        kernel.start(64);
        kernel
    }

    pub fn get(&mut self, offset: usize) -> u32 {
        u32::try_from(self.function.read(offset, 4)).expect("four bytes")
    }

    pub fn set(&mut self, offset: usize, value: u32) {
        self.function.write(&self.board, offset, 4, u64::from(value));
    }

    /// Sends a command as the kernel does, in two halves.
    pub fn send(&mut self, command: MailboxCommand, operation: MailboxOperation, queue: u16, address: u64) -> Mailbox {
        let mailbox = Mailbox { number: command as u8, operation, queue, address, busy: true, status: 0 };
        let [a, b, c, d] = mailbox.encode().map(u64::from);
        self.function.write(&self.board, registers::MAILBOX, 8, a | b << 32);
        self.function.write(&self.board, registers::MAILBOX + 8, 8, c | d << 32);
        self.mailbox()
    }

    pub fn mailbox(&mut self) -> Mailbox {
        Mailbox::decode([0, 4, 8, 12].map(|at| self.get(registers::MAILBOX + at)))
    }

    /// Sends a command that is over at once; whether it was carried out.
    pub fn command(&mut self, command: MailboxCommand, operation: MailboxOperation, queue: u16, address: u64) -> bool {
        let mailbox = self.send(command, operation, queue, address);
        assert!(!mailbox.busy, "the command is over");
        mailbox.status == 0
    }

    /// Gives a context.
    pub fn give(&mut self, command: MailboxCommand, queue: u16, bytes: &[u8]) -> bool {
        self.board.poke(CONTEXT, bytes);
        self.command(command, MailboxOperation::Write, queue, CONTEXT)
    }

    pub fn ring(&mut self, command: DoorbellCommand, index: u16) {
        let value = Doorbell { queue: 0, command, index, priority: 0 }.encode();
        self.function.write(&self.board, registers::EVENT_DOORBELLS, 8, value);
    }

    /// `qm_set_vft_common`.
    pub fn set_vft(&mut self, kind: u32, function: u32, data: u64) {
        assert_eq!(self.get(registers::VFT_READY) & 1, 1);
        self.set(registers::VFT_DIRECTION, 0);
        self.set(registers::VFT_TYPE, kind);
        self.set(registers::VFT_FUNCTION, function);
        self.set(registers::VFT_DATA_LOW, u32::try_from(data & 0xffff_ffff).expect("half"));
        self.set(registers::VFT_DATA_HIGH, u32::try_from(data >> 32).expect("half"));
        self.set(registers::VFT_READY, 0);
        self.set(registers::VFT_START, 1);
        assert_eq!(self.get(registers::VFT_READY) & 1, 1);
    }

    /// What the driver does before it starts the function: errors cleared and enabled (`qm_hw_error_init_v3`, `hisi_zip_hw_error_enable`), memory initialised
    /// (`qm_dev_mem_reset`).
    pub fn prepare(&mut self) {
        use uaccel_hisi_abi::zip::registers as zip;
        self.set(registers::ERROR_SOURCE, u32::MAX);
        let resetting = self.get(registers::RESET_ERRORS);
        self.set(registers::SHUTDOWN_ERRORS, resetting);
        self.set(registers::ERROR_MASK, !(0x7c77 | 0x8));
        self.set(zip::ERROR_SOURCE, 0x1fff);
        self.set(zip::SHUTDOWN_ERRORS, 0x7fe);
        self.set(zip::ERROR_MASK, !0x1fff);
        self.set(registers::MEMORY_START, 1);
        assert_eq!(self.get(registers::MEMORY_DONE) & 1, 1);
    }

    /// `__hisi_qm_start`: table of functions, rings of events, backing, doorbells, masks.
    pub fn start(&mut self, queues: u32) {
        self.set_vft(0, 0, VftQueues::encode(Some(VftQueues { first: 0, count: queues })));
        self.set_vft(1, 0, 1 << 28);
        for share in 0..2 {
            self.set_vft(2, share << 6, 0x98_8696);
        }
        let ring = |base, depth| EventContext { head: 0, tail: 0, base, depth, phase: true }.encode();
        assert!(self.give(MailboxCommand::EventContext, 0, &ring(EVENTS, 2048)));
        assert!(self.give(MailboxCommand::AsyncContext, 0, &ring(ASYNC_EVENTS, 1024)));
        let write = MailboxOperation::Write;
        assert!(self.command(MailboxCommand::SubmissionBacking, write, 0, SUBMISSION_BACKING));
        assert!(self.command(MailboxCommand::CompletionBacking, write, 0, COMPLETION_BACKING));
        // `qm_enable_eq_aeq_interrupts`.
        self.ring(DoorbellCommand::AsyncEvent, 0);
        self.ring(DoorbellCommand::Event, 0);
        self.set(registers::EVENT_MASK, 0);
        self.set(registers::ASYNC_MASK, 0);
    }

    /// `qm_qp_ctx_cfg`.
    pub fn open(&mut self, queue: u16, pasid: Option<u16>, kind: u16) -> bool {
        let submission = submission(queue, pasid, kind).encode();
        self.give(MailboxCommand::SubmissionContext, queue, &submission)
            && self.give(MailboxCommand::CompletionContext, queue, &completion(queue, pasid).encode())
    }

    pub fn is_open(&self, queue: u16) -> bool {
        self.board.open.borrow().contains_key(&queue)
    }
}

/// Where a queue's rings are.
pub const fn rings(queue: u16) -> u64 {
    0xf000_0000 + 0x10_0000 * queue as u64
}

/// The contexts that the kernel gives for a queue.
pub fn submission(queue: u16, pasid: Option<u16>, kind: u16) -> SubmissionContext {
    SubmissionContext {
        head: 0,
        tail: 0,
        base: rings(queue),
        depth: 1024,
        entry_shift: 7,
        pasid,
        completions: queue,
        kind,
    }
}

pub fn completion(queue: u16, pasid: Option<u16>) -> CompletionContext {
    CompletionContext { head: 0, tail: 0, base: rings(queue) + 0x2_0000, depth: 1024, pasid, phase: true, armed: true }
}
