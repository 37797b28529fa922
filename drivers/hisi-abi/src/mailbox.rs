//! The mailbox: commands of the kernel (`qm.c`: `qm_mb_pre_init`, `hisi_qm_mb`; `hisi_acc_qm.h`: `struct qm_mailbox`).

/// What a command is about. What stands in the mailbox's address field is said behind each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MailboxCommand {
    /// Context of a submission ring; its address.
    SubmissionContext = 0,
    /// Context of a completion ring; its address.
    CompletionContext = 1,
    /// Context of the ring of events; its address.
    EventContext = 2,
    /// Context of the ring of asynchronous events; its address.
    AsyncContext = 3,
    /// Where the device may keep the contexts of submission rings; an address.
    SubmissionBacking = 4,
    /// Where the device may keep the contexts of completion rings; an address.
    CompletionBacking = 5,
    /// Which queues the function has; answered in the field itself, as [`VftQueues`](crate::VftQueues).
    FunctionQueues = 6,
    /// Take no more entries of this queue, and answer when none is in work.
    StopQueue = 8,
    /// The same for all queues of the function.
    StopFunction = 9,
    /// A message from another function.
    MessageFrom = 0xc,
    /// A message to another function.
    MessageTo = 0xd,
}

/// Which way a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailboxOperation {
    /// The device reads what is at the address.
    Write,
    /// The device writes there.
    Read,
}

/// The mailbox's 128 bits.
///
/// | bits | field |
/// | --- | --- |
/// | 7:0 | command |
/// | 8 | event |
/// | 12:9 | status: anything but 0 says that the command failed |
/// | 13 | busy: set by the kernel, cleared by the device when the command is over |
/// | 14 | operation: 1 reads |
/// | 31:16 | queue, or function |
/// | 95:32 | address or data, low half first |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The command's number; not all are known, see [`command`](Self::command).
    pub number: u8,
    /// Which way it goes.
    pub operation: MailboxOperation,
    /// Queue, or function.
    pub queue: u16,
    /// Address or data.
    pub address: u64,
    /// Whether it is not over.
    pub busy: bool,
    /// How it ended: 0 is good.
    pub status: u8,
}

impl Mailbox {
    /// Bytes of the mailbox.
    pub const SIZE: usize = 16;
    const BUSY: u32 = 1 << 13;
    const READ: u32 = 1 << 14;

    /// The four words of 32 bits.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the address is cut in halves by design")]
    pub const fn encode(&self) -> [u32; 4] {
        let operation = match self.operation {
            MailboxOperation::Write => 0,
            MailboxOperation::Read => Self::READ,
        };
        let busy = if self.busy { Self::BUSY } else { 0 };
        let head = self.number as u32 | (self.status as u32 & 0xf) << 9 | busy | operation | (self.queue as u32) << 16;
        [head, self.address as u32, (self.address >> 32) as u32, 0]
    }

    /// Reads the four words.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub const fn decode(words: [u32; 4]) -> Self {
        let [head, low, high, _] = words;
        Self {
            number: head as u8,
            operation: if head & Self::READ != 0 { MailboxOperation::Read } else { MailboxOperation::Write },
            queue: (head >> 16) as u16,
            address: low as u64 | (high as u64) << 32,
            busy: head & Self::BUSY != 0,
            status: (head >> 9 & 0xf) as u8,
        }
    }

    /// What the command is about; `None` if it is none that is known.
    #[must_use]
    pub const fn command(&self) -> Option<MailboxCommand> {
        Some(match self.number {
            0 => MailboxCommand::SubmissionContext,
            1 => MailboxCommand::CompletionContext,
            2 => MailboxCommand::EventContext,
            3 => MailboxCommand::AsyncContext,
            4 => MailboxCommand::SubmissionBacking,
            5 => MailboxCommand::CompletionBacking,
            6 => MailboxCommand::FunctionQueues,
            8 => MailboxCommand::StopQueue,
            9 => MailboxCommand::StopFunction,
            0xc => MailboxCommand::MessageFrom,
            0xd => MailboxCommand::MessageTo,
            _ => return None,
        })
    }
}
