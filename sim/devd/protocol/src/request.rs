//! What a client asks for.

use bitflags::bitflags;

use crate::record::{Record, narrow, reserved};
use crate::{DecodeError, RECORD};

bitflags! {
    /// What a client is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct HelloFlags: u64 {
        /// It has registered for `MEMBARRIER_CMD_GLOBAL_EXPEDITED`: a fence of the daemon is one on its threads too.
        const FENCED = 1 << 0;
    }
}

/// Whose jobs come first when there are more than the engines can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Less than the others.
    Low,
    /// As most.
    #[default]
    Normal,
    /// More than the others.
    High,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Binds the client's address space. Two descriptors: its own `/proc/self/mem`, open for reading and writing, and its own `/proc/self/maps`.
    Hello {
        /// The version that the client speaks.
        version: u32,
        /// What it is.
        flags: HelloFlags,
        /// Whose jobs come first.
        priority: Priority,
        /// Where in the client's memory its gate is: a page at a place that nobody can guess, which begins with the canary.
        gate: u64,
        /// What stands there.
        canary: [u64; 2],
    },
    /// Asks about a device.
    Device {
        /// Which, from 0.
        index: u32,
    },
    /// Opens a queue.
    Open {
        /// Of which device.
        index: u32,
    },
    /// Asks for ring memory, zeroed.
    Ring {
        /// Of which queue.
        queue: u32,
        /// Bytes.
        len: u64,
    },
    /// Writes a register whose write the device notices at once.
    Control {
        /// Of which queue.
        queue: u32,
        /// Offset in the user page.
        offset: u64,
        /// What is written.
        value: u64,
    },
    /// Stops a queue.
    Stop {
        /// Which.
        queue: u32,
        /// The longest it may take, in nanoseconds.
        within: u64,
    },
    /// Brings a stopped queue back to the state after opening. Its ring memory is given up.
    Reset {
        /// Which.
        queue: u32,
        /// The longest it may take, in nanoseconds.
        within: u64,
    },
    /// Gives a queue back. The answer comes when the device touches nothing of it any more.
    Close {
        /// Which.
        queue: u32,
    },
    /// Registers memory that both sides map. One descriptor: a memfd that can neither shrink nor grow.
    Window {
        /// Where the client has it.
        address: u64,
        /// Bytes.
        len: u64,
    },
    /// Gives a window up. The answer comes when the device touches it no more.
    Unwindow {
        /// Which.
        id: u64,
    },
    /// Asks for the daemon's state.
    Status,
}

const HELLO: u32 = 1;
const DEVICE: u32 = 2;
const OPEN: u32 = 3;
const RING: u32 = 4;
const CONTROL: u32 = 5;
const STOP: u32 = 6;
const RESET: u32 = 7;
const CLOSE: u32 = 8;
const WINDOW: u32 = 9;
const UNWINDOW: u32 = 10;
const STATUS: u32 = 11;

impl Request {
    /// The message.
    #[must_use]
    pub fn encode(&self, serial: u32) -> [u8; RECORD] {
        let record = match *self {
            Self::Hello { version, flags, priority, gate, canary: [low, high] } => {
                let words = [version.into(), flags.bits(), priority.encode(), gate, low, high];
                Record::new(HELLO, 0, serial, 0, words)
            }
            Self::Device { index } => Record::new(DEVICE, 0, serial, 0, [index.into()]),
            Self::Open { index } => Record::new(OPEN, 0, serial, 0, [index.into()]),
            Self::Ring { queue, len } => Record::new(RING, queue, serial, 0, [len]),
            Self::Control { queue, offset, value } => Record::new(CONTROL, queue, serial, 0, [offset, value]),
            Self::Stop { queue, within } => Record::new(STOP, queue, serial, 0, [within]),
            Self::Reset { queue, within } => Record::new(RESET, queue, serial, 0, [within]),
            Self::Close { queue } => Record::new(CLOSE, queue, serial, 0, []),
            Self::Window { address, len } => Record::new(WINDOW, 0, serial, 0, [address, len]),
            Self::Unwindow { id } => Record::new(UNWINDOW, 0, serial, 0, [id]),
            Self::Status => Record::new(STATUS, 0, serial, 0, []),
        };
        zerocopy::transmute!(record)
    }

    /// The request in a message that came with `descriptors` descriptors, and its serial.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none.
    pub fn decode(message: &[u8], descriptors: usize) -> Result<(u32, Self), DecodeError> {
        let (record, rest) = Record::of(message)?;
        if !rest.is_empty() {
            return Err(DecodeError::Length { expected: RECORD, found: message.len() });
        }
        reserved("code", record.code.get().into())?;
        let kind = record.kind.get();
        if !matches!(kind, RING | CONTROL | STOP | RESET | CLOSE) {
            record.no_queue()?;
        }
        let queue = record.queue.get();
        let request = match kind {
            HELLO => {
                let [version, flags, priority, gate, low, high] = record.words()?;
                let version = narrow("version", version)?;
                let flags = HelloFlags::from_bits(flags).ok_or(DecodeError::Value { field: "flags", value: flags })?;
                Self::Hello { version, flags, priority: Priority::decode(priority)?, gate, canary: [low, high] }
            }
            DEVICE => {
                let [index] = record.words()?;
                Self::Device { index: narrow("device", index)? }
            }
            OPEN => {
                let [index] = record.words()?;
                Self::Open { index: narrow("device", index)? }
            }
            RING => {
                let [len] = record.words()?;
                Self::Ring { queue, len }
            }
            CONTROL => {
                let [offset, value] = record.words()?;
                Self::Control { queue, offset, value }
            }
            STOP => {
                let [within] = record.words()?;
                Self::Stop { queue, within }
            }
            RESET => {
                let [within] = record.words()?;
                Self::Reset { queue, within }
            }
            CLOSE => {
                let [] = record.words()?;
                Self::Close { queue }
            }
            WINDOW => {
                let [address, len] = record.words()?;
                Self::Window { address, len }
            }
            UNWINDOW => {
                let [id] = record.words()?;
                Self::Unwindow { id }
            }
            STATUS => {
                let [] = record.words()?;
                Self::Status
            }
            _ => return Err(DecodeError::Kind(kind)),
        };
        let expected = request.descriptors();
        if descriptors != expected {
            return Err(DecodeError::Descriptors { expected, found: descriptors });
        }
        Ok((record.serial.get(), request))
    }

    /// How many descriptors go with it.
    #[must_use]
    pub const fn descriptors(&self) -> usize {
        match self {
            Self::Hello { .. } => 2,
            Self::Window { .. } => 1,
            _ => 0,
        }
    }
}

impl Priority {
    const fn encode(self) -> u64 {
        self as u64
    }

    fn decode(value: u64) -> Result<Self, DecodeError> {
        match value {
            0 => Ok(Self::Low),
            1 => Ok(Self::Normal),
            2 => Ok(Self::High),
            _ => Err(DecodeError::Value { field: "priority", value }),
        }
    }
}
