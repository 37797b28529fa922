//! The register machine.

use uaccel_hisi_abi::{
    AsyncEvent, AsyncKind, CompletionContext, Doorbell, DoorbellCommand, Event, Mailbox, SubmissionContext, pci,
    registers, zip,
};

use super::Host;
use super::config::{Config, ConfigError, ErrorRegisters};
use super::contexts::{Notice, Slot};
use super::event_ring::EventRing;
use super::mailbox::Drain;
use super::registers::Registers;
use super::table::Table;

/// The queue manager's own errors.
const OWN_ERRORS: ErrorRegisters = ErrorRegisters {
    source: registers::ERROR_SOURCE,
    mask: registers::ERROR_MASK,
    status: registers::ERRORS,
    shutdown: registers::SHUTDOWN_ERRORS,
};

/// The queue manager of one function. See the [module](super).
#[derive(Debug)]
pub struct QueueManager {
    config: Config,
    pub(super) registers: Registers,
    pub(super) table: Table,
    pub(super) slots: Box<[Slot]>,
    pub(super) events: Option<EventRing>,
    notices: Box<[Notice]>,
    pub(super) async_events: Option<EventRing>,
    pub(super) submission_backing: Option<u64>,
    pub(super) completion_backing: Option<u64>,
    /// What the command in the mailbox waits for.
    pub(super) drain: Option<Drain>,
}

