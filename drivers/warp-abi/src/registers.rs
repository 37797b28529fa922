//! The user page, and the words of ring memory that the device writes (section 2).

/// The version of the interface this crate describes.
pub const VERSION: u32 = 1;

/// The identification register of a device of this version: "WARP" in the low half, the version in the high half.
#[must_use]
pub const fn ident(version: u32) -> u64 {
    u32::from_le_bytes(*b"WARP") as u64 | (version as u64) << 32
}

/// Byte offsets of the 64-bit registers in a queue's user page.
///
/// Those up to [`INVERSE`](user_page::INVERSE) are read only, and read only when the queue is opened. What the host reads while jobs run lies in
/// ring memory, because a read of device registers is slow.
pub mod user_page {
    /// Bytes of the page.
    pub const SIZE: usize = 4096;
    /// Identification, see [`ident`](super::ident).
    pub const IDENT: usize = 0x00;
    /// See [`Features`](super::Features).
    pub const FEATURES: usize = 0x08;
    /// See [`Limits`](super::Limits).
    pub const LIMITS: usize = 0x10;
    /// Operations offered: bit n for opcode n.
    pub const OPERATIONS: usize = 0x18;
    /// Algorithms offered forward: bit n for algorithm n, two words.
    pub const FORWARD: usize = 0x20;
    /// Algorithms offered inverse: bit n for algorithm n, two words.
    pub const INVERSE: usize = 0x30;
    /// Device address of the ring memory.
    pub const RING_BASE: usize = 0x40;
    /// See [`Geometry::register`](crate::Geometry::register).
    pub const GEOMETRY: usize = 0x48;
    /// Doorbell: 1 takes base and geometry over and starts the queue, 0 stops it.
    pub const ENABLE: usize = 0x50;
    /// Doorbell: the number of descriptors published so far. Only needed when the device asks for it
    /// ([`need_wakeup`](super::State)).
    pub const SUBMIT: usize = 0x80;
    /// A counter: whenever it has changed, the next completion raises a signal.
    pub const ARM: usize = 0x88;
}

bitflags::bitflags! {
    /// What the device can do beyond the base.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Features: u64 {
        /// Answers in the job's own line can be chosen.
        const MAILBOX = 1 << 0;
        /// Descriptors may be chained.
        const CHAINS = 1 << 1;
        /// Jobs in pieces carry their state through the context address.
        const STATEFUL = 1 << 2;
        /// Page requests are answered: a page that is not there is brought in.
        const FAULTS_RESOLVED = 1 << 3;
    }
}

/// The limits register: entries 15:0, sessions 31:16, maximum transfer 63:32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most entries a ring can have, a power of two.
    pub entries: u16,
    /// The most sessions a queue can have open.
    pub sessions: u16,
    /// The most bytes one job may read, and the most it may write.
    pub max_transfer: u32,
}

impl Limits {
    /// The register's value.
    #[must_use]
    pub const fn encode(self) -> u64 {
        self.entries as u64 | (self.sessions as u64) << 16 | (self.max_transfer as u64) << 32
    }

    /// Reads the register.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub const fn decode(value: u64) -> Self {
        Self { entries: value as u16, sessions: (value >> 16) as u16, max_transfer: (value >> 32) as u32 }
    }
}

/// The state word at the start of ring memory, written by the device: state 7:0, reason 39:8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not started.
    Off,
    /// Descriptors are taken.
    Ready,
    /// No descriptor is taken any more; nothing is touched any more.
    Stopped,
    /// The device gave up on this queue.
    Failed(u32),
}

/// Why the device gave up on a queue (section 6.3): the reason in its state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum FailReason {
    /// The geometry register makes no sense, or exceeds the limits.
    Geometry = 1,
    /// Rings cannot lie at the address in the ring base register.
    RingBase = 2,
    /// The rings could not be read any more.
    RingFault = 3,
    /// The device failed as a whole.
    Device = 4,
}

impl State {
    /// The word.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Off => 0,
            Self::Ready => 1,
            Self::Stopped => 2,
            Self::Failed(reason) => 3 | (reason as u64) << 8,
        }
    }

    /// Reads the word; what it does not know is a failure.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "a reason has 32 bits")]
    pub const fn decode(word: u64) -> Self {
        match word & 0xff {
            0 => Self::Off,
            1 => Self::Ready,
            2 => Self::Stopped,
            _ => Self::Failed((word >> 8) as u32),
        }
    }
}
