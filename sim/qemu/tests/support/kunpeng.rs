//! A machine with a ZIP function of HiSilicon's, and the kernel that drives it.

use std::sync::Arc;

use uaccel_hisi_abi::zip::{Entry, Results};
use uaccel_hisi_abi::{
    CompletionContext, Doorbell, DoorbellCommand, Event, EventContext, Mailbox, MailboxCommand, MailboxOperation,
    QueueCompletion, SubmissionContext, VftQueues, pci, registers, zip,
};
use uaccel_qemu::{Function, HisiZipFunction, NO_PASID, Trace};
use uaccel_sim::hisi::qm::Config;
use uaccel_sim::{HisiZip, HisiZipConfig};

use super::{Machine, Rights};

/// The function under test in its machine.
pub type ZipHost = HisiZipFunction<Machine>;

/// Queues of the function.
pub const QUEUES: u16 = 8;
/// Where the kernel keeps things, in the function's own address space.
const CONTEXT: u64 = 0xffff_b000;
const EVENTS: u64 = 0xfff0_0000;
const ASYNC_EVENTS: u64 = 0xfff1_0000;
const BACKING: u64 = 0xffe0_0000;

/// The kernel's side of the function.
pub struct Kunpeng {
    pub machine: Arc<Machine>,
    pub host: Arc<ZipHost>,
}

impl Kunpeng {
    /// A function that the kernel has started.
    pub fn started() -> Self {
        Self::with_error_after(None)
    }

    /// The same, with an error after some jobs.
    pub fn with_error_after(error_after: Option<u64>) -> Self {
        let machine = Arc::new(Machine::default());
        let model =
            HisiZip::new(HisiZipConfig { queues: QUEUES.into(), ..HisiZipConfig::default() }).expect("possible");
        let trace = Trace::new("hisi-zip", false);
        let host = HisiZipFunction::new(model, Config::zip(QUEUES), error_after, machine.clone(), 1, trace);
        let host = Arc::new(host.expect("possible"));
        machine.connect(&(host.clone() as Arc<dyn Function>));
        for (base, pages) in [(CONTEXT, 1), (EVENTS, 2), (ASYNC_EVENTS, 1), (BACKING, 2)] {
            machine.map(NO_PASID, base, pages, Rights::Write);
        }
        let kernel = Self { machine, host };
        kernel.prepare();
        kernel.start();
        kernel
    }

    pub fn get(&self, offset: usize) -> u32 {
        self.host.read(pci::REGISTERS_BAR, offset, 4) as u32
    }

    pub fn set(&self, offset: usize, value: u32) {
        self.host.write(pci::REGISTERS_BAR, offset, 4, value.into());
    }

    /// Errors cleared and enabled, memory initialised.
    pub fn prepare(&self) {
        self.set(registers::ERROR_SOURCE, u32::MAX);
        self.set(registers::SHUTDOWN_ERRORS, self.get(registers::RESET_ERRORS));
        self.set(registers::ERROR_MASK, 0);
        self.set(registers::MEMORY_START, 1);
        assert_eq!(self.get(registers::MEMORY_DONE), 1);
    }

    /// Table of functions, rings of events, backing, doorbells, masks.
    pub fn start(&self) {
        let queues = VftQueues { first: 0, count: QUEUES.into() };
        self.set_vft(0, VftQueues::encode(Some(queues)));
        self.set_vft(1, 1 << 28);
        let ring = |base, depth| EventContext { head: 0, tail: 0, base, depth, phase: true }.encode();
        self.machine.poke(NO_PASID, EVENTS, &[0; 8192]);
        assert!(self.give(MailboxCommand::EventContext, 0, &ring(EVENTS, 2048)));
        assert!(self.give(MailboxCommand::AsyncContext, 0, &ring(ASYNC_EVENTS, 1024)));
        for (command, at) in [(MailboxCommand::SubmissionBacking, 0), (MailboxCommand::CompletionBacking, 4096)] {
            assert_eq!(self.send(command, MailboxOperation::Write, 0, BACKING + at).status, 0);
        }
        for command in [DoorbellCommand::AsyncEvent, DoorbellCommand::Event] {
            self.take_events(command, 0);
        }
        self.set(registers::EVENT_MASK, 0);
        self.set(registers::ASYNC_MASK, 0);
    }

