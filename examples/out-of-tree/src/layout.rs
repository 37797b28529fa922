//! The engine's interface to the byte: registers, ring memory, entries. All numbers are little endian.

use uaccel_queue::{Fault, Operation, Outcome, Status};

/// The name by which the driver knows the device.
pub const INTERFACE: &str = "tally_v1";

/// Registers in the user page, by offset.
pub mod register {
    /// Read only: [`IDENTITY`](super::IDENTITY).
    pub const IDENT: usize = 0x00;
    /// Read only: the most bytes a job may read or write.
    pub const MAX_TRANSFER: usize = 0x08;
    /// The device's address of the ring memory.
    pub const BASE: usize = 0x10;
    /// Doorbell: 1 starts the queue, 0 stops it.
    pub const START: usize = 0x18;
    /// Doorbell: how many entries there are by now.
    pub const SUBMIT: usize = 0x20;
    /// A count: when it has changed, the next answer is signalled.
    pub const ARM: usize = 0x28;
}

/// What stands in [`register::IDENT`]: "TALLY" and a version.
pub const IDENTITY: u64 = 0x01_59_4c_4c_41_54;

/// Entries of the ring; also how many jobs can be in flight.
pub const ENTRIES: usize = 256;

/// Offset of the state word in ring memory, which the device writes.
pub const STATE: usize = 0x00;

/// Offset of the done word, which the device writes: how many entries it has answered. They are answered in order, so this
/// is all there is to a completion.
pub const DONE: usize = 0x40;

/// Offset of the ring.
pub const RING: usize = 0x80;

/// Bytes of an entry.
pub const ENTRY: usize = 32;

/// Offset of an entry's last word, the store of which makes it valid.
pub const CONTROL: usize = 24;

/// Bytes of ring memory a queue needs.
pub const SIZE: usize = RING + ENTRIES * ENTRY;

/// Offset of entry number `index`, counted from the start of the queue.
#[must_use]
pub const fn entry(index: u64) -> usize {
    // The remainder is below ENTRIES.
    RING + (index % ENTRIES as u64) as usize * ENTRY
}

/// What the state word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started.
    Off,
    /// Entries are taken.
    Running,
    /// No entry is taken, and no memory is touched any more.
    Stopped,
    /// The device gave up on the queue, for this reason.
    Failed(u32),
}

impl State {
    /// The word: the state in bits 31:0, the reason in 63:32.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Off => 0,
            Self::Running => 1,
            Self::Stopped => 2,
            Self::Failed(reason) => 3 | (reason as u64) << 32,
        }
    }

    /// Reads the word. What it should not say is a failure.
    #[must_use]
    pub const fn decode(word: u64) -> Self {
        match word as u32 {
            0 => Self::Off,
            1 => Self::Running,
            2 => Self::Stopped,
            _ => Self::Failed((word >> 32) as u32),
        }
    }
}

/// What the device is to do.
///
/// | word | bits | meaning |
/// | --- | --- | --- |
/// | 0 | 63:0 | `first`: the source; for a fill, the pattern |
/// | 1 | 63:0 | `second`: the destination; for a comparison, the other source |
/// | 2 | 31:0 | length of each of them |
/// | 2 | 63:32 | the value a checksum continues from |
/// | 3 | 31:0 | how many entries there are with this one, modulo 2^32; tells a new entry from an old one |
/// | 3 | 39:32 | opcode |
/// | 3 | 40 | the host vouches for the memory |
/// | 3 | 41 | the destination may hold uninitialised bytes |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The source, or a pattern.
    pub first: u64,
    /// The destination, or another source.
    pub second: u64,
    /// Bytes.
    pub len: u32,
    /// What a checksum continues from.
    pub seed: u32,
    /// What to do: a number of the framework's operations, or [`Entry::REFUSED`].
    pub opcode: u8,
    /// Whether the memory can be used in place by a model in the same process.
    pub vouched: bool,
    /// Whether the destination's bytes may never have been written.
    pub uninitialised: bool,
}

