//! Doorbells (`qm.c`: `qm_db_v2`; UADK: `hacc_db_v2`).

/// What a doorbell is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DoorbellCommand {
    /// The submission ring has entries up to the index, which is its new tail.
    Submission = 0,
    /// Completions up to the index, which is the ring's new head, were taken.
    Completion = 1,
    /// Events up to the index were taken; arms the next interrupt. The kernel's.
    Event = 2,
    /// Asynchronous events up to the index were taken; arms the next interrupt. The kernel's.
    AsyncEvent = 3,
}

/// A doorbell: one store of 64 bits.
///
/// | bits | field |
/// | --- | --- |
/// | 11:0 | queue |
/// | 15:12 | command |
/// | 31:16 | random guard, 0 |
/// | 47:32 | index |
/// | 63:48 | priority; on a completion doorbell 1 demands an event for the next completion |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Doorbell {
    /// The queue's number in the function.
    pub queue: u16,
    /// What it is about.
    pub command: DoorbellCommand,
    /// A place in the ring, below its depth.
    pub index: u16,
    /// See the table.
    pub priority: u16,
}

impl Doorbell {
    /// Where a queue's doorbells are in its region of registers, with doorbell isolation and without.
    pub const OFFSET: usize = 0x1000;
    /// Bytes of registers a queue has to itself, with doorbell isolation.
    pub const REGION: usize = 0x1_0000;
    /// The last queue that a doorbell can name.
    pub const LAST_QUEUE: u16 = 0xfff;
    /// The priority that demands an event.
    pub const ARM: u16 = 1;

    /// The value to be stored.
    #[inline]
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.queue & Self::LAST_QUEUE) as u64
            | (self.command as u64) << 12
            | (self.index as u64) << 32
            | (self.priority as u64) << 48
    }

    /// Reads a value that was stored; `None` for a command there is not.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of the word by design")]
    pub const fn decode(value: u64) -> Option<Self> {
        let command = match value >> 12 & 0xf {
            0 => DoorbellCommand::Submission,
            1 => DoorbellCommand::Completion,
            2 => DoorbellCommand::Event,
            3 => DoorbellCommand::AsyncEvent,
            _ => return None,
        };
        Some(Self {
            queue: (value & 0xfff) as u16,
            command,
            index: (value >> 32) as u16,
            priority: (value >> 48) as u16,
        })
    }
}
