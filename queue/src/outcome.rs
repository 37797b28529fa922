//! How a job ended.

use core::fmt;

/// How a job ended. The discriminants are stable: device interfaces use them as they are.
// As wide as the checksum beside it in an outcome, so that one store writes both where they are constants, as they are for nearly all answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Status {
    /// Done; `consumed` and `produced` say how much.
    Ok = 0,
    /// Stopped part of the way: `consumed` and `produced` say how far it came, the fault where and why. Resumable.
    Partial = 1,
    /// The destination is too small. `produced` is the room needed where that is known, else 0; the destination's content is unspecified.
    OutputTooSmall = 2,
    /// The compressed stream breaks the rules of its format, or its checksum does not match.
    Corrupt = 3,
    /// The compressed stream is well formed as far as it goes, but ends early.
    Truncated = 4,
    /// The authentication tag does not match. The destination holds no plaintext.
    TagMismatch = 5,
    /// The job breaks the rules of its operation.
    InvalidJob = 6,
    /// The device does not offer the operation.
    Unsupported = 7,
    /// The job names no open session, or one of another operation.
    BadSession = 8,
    /// An address could not be read or written; the fault says which, unless the device cannot tell.
    Fault = 9,
    /// The device failed.
    DeviceError = 10,
    /// Cancelled on request, or because an earlier job of its chain failed. Nothing was written.
    Canceled = 11,
    /// The queue was stopped before the job was done. What was written is unspecified.
    Aborted = 12,
    /// All went well, and the [stream](crate::stream) that the job is one of has not ended: `consumed` and `produced` say how far it came.
    More = 13,
}

impl Status {
    /// The status with this discriminant, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::Ok,
            1 => Self::Partial,
            2 => Self::OutputTooSmall,
            3 => Self::Corrupt,
            4 => Self::Truncated,
            5 => Self::TagMismatch,
            6 => Self::InvalidJob,
            7 => Self::Unsupported,
            8 => Self::BadSession,
            9 => Self::Fault,
            10 => Self::DeviceError,
            11 => Self::Canceled,
            12 => Self::Aborted,
            13 => Self::More,
            _ => return None,
        })
    }
}

/// What kind of access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum FaultKind {
    /// Reading an address that is not mapped or not readable.
    Read = 1,
    /// Writing an address that is not mapped or not writable.
    Write = 2,
}

impl FaultKind {
    /// The kind with this discriminant, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            1 => Some(Self::Read),
            2 => Some(Self::Write),
            _ => None,
        }
    }
}

/// An access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The first address that could not be accessed.
    pub address: u64,
    /// What was tried.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            FaultKind::Read => "read",
            FaultKind::Write => "written",
        };
        write!(f, "address {:#x} cannot be {verb}", self.address)
    }
}

/// The result of one job.
// The two counts stand apart: side by side they would be read as one vector, and a processor does not forward two stores
// that are still on their way to one load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The checksum, for the checksum operations; else 0.
    pub checksum: u32,
    /// Bytes of the source that were used.
    pub consumed: u64,
    /// Where and why, for [`Status::Fault`] and [`Status::Partial`].
    pub fault: Option<Fault>,
    /// Bytes of the destination that were written; see [`Status::OutputTooSmall`] and [`Operation::Compare`](crate::Operation::Compare) for their own meaning.
    pub produced: u64,
}

impl Outcome {
    /// A good end.
    #[must_use]
    pub const fn ok(consumed: u64, produced: u64) -> Self {
        Self { status: Status::Ok, consumed, produced, checksum: 0, fault: None }
    }

    /// An end without any progress.
    #[must_use]
    pub const fn failed(status: Status) -> Self {
        Self { status, consumed: 0, produced: 0, checksum: 0, fault: None }
    }

    /// A failed access.
    #[must_use]
    pub const fn faulted(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::failed(Status::Fault) }
    }

    /// The same outcome with a checksum.
    #[must_use]
    pub const fn with_checksum(self, checksum: u32) -> Self {
        Self { checksum, ..self }
    }
}