impl Entry {
    /// The opcode of a job that cannot be said in an entry. The device answers it like any other, so the driver needs no way of its own
    /// to answer what it could not send, and the order is kept.
    pub const REFUSED: u8 = 0xff;

    /// The operations the engine knows.
    pub const OPERATIONS: [Operation; 6] =
        [Operation::Nop, Operation::Copy, Operation::Fill, Operation::Compare, Operation::Crc32c, Operation::Crc32];

    /// The entry's words, if it is number `index`.
    #[must_use]
    pub const fn encode(&self, index: u64) -> [u64; 4] {
        [
            self.first,
            self.second,
            self.len as u64 | (self.seed as u64) << 32,
            Self::mark(index) as u64
                | (self.opcode as u64) << 32
                | (self.vouched as u64) << 40
                | (self.uninitialised as u64) << 41,
        ]
    }

    /// Reads an entry. Bits without a meaning are not looked at.
    #[must_use]
    pub const fn decode([first, second, lengths, control]: [u64; 4]) -> Self {
        Self {
            first,
            second,
            len: lengths as u32,
            seed: (lengths >> 32) as u32,
            opcode: (control >> 32) as u8,
            vouched: control >> 40 & 1 != 0,
            uninitialised: control >> 41 & 1 != 0,
        }
    }

    /// Whether this last word is that of entry number `index`: what stood there a round ago has another mark.
    #[must_use]
    pub const fn is_valid(control: u64, index: u64) -> bool {
        control as u32 == Self::mark(index)
    }

    const fn mark(index: u64) -> u32 {
        (index as u32).wrapping_add(1)
    }
}

/// What became of an entry. It stands where the entry's first two words stood.
///
/// | word | bits | meaning |
/// | --- | --- | --- |
/// | 0 | 7:0 | status, a number of the framework's statuses |
/// | 0 | 15:8 | what kind of access failed, 0 if none |
/// | 0 | 63:32 | the checksum, or the offset of the first difference |
/// | 1 | 63:0 | the address that could not be accessed |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// How it ended, as the device has it.
    pub status: u8,
    /// What kind of access failed.
    pub fault: u8,
    /// The result.
    pub value: u32,
    /// Where the access failed.
    pub address: u64,
}

impl Answer {
    /// The answer to a job that ended like this. Its lengths are not told: they are those of the entry.
    #[must_use]
    pub fn new(outcome: &Outcome, value: u32) -> Self {
        let mut answer = Self { status: outcome.status as u8, value, ..Self::default() };
        if let (Status::Fault, Some(Fault { address, kind })) = (outcome.status, outcome.fault) {
            (answer.fault, answer.address) = (kind as u8, address);
        }
        answer
    }

    /// The two words.
    #[must_use]
    pub const fn encode(self) -> [u64; 2] {
        [self.status as u64 | (self.fault as u64) << 8 | (self.value as u64) << 32, self.address]
    }

    /// Reads the two words.
    #[must_use]
    pub const fn decode([word, address]: [u64; 2]) -> Self {
        Self { status: word as u8, fault: (word >> 8) as u8, value: (word >> 32) as u32, address }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let entry = Entry { first: 1, second: 2, len: 3, seed: 4, opcode: 5, vouched: true, uninitialised: true };
        let words = entry.encode(u64::from(u32::MAX));
        assert_eq!(Entry::decode(words), entry);
        assert!(Entry::is_valid(words[3], u64::from(u32::MAX)) && !Entry::is_valid(words[3], 7));
        let answer = Answer { status: 9, fault: 2, value: 77, address: 0xdead_0000 };
        assert_eq!(Answer::decode(answer.encode()), answer);
        for state in [State::Off, State::Running, State::Stopped, State::Failed(8)] {
            assert_eq!(State::decode(state.encode()), state);
        }
    }
}
