//! The mailbox's commands.

use uaccel_hisi_abi::{
    CompletionContext, EventContext, Mailbox, MailboxCommand, MailboxOperation, SubmissionContext, registers,
};

use super::contexts::Slot;
use super::errors::{BUS_READ, BUS_WRITE};
use super::event_ring::EventRing;
use super::{Contexts, Host, QueueManager};

/// The status of a command that failed. Anything but 0 would do.
const FAILED: u8 = 1;

/// What a command that is not over waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Drain {
    Queue(u16),
    Function,
}

/// How a command went.
enum Ended {
    Done,
    /// Done, with this in the address field.
    Answered(u64),
    Failed,
    Draining(Drain),
}

impl From<bool> for Ended {
    fn from(done: bool) -> Self {
        if done { Self::Done } else { Self::Failed }
    }
}

impl QueueManager {
    /// The last word of the mailbox was written.
    pub(super) fn command(&mut self, host: &impl Host) {
        let mailbox = self.mailbox();
        if !mailbox.busy {
            return;
        }
        self.count(registers::counter::COMMANDS);
        let ended = if self.is_open() { self.carry_out(host, &mailbox) } else { Ended::Failed };
        match ended {
            Ended::Done => self.answer(Mailbox { status: 0, ..mailbox }),
            Ended::Answered(address) => self.answer(Mailbox { status: 0, address, ..mailbox }),
            Ended::Failed => self.answer(Mailbox { status: FAILED, ..mailbox }),
            Ended::Draining(drain) => {
                self.drain = Some(drain);
                self.settle(host);
            }
        }
    }

    /// Ends a command that waits for queues to be drained, if they are. To be called when that may have become so.
    ///
    /// Where the function was shut down meanwhile, they are not going to be: then the command fails.
    pub fn settle(&mut self, host: &impl Host) {
        let Some(drain) = self.drain else { return };
        if !self.is_open() {
            self.drain = None;
            return self.answer(Mailbox { status: FAILED, ..self.mailbox() });
        }
        let waiting = |(queue, slot): (u16, &Slot)| slot.running && !host.is_drained(queue);
        let waits = match drain {
            Drain::Queue(queue) => self.slots.get(usize::from(queue)).is_some_and(|slot| waiting((queue, slot))),
            Drain::Function => (0..).zip(&self.slots).any(waiting),
        };
        if waits {
            return;
        }
        match drain {
            Drain::Queue(queue) => self.close(host, queue),
            Drain::Function => self.close_all(host),
        }
        self.drain = None;
        self.answer(Mailbox { status: 0, ..self.mailbox() });
    }

    fn mailbox(&self) -> Mailbox {
        Mailbox::decode([0, 4, 8, 12].map(|at| self.registers.get(registers::MAILBOX + at)))
    }

    /// The command is over.
    fn answer(&mut self, mailbox: Mailbox) {
        for (offset, word) in (registers::MAILBOX..).step_by(4).zip(Mailbox { busy: false, ..mailbox }.encode()) {
            self.registers.set(offset, word);
        }
    }