    pub fn set_vft(&self, kind: u32, data: u64) {
        self.set(registers::VFT_TYPE, kind);
        self.set(registers::VFT_FUNCTION, 0);
        self.set(registers::VFT_DATA_LOW, data as u32);
        self.set(registers::VFT_DATA_HIGH, (data >> 32) as u32);
        self.set(registers::VFT_READY, 0);
        self.set(registers::VFT_START, 1);
        assert_eq!(self.get(registers::VFT_READY), 1);
    }

    /// What the kernel does between an error and [`prepare`](Self::prepare), in `qm_controller_reset`.
    pub fn stop_for_reset(&self) {
        self.set(registers::EVENT_MASK, 1);
        self.set(registers::ASYNC_MASK, 1);
        self.set_vft(0, 0);
        self.set_vft(1, 0);
        self.set(zip::registers::PORT_CLOSE, 1);
        assert_eq!(self.get(zip::registers::PORT_CLOSED), 3);
    }

    pub fn send(&self, command: MailboxCommand, operation: MailboxOperation, queue: u16, address: u64) -> Mailbox {
        let mailbox = Mailbox { number: command as u8, operation, queue, address, busy: true, status: 0 };
        let [a, b, c, d] = mailbox.encode().map(u64::from);
        self.host.write(pci::REGISTERS_BAR, registers::MAILBOX, 8, a | b << 32);
        self.host.write(pci::REGISTERS_BAR, registers::MAILBOX + 8, 8, c | d << 32);
        self.mailbox()
    }

    pub fn mailbox(&self) -> Mailbox {
        Mailbox::decode([0, 4, 8, 12].map(|at| self.get(registers::MAILBOX + at)))
    }

    fn give(&self, command: MailboxCommand, queue: u16, bytes: &[u8]) -> bool {
        self.machine.poke(NO_PASID, CONTEXT, bytes);
        let mailbox = self.send(command, MailboxOperation::Write, queue, CONTEXT);
        !mailbox.busy && mailbox.status == 0
    }

    /// Gives the contexts of a queue.
    pub fn open(&self, queue: u16, pasid: Option<u16>, kind: u16) -> bool {
        let submission = SubmissionContext {
            head: 0,
            tail: 0,
            base: rings(queue),
            depth: DEPTH,
            entry_shift: 7,
            pasid,
            completions: queue,
            kind,
        };
        let base = rings(queue) + COMPLETIONS;
        let completion = CompletionContext { head: 0, tail: 0, base, depth: DEPTH, pasid, phase: true, armed: true };
        self.give(MailboxCommand::SubmissionContext, queue, &submission.encode())
            && self.give(MailboxCommand::CompletionContext, queue, &completion.encode())
    }

    pub fn stop(&self, queue: u16) -> Mailbox {
        self.send(MailboxCommand::StopQueue, MailboxOperation::Write, queue, 0)
    }

    /// How far a queue is, as its two contexts tell it: the tails, and whether each is in an odd round. The kernel takes a queue for drained when both are
    /// alike (`qm_wait_qp_empty`).
    pub fn tails(&self, queue: u16) -> [(u16, bool); 2] {
        [MailboxCommand::SubmissionContext, MailboxCommand::CompletionContext].map(|command| {
            let mailbox = self.send(command, MailboxOperation::Read, queue, CONTEXT);
            assert_eq!((mailbox.busy, mailbox.status), (false, 0));
            let bytes = self.machine.peek(NO_PASID, CONTEXT, 32);
            (u16::from_le_bytes([bytes[2], bytes[3]]), bytes[0x16] & 1 << 6 != 0)
        })
    }

    /// The completion ring that an event of the first round is of.
    pub fn event(&self, place: u64) -> Option<u16> {
        let bytes = self.machine.peek(NO_PASID, EVENTS + place * 4, 4);
        let event = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let queue = (event & 0xffff) as u16;
        (event == Event { completions: queue, phase: true }.encode()).then_some(queue)
    }

    /// The asynchronous event at a place.
    pub fn async_event(&self, place: u64) -> u32 {
        u32::from_le_bytes(self.machine.peek(NO_PASID, ASYNC_EVENTS + place * 4, 4).try_into().expect("four bytes"))
    }

    pub fn take_events(&self, command: DoorbellCommand, head: u16) {
        let value = Doorbell { queue: 0, command, index: head, priority: 0 }.encode();
        self.host.write(pci::REGISTERS_BAR, registers::EVENT_DOORBELLS, 8, value);
    }
}