impl QueueManager {
    /// A function as it is at power-on.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let registers = Registers::new(config.registers().into_iter().chain(config.engine.registers.iter().copied()));
        Ok(Self {
            config,
            registers,
            table: Table::new(),
            slots: (0..config.queues).map(|_| Slot::default()).collect(),
            events: None,
            notices: (0..config.queues).map(|_| Notice::default()).collect(),
            async_events: None,
            submission_backing: None,
            completion_backing: None,
            drain: None,
        })
    }

    /// Brings it to the state at power-on.
    pub fn reset(&mut self, host: &impl Host) {
        self.close_all(host);
        // It could be made before, so it can be now.
        if let Ok(fresh) = Self::new(self.config) {
            *self = fresh;
        }
    }

    /// Whether jobs may be taken and go on: no error has shut the function down, and its way to memory is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !OWN_ERRORS.shuts(&self.registers)
            && !self.config.engine.errors.shuts(&self.registers)
            && self.registers.get(zip::registers::PORT_CLOSED) == 0
    }

    /// Reads a register of 4 bytes, or two of them. What is not one reads as 0.
    pub fn read(&mut self, offset: usize, size: usize) -> u64 {
        let low = u64::from(self.read_one(offset));
        if size == 8 { low | u64::from(self.read_one(offset.wrapping_add(4))) << 32 } else { low }
    }

    fn read_one(&mut self, offset: usize) -> u32 {
        // What can be cleared is what there is.
        let register = match offset {
            registers::ERROR_SOURCE => OWN_ERRORS.status,
            offset if offset == self.config.engine.errors.source => self.config.engine.errors.status,
            offset => offset,
        };
        let value = self.registers.get(register);
        let clears = self.registers.get(registers::counter::CLEAR_ON_READ) & 1 != 0;
        if clears && registers::counter::ALL.contains(&offset) {
            self.registers.set(offset, 0);
        }
        value
    }

    /// Writes a register of 4 bytes, or two of them, or rings a doorbell, which has 8.
    #[allow(clippy::cast_possible_truncation, reason = "cut in halves by design")]
    pub fn write(&mut self, host: &impl Host, offset: usize, size: usize, value: u64) {
        if (registers::EVENT_DOORBELLS..registers::EVENT_DOORBELLS + 8).contains(&offset) {
            if size == 8 {
                self.ring(host, value);
            }
            return;
        }
        self.write_one(host, offset, value as u32);
        if size == 8 {
            self.write_one(host, offset.wrapping_add(4), (value >> 32) as u32);
        }
    }

    fn write_one(&mut self, host: &impl Host, offset: usize, value: u32) {
        const MAILBOX_END: usize = registers::MAILBOX + Mailbox::SIZE;
        const LAST_WORD: usize = MAILBOX_END - 4;
        let engine = self.config.engine.errors;
        match offset {
            // A command is in work: it is not written over.
            registers::MAILBOX..MAILBOX_END if self.drain.is_some() => {}
            LAST_WORD => {
                self.registers.set(offset, value);
                self.command(host);
            }
            registers::EVENT_MASK | registers::ASYNC_MASK => {
                self.registers.set(offset, value);
                self.fire(host);
            }
            registers::WRITE_BACK_START => {
                if value & 1 != 0 {
                    self.write_back(host);
                }
            }
            registers::MEMORY_START => {
                if value & 1 != 0 {
                    self.initialise(host);
                }
            }
            registers::VFT_START => {
                if value & 1 != 0 {
                    self.operate(host);
                }
            }
            registers::ERROR_SOURCE => OWN_ERRORS.clear(&mut self.registers, value),
            registers::ERROR_MASK => {
                if OWN_ERRORS.set_mask(&mut self.registers, value) {
                    self.interrupt(host, registers::ERROR_INTERRUPT);
                }
            }
            offset if offset == engine.source => engine.clear(&mut self.registers, value),
            offset if offset == engine.mask => {
                if engine.set_mask(&mut self.registers, value) {
                    self.interrupt(host, registers::ERROR_INTERRUPT);
                }
            }
            zip::registers::PORT_CLOSE => {
                self.registers.set(offset, value);
                // Nothing is on its way when a write is: who may access memory holds the lock.
                self.registers.set(zip::registers::PORT_CLOSED, if value & 1 != 0 { 3 } else { 0 });
            }
            offset if self.is_read_only(offset) => {}
            offset => self.registers.set(offset, value),
        }
        // Errors, the port and the table may each be what a command waits for.
        self.settle(host);
    }

    fn is_read_only(&self, offset: usize) -> bool {
        matches!(
            offset,
            registers::ISOLATION
                | registers::SUB_VERSION
                | registers::QUEUES
                | registers::WRITE_BACK_DONE
                | registers::MEMORY_DONE
                | registers::ERRORS
                | registers::INTERRUPT_PATH
                | registers::INTERRUPTS_HELD
                | registers::CAPABILITIES..registers::CAPABILITIES_END | zip::registers::PORT_CLOSED
        ) || offset == self.config.engine.errors.status
            || offset >= pci::REGISTERS_SIZE
    }

    /// The kernel took events.
    fn ring(&mut self, host: &impl Host, value: u64) {
        self.count_doorbell();
        let Some(doorbell) = Doorbell::decode(value) else { return };
        let ring = match doorbell.command {
            DoorbellCommand::Event => &mut self.events,
            DoorbellCommand::AsyncEvent => &mut self.async_events,
            // Those of queues are where the queues' are.
            DoorbellCommand::Submission | DoorbellCommand::Completion => return,
        };
        if let Some(ring) = ring {
            ring.take(doorbell.index);
            self.release(host);
            self.fire(host);
        }
    }

    /// Raises the interrupts of events that are due.
    fn fire(&mut self, host: &impl Host) {
        let is_masked = |registers: &Registers, mask| registers.get(mask) & 1 != 0;
        if !is_masked(&self.registers, registers::EVENT_MASK) && self.events.as_mut().is_some_and(EventRing::fire) {
            self.interrupt(host, registers::EVENT_INTERRUPT);
        }
        if !is_masked(&self.registers, registers::ASYNC_MASK) && self.async_events.as_mut().is_some_and(EventRing::fire)
        {
            self.interrupt(host, registers::ASYNC_INTERRUPT);
        }
    }

    /// A completion ring has a completion, as was demanded of it.
    ///
    /// A queue has one event out at a time; the next is held back until the kernel has taken that. Linux 7.3 relies on it: `qm_get_complete_eqe_num` copies the
    /// events of one interrupt into an array of as many places as there are queues, without looking at its end.
    pub fn completed(&mut self, host: &impl Host, queue: u16) {
        let (Some(ring), Some(notice)) = (self.events, self.notices.get_mut(usize::from(queue))) else { return };
        notice.held = notice.last.is_some_and(|last| !ring.was_taken(last));
        if !notice.held {
            self.notify(host, queue);
        }
    }

    /// Puts the events that were held back for others that were taken now.
    fn release(&mut self, host: &impl Host) {
        for queue in 0..self.config.queues {
            if self.notices[usize::from(queue)].held {
                self.completed(host, queue);
            }
        }
    }

    /// Puts an event.
    fn notify(&mut self, host: &impl Host, queue: u16) {
        let Some(ring) = self.events else { return };
        let Some(place) = ring.next() else {
            return self.went_wrong(host, queue, AsyncKind::EventOverflow);
        };
        let event = Event { completions: queue, phase: place.phase }.encode();
        if self.store(host, place.address, &event.to_le_bytes()) {
            self.notices[usize::from(queue)].last = self.events.as_mut().map(EventRing::advance);
            self.fire(host);
        }
    }

    /// Something is wrong with a queue. If nobody can be told any more, nobody is.
    pub fn went_wrong(&mut self, host: &impl Host, queue: u16, kind: AsyncKind) {
        let Some(place) = self.async_events.and_then(|ring| ring.next()) else { return };
        let event = AsyncEvent { queue, phase: place.phase, kind }.encode();
        if self.store(host, place.address, &event.to_le_bytes()) {
            if let Some(ring) = &mut self.async_events {
                ring.advance();
            }
            self.fire(host);
        }
    }

    /// The queue manager has errors, bits as the kernel's driver names them (`qm_hw_error`).
    pub fn raise_error(&mut self, host: &impl Host, errors: u32) {
        if OWN_ERRORS.raise(&mut self.registers, errors) {
            self.interrupt(host, registers::ERROR_INTERRUPT);
        }
    }

    /// The engine has errors, bits as the kernel's driver names them (ZIP: `zip_hw_error`).
    pub fn raise_engine_error(&mut self, host: &impl Host, errors: u32) {
        if self.config.engine.errors.raise(&mut self.registers, errors) {
            self.interrupt(host, registers::ERROR_INTERRUPT);
        }
    }

    /// Counts a doorbell.
    pub fn count_doorbell(&mut self) {
        self.count(registers::counter::DOORBELLS);
    }

    /// Counts entries that were taken and completions that were written.
    pub fn count_jobs(&mut self, taken: u32, answered: u32) {
        self.add(registers::counter::ENTRIES, taken);
        self.add(registers::counter::COMPLETIONS, answered);
    }

    pub(super) fn count(&mut self, counter: usize) {
        self.add(counter, 1);
    }

    fn add(&mut self, counter: usize, count: u32) {
        self.registers.set(counter, self.registers.get(counter).wrapping_add(count));
    }

    fn interrupt(&self, host: &impl Host, capability: usize) {
        if let Some(vector) = self.registers.vector(capability) {
            host.interrupt(vector);
        }
    }

    /// A new ring of events, or none.
    pub(super) fn set_events(&mut self, ring: Option<EventRing>) {
        self.events = ring;
        self.notices.fill(Notice::default());
    }

    /// What is kept of a queue, with how far it is.
    pub(super) fn up_to_date(&mut self, host: &impl Host, queue: u16) -> Option<Slot> {
        let slot = self.slots.get_mut(usize::from(queue))?;
        if slot.running {
            slot.progress = host.progress(queue);
        }
        Some(*slot)
    }

    /// Closes a queue; its contexts stay readable.
    pub(super) fn close(&mut self, host: &impl Host, queue: u16) {
        if self.up_to_date(host, queue).is_some_and(|slot| slot.running) {
            host.close_queue(queue);
            self.slots[usize::from(queue)].running = false;
            self.notices[usize::from(queue)].held = false;
        }
    }

    pub(super) fn close_all(&mut self, host: &impl Host) {
        (0..self.config.queues).for_each(|queue| self.close(host, queue));
    }

    /// Carries out an operation on the table of functions. Queues that the function does not have any more are closed.
    fn operate(&mut self, host: &impl Host) {
        self.table.operate(&mut self.registers);
        let left = u16::try_from(self.table.queues()).unwrap_or(u16::MAX);
        (left..self.config.queues).for_each(|queue| self.close(host, queue));
        self.registers.set(registers::VFT_READY, 1);
    }

    /// Initialises the memory: nothing is known of queues, rings and functions any more, no command is in work, and the way to memory is open.
    fn initialise(&mut self, host: &impl Host) {
        self.close_all(host);
        self.slots.fill(Slot::default());
        self.table = Table::new();
        self.set_events(None);
        self.async_events = None;
        (self.submission_backing, self.completion_backing) = (None, None);
        self.drain = None;
        (0..Mailbox::SIZE).step_by(4).for_each(|at| self.registers.set(registers::MAILBOX + at, 0));
        self.registers.set(zip::registers::PORT_CLOSE, 0);
        self.registers.set(zip::registers::PORT_CLOSED, 0);
        self.registers.set(registers::MEMORY_DONE, 1);
    }

    /// Writes the contexts to where the kernel said they may be kept.
    fn write_back(&mut self, host: &impl Host) {
        if !self.is_open() {
            return;
        }
        for queue in 0..self.config.queues {
            let Some(slot) = self.up_to_date(host, queue) else { continue };
            let at = |base: u64, size: usize| base.wrapping_add(u64::from(queue) * size as u64);
            if let (Some(base), Some(_)) = (self.submission_backing, slot.submission) {
                self.store(host, at(base, SubmissionContext::SIZE), &slot.submission_bytes());
            }
            if let (Some(base), Some(_)) = (self.completion_backing, slot.completion) {
                self.store(host, at(base, CompletionContext::SIZE), &slot.completion_bytes());
            }
        }
        self.registers.set(registers::WRITE_BACK_DONE, 1);
    }
}