    fn carry_out(&mut self, host: &impl Host, mailbox: &Mailbox) -> Ended {
        let &Mailbox { operation, queue, address, .. } = mailbox;
        let Some(command) = mailbox.command() else { return Ended::Failed };
        match (command, operation) {
            (MailboxCommand::SubmissionContext, MailboxOperation::Write) => self.set_submission(host, queue, address),
            (MailboxCommand::SubmissionContext, MailboxOperation::Read) => {
                let bytes = self.up_to_date(host, queue).map(|slot| slot.submission_bytes());
                bytes.is_some_and(|bytes| self.store(host, address, &bytes))
            }
            (MailboxCommand::CompletionContext, MailboxOperation::Write) => self.set_completion(host, queue, address),
            (MailboxCommand::CompletionContext, MailboxOperation::Read) => {
                let bytes = self.up_to_date(host, queue).map(|slot| slot.completion_bytes());
                bytes.is_some_and(|bytes| self.store(host, address, &bytes))
            }
            (MailboxCommand::EventContext, MailboxOperation::Write) => {
                let ring = self.event_ring(host, address);
                self.set_events(ring);
                ring.is_some()
            }
            (MailboxCommand::AsyncContext, MailboxOperation::Write) => {
                self.async_events = self.event_ring(host, address);
                self.async_events.is_some()
            }
            (MailboxCommand::EventContext, MailboxOperation::Read) => self.tell_ring(host, address, self.events),
            (MailboxCommand::AsyncContext, MailboxOperation::Read) => self.tell_ring(host, address, self.async_events),
            (MailboxCommand::SubmissionBacking, MailboxOperation::Write) => {
                self.submission_backing = Some(address);
                true
            }
            (MailboxCommand::CompletionBacking, MailboxOperation::Write) => {
                self.completion_backing = Some(address);
                true
            }
            (MailboxCommand::FunctionQueues, MailboxOperation::Read) => {
                return Ended::Answered(self.table.submissions(queue));
            }
            (MailboxCommand::StopQueue, MailboxOperation::Write) => {
                let Some(slot) = self.slots.get(usize::from(queue)) else { return Ended::Failed };
                if slot.running {
                    host.stop_queue(queue);
                }
                return Ended::Draining(Drain::Queue(queue));
            }
            (MailboxCommand::StopFunction, MailboxOperation::Write) => {
                let running = (0..).zip(&self.slots).filter(|(_, slot)| slot.running);
                running.for_each(|(queue, _)| host.stop_queue(queue));
                return Ended::Draining(Drain::Function);
            }
            // There are no other functions to exchange messages with, and nothing else goes the other way.
            _ => false,
        }
        .into()
    }

    /// A new context of a submission ring: whatever the queue was before, it is not any more.
    fn set_submission(&mut self, host: &impl Host, queue: u16, address: u64) -> bool {
        if u32::from(queue) >= self.table.queues() || usize::from(queue) >= self.slots.len() {
            return false;
        }
        let Some(context) = self.load(host, address).map(|bytes| SubmissionContext::decode(&bytes)) else {
            return false;
        };
        // Other pairs of rings than the kernel makes are not modelled.
        if context.completions != queue {
            return false;
        }
        self.close(host, queue);
        self.slots[usize::from(queue)] = Slot { submission: Some(context), ..Slot::default() };
        true
    }

    /// A new context of a completion ring. With it the queue is complete, and starts.
    fn set_completion(&mut self, host: &impl Host, queue: u16, address: u64) -> bool {
        let submission = self.slots.get(usize::from(queue)).and_then(|slot| slot.submission);
        let Some(submission) = submission else { return false };
        let Some(completion) = self.load(host, address).map(|bytes| CompletionContext::decode(&bytes)) else {
            return false;
        };
        self.close(host, queue);
        let running = host.start_queue(queue, &Contexts { submission, completion });
        self.slots[usize::from(queue)] =
            Slot { submission: Some(submission), completion: Some(completion), running, ..Slot::default() };
        running
    }

    fn event_ring(&mut self, host: &impl Host, address: u64) -> Option<EventRing> {
        let bytes = self.load(host, address)?;
        EventRing::new(&EventContext::decode(&bytes))
    }

    fn tell_ring(&mut self, host: &impl Host, address: u64, ring: Option<EventRing>) -> bool {
        ring.is_some_and(|ring| self.store(host, address, &ring.context().encode()))
    }

    /// Reads memory for a command.
    fn load<const N: usize>(&mut self, host: &impl Host, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        if host.read(address, &mut bytes) {
            return Some(bytes);
        }
        self.raise_error(host, BUS_READ);
        None
    }

    /// Writes memory.
    pub(super) fn store(&mut self, host: &impl Host, address: u64, bytes: &[u8]) -> bool {
        let stored = host.write(address, bytes);
        if !stored {
            self.raise_error(host, BUS_WRITE);
        }
        stored
    }
}