/// Places of a queue's rings.
pub const DEPTH: u16 = 128;
/// Where the completion ring is in a queue's memory.
const COMPLETIONS: u64 = DEPTH as u64 * Entry::SIZE as u64;

/// Where a queue's rings are, in the function's own address space.
const fn rings(queue: u16) -> u64 {
    0xe000_0000 + 0x1_0000 * queue as u64
}

/// A queue's user: a process, or the kernel.
pub struct ZipUser {
    pub machine: Arc<Machine>,
    pub host: Arc<ZipHost>,
    pub queue: u16,
    pub pasid: u32,
    tail: u16,
    head: u16,
    phase: bool,
}

impl ZipUser {
    /// Has the kernel open a queue for a process, or without a PASID for itself.
    pub fn open(kernel: &Kunpeng, queue: u16, pasid: u32, kind: u16) -> Self {
        let Kunpeng { machine, host } = kernel;
        if !machine.has(NO_PASID, rings(queue)) {
            machine.map(NO_PASID, rings(queue), 8, Rights::Write);
        }
        machine.poke(NO_PASID, rings(queue), &[0; 8 * 4096]);
        assert!(kernel.open(queue, (pasid != NO_PASID).then_some(pasid as u16), kind));
        Self { machine: machine.clone(), host: host.clone(), queue, pasid, tail: 0, head: 0, phase: true }
    }

    /// Writes an entry.
    pub fn publish(&mut self, entry: &Entry) {
        let bytes: Vec<u8> = entry.encode().iter().flat_map(|word| word.to_le_bytes()).collect();
        self.machine.poke(NO_PASID, rings(self.queue) + u64::from(self.tail) * Entry::SIZE as u64, &bytes);
        self.tail = (self.tail + 1) % DEPTH;
    }

    pub fn ring(&self, command: DoorbellCommand, index: u16, priority: u16) {
        let value = Doorbell { queue: self.queue, command, index, priority }.encode();
        let offset = usize::from(self.queue) * Doorbell::REGION + Doorbell::OFFSET;
        self.host.write(pci::DOORBELLS_BAR, offset, 8, value);
    }

    pub fn submit(&mut self, entry: &Entry) {
        self.publish(entry);
        self.announce();
    }

    pub fn announce(&self) {
        self.ring(DoorbellCommand::Submission, self.tail, 0);
    }

    /// Looks for the next completion: which entry, its results and its tag.
    pub fn peek(&self) -> Option<(u16, Results, u32)> {
        let at = rings(self.queue) + COMPLETIONS + u64::from(self.head) * QueueCompletion::SIZE as u64;
        let word = self.machine.word(NO_PASID, at + QueueCompletion::CONTROL as u64);
        let completion = QueueCompletion::decode(word);
        if completion.phase != self.phase {
            return None;
        }
        assert_eq!(completion.queue, self.queue);
        let entry = rings(self.queue) + u64::from(completion.entry) * Entry::SIZE as u64;
        let results = Results::decode([0, 8].map(|offset| self.machine.word(NO_PASID, entry + offset)));
        let tag = self.machine.word(NO_PASID, entry + 0x68) as u32;
        Some((completion.entry, results, tag))
    }

    /// Length and checksum in the entry at a place.
    pub fn sums(&self, place: u16) -> (u32, u32) {
        let word = self.machine.word(NO_PASID, rings(self.queue) + u64::from(place) * Entry::SIZE as u64 + 0x78);
        (word as u32, (word >> 32) as u32)
    }

    /// Takes the next completion, without a doorbell.
    pub fn take(&mut self) -> Option<(Results, u32)> {
        let (_, results, tag) = self.peek()?;
        self.head = (self.head + 1) % DEPTH;
        if self.head == 0 {
            self.phase = !self.phase;
        }
        Some((results, tag))
    }

    /// Says how far completions were taken, and demands an event for the next one or not.
    pub fn taken(&self, arm: bool) {
        self.ring(DoorbellCommand::Completion, self.head, u16::from(arm));
    }

    /// Lets the machine live until the next completion is there, and takes it.
    pub fn wait(&mut self) -> (Results, u32) {
        let machine = self.machine.clone();
        machine.live_until(|| self.peek().is_some());
        let completion = self.take().expect("until there was one");
        self.taken(false);
        completion
    }
}
