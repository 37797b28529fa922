//! What can go wrong below the runtime.

use std::io;
use std::time::Duration;

use crate::{Algorithm, Direction, Fault, SessionId, Status, Token};

/// The device broke the protocol, or is gone. Whatever it is, the queue is finished: the runtime retires it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// A completion for a job that is not in flight: unknown, repeated, or late.
    #[error("device completed {0:?}, which is not in flight")]
    UnknownToken(Token),
    /// A completion that claims more bytes than the job had.
    #[error("device claims {consumed} bytes read and {produced} written for {token:?}, more than it was given")]
    Overrun {
        /// The job.
        token: Token,
        /// Claimed bytes read.
        consumed: u64,
        /// Claimed bytes written.
        produced: u64,
    },
    /// A completion with a status this version does not know.
    #[error("device completed {token:?} with status {status}, which does not exist")]
    UnknownStatus {
        /// The job.
        token: Token,
        /// The raw status.
        status: u8,
    },
    /// A completion that contradicts itself or the job.
    #[error("device completed {token:?} with {what}")]
    Malformed {
        /// The job.
        token: Token,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The device broke the protocol in a way that concerns no job: a count that runs back, a ring that cannot be.
    #[error("device broke its protocol: {0}")]
    Protocol(&'static str),
    /// The device says that it has stopped the queue.
    #[error("device has stopped the queue, reason {0}")]
    Stopped(u32),
    /// The device does not answer any more.
    #[error("device is gone")]
    Gone,
    /// The transport failed underneath.
    #[error("transport failed")]
    Transport(#[from] TransportError),
}

/// Why a session cannot be opened on a queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The device does not offer it.
    #[error("{algorithm} is not offered in direction {direction:?}")]
    Unsupported {
        /// The algorithm asked for.
        algorithm: Algorithm,
        /// The direction asked for.
        direction: Direction,
    },
    /// The number is beyond what the queue was granted.
    #[error("session {0:?} is beyond what the queue was granted")]
    OutOfRange(SessionId),
    /// The device would not take it.
    #[error("device refused the session with {0:?}")]
    Refused(Status),
    /// The queue is unusable.
    #[error("queue is unusable")]
    Device(#[from] DeviceError),
}

/// Why a driver cannot open a queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The device speaks another version of its interface.
    #[error("device has interface version {found}, the driver knows {known}")]
    Version {
        /// The device's.
        found: u32,
        /// The driver's.
        known: u32,
    },
    /// The transport lacks a region the driver needs.
    #[error("transport has no {0} region")]
    MissingRegion(&'static str),
    /// The request cannot be met.
    #[error("a queue of depth {depth} is not possible; {limit} is the limit")]
    Depth {
        /// Asked for.
        depth: usize,
        /// Possible.
        limit: usize,
    },
    /// The device did not come up.
    #[error("device did not become ready")]
    NotReady,
    /// The job that shows what the device can do went wrong.
    #[error("the first job {0}")]
    Probe(&'static str),
    /// The transport failed.
    #[error("transport failed")]
    Transport(#[from] TransportError),
}

/// What the way to the device reports.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No device of that name.
    #[error("bus {bus} has no device '{device}'")]
    NoSuchDevice {
        /// The bus asked.
        bus: String,
        /// The name asked for.
        device: String,
    },
    /// Every queue of the device is in use.
    #[error("all queues of {0} are in use")]
    Busy(String),
    /// The device is gone.
    #[error("device is gone")]
    Gone,
    /// A step did not end in its time.
    #[error("{step} was not done within {within:?}")]
    TimedOut {
        /// What was waited for.
        step: &'static str,
        /// For how long.
        within: Duration,
    },
    /// A system call failed.
    #[error("{call} failed")]
    System {
        /// Which call.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The request makes no sense for this device.
    #[error("{0}")]
    Refused(String),
}

/// Why memory that nobody vouches for was not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// There is no such memory, or it is protected.
    #[error("{0}")]
    Fault(Fault),
    /// The transport copies no memory.
    #[error("the transport copies no memory that nobody vouches for")]
    Refused,
}
