//! What a caller of the runtime is told.

use std::fmt;
use std::io;
use std::time::Duration;

use uaccel_queue::{
    Algorithm, Capabilities, DeviceError, Fault, OpenError, Operation, Outcome, SessionError, SessionSpec, SpecError,
    Status, TransportError,
};

use crate::choice::Report;

/// Why a call failed.
///
/// Variants up to [`Error::TagMismatch`] are about the caller's data: they come out the same on every device, and nothing is run again for
/// them. [`Error::is_device_failure`] tells the others apart.
///
/// Values are small, since every call returns the place for one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A pointer was bad.
    #[error("{operation}: {fault}{}", Space(*.pasid))]
    BadPointer {
        /// What was asked.
        operation: Operation,
        /// Which address, and for what.
        fault: Fault,
        /// In which address space of the device, where its accesses name one and this process knows it.
        pasid: Option<u32>,
    },
    /// A pointer was bad, and the device does not say which one.
    #[error("{operation}: memory could not be read or written; device '{device}' does not say where")]
    BadMemory {
        /// What was asked.
        operation: Operation,
        /// Which device.
        device: Box<str>,
    },
    /// The request breaks the rules of its operation.
    #[error("{operation}: {reason}")]
    InvalidInput {
        /// What was asked.
        operation: Operation,
        /// Which rule.
        reason: &'static str,
    },
    /// The cipher does not take a text of that length.
    #[error("{algorithm} takes {}, not {len} bytes", Lengths(*.algorithm))]
    TextLength {
        /// The cipher.
        algorithm: Algorithm,
        /// The length of the text.
        len: u64,
    },
    /// The session is for another operation.
    #[error("a session that does {session} cannot {operation}")]
    WrongSession {
        /// What was asked.
        operation: Operation,
        /// What the session does.
        session: Operation,
    },
    /// The result does not fit.
    #[error("{operation}: the output needs {}, the room is {room} bytes", Needed(*.needed))]
    OutputTooSmall {
        /// What was asked.
        operation: Operation,
        /// Bytes needed, where that is known.
        needed: Option<u64>,
        /// Bytes offered.
        room: u64,
    },
    /// The compressed data breaks the rules of its format, or its checksum does not match.
    #[error("{0}: the data is corrupt")]
    Corrupt(Operation),
    /// The compressed data ends early.
    #[error("{0}: the data ends early")]
    Truncated(Operation),
    /// The authentication tag does not match. No plaintext was released.
    #[error("{0}: the authentication tag does not match")]
    TagMismatch(Operation),
    /// The job is larger than the device takes, and nothing may take its place.
    #[error("{operation} of {len} bytes: the device takes at most {limit} at a time")]
    TooLarge {
        /// What was asked.
        operation: Operation,
        /// The length.
        len: u64,
        /// The most it takes.
        limit: u64,
    },
    /// The device cannot be given access to memory that the job names, so the job was not submitted.
    #[error("{operation}: {reason}")]
    Unreachable {
        /// What was asked.
        operation: Operation,
        /// Which memory, and why not.
        reason: Box<str>,
    },
    /// The device does not offer the operation, and nothing may take its place.
    #[error("device '{device}' does not offer {operation}")]
    UnsupportedOperation {
        /// The device.
        device: Box<str>,
        /// What was asked.
        operation: Operation,
    },
    /// The device does not offer the algorithm, and nothing may take its place.
    #[error("device '{device}' does not offer {algorithm} ({operation})")]
    UnsupportedAlgorithm {
        /// The device.
        device: Box<str>,
        /// What was asked.
        algorithm: Algorithm,
        /// In which direction.
        operation: Operation,
    },
    /// The device offers the algorithm, but with no window as small as that, and nothing may take its place.
    #[error("device '{device}' does not offer {algorithm} with a window of {window} bytes")]
    UnsupportedWindow {
        /// The device.
        device: Box<str>,
        /// What was asked.
        algorithm: Algorithm,
        /// With which window, in bytes.
        window: u32,
    },
    /// The device keeps no state between jobs of the algorithm, so it has no [streams](crate::Stream) of it.
    #[error("device '{device}' does not offer streams of {algorithm} ({operation})")]
    UnsupportedStream {
        /// The device.
        device: Box<str>,
        /// What was asked.
        algorithm: Algorithm,
        /// In which direction.
        operation: Operation,
    },
    /// The device cannot do the operation in place, and nothing may take its place.
    #[error("device '{device}' does not {operation} in place")]
    NotInPlace {
        /// The device.
        device: Box<str>,
        /// What was asked.
        operation: Operation,
    },
    /// The device does not take memory in so many pieces, and a [scope](crate::Scope) does not bring them together.
    #[error("device '{device}' does not {operation} memory in {pieces} pieces")]
    NotInPieces {
        /// The device.
        device: Box<str>,
        /// What was asked.
        operation: Operation,
        /// Of how many pieces the longer list was, those without bytes aside.
        pieces: usize,
    },
    /// The parameters of a session are wrong.
    #[error(transparent)]
    Session(#[from] SpecError),
    /// The queue takes no more jobs now. Nothing was lost: wait for answers, then go on.
    #[error("the queue is full")]
    QueueFull,
    /// The job was not done in time and was taken back; the device touches its memory no more.
    #[error("not done within {0:?}; taken back")]
    Deadline(Duration),
    /// The job was cancelled on request, before it began.
    #[error("cancelled")]
    Canceled,
    /// The job was not done and could not be taken back: its buffers stay with the device for ever.
    #[error("lost: device '{device}' does not answer and may still use the buffers, so they are leaked")]
    Lost {
        /// The device.
        device: Box<str>,
    },
    /// The device failed while the job was in flight. It touches the job's memory no more.
    #[error("device '{device}' failed: {cause}")]
    DeviceFailed {
        /// The device.
        device: Box<str>,
        /// What it did.
        cause: Box<str>,
    },
    /// The device could not be opened.
    #[error("device '{device}' cannot be opened")]
    Open {
        /// The device.
        device: Box<str>,
        /// Why.
        source: Box<OpenError>,
    },
    /// The device would not open a session.
    #[error("device '{device}' refused a session")]
    SessionRefused {
        /// The device.
        device: Box<str>,
        /// Why.
        source: Box<SessionError>,
    },
    /// No device can be used as asked. The report says why, device by device.
    #[error("{0}")]
    NoDevice(Box<Report>),
    /// This process is a child of the one that opened the runtime. Queues belong to their process: build a runtime here.
    #[error("this runtime belongs to the parent process; a child builds its own")]
    Forked,
    /// A system call failed.
    #[error("{call} failed")]
    System {
        /// Which.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
}

const _: () = assert!(size_of::<Error>() <= 40, "an error is returned beside every outcome");

/// How many bytes are needed, for people.
struct Needed(Option<u64>);

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => f.write_str("more room (how much is not known)"),
        }
    }
}

/// The lengths a cipher takes, for people.
struct Lengths(Algorithm);

impl std::fmt::Display for Lengths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.text_lengths() {
            Some(lengths) => lengths.fmt(f),
            None => f.write_str("no text"),
        }
    }
}

impl Error {
    /// Whether the device is to blame, so that the same job may well succeed elsewhere.
    ///
    /// [`Error::Lost`] is not among them: a job that may still be running is never run again.
    #[must_use]
    pub fn is_device_failure(&self) -> bool {
        matches!(
            self,
            Self::Deadline(_)
                | Self::DeviceFailed { .. }
                | Self::Open { .. }
                | Self::SessionRefused { .. }
                | Self::UnsupportedOperation { .. }
                | Self::UnsupportedAlgorithm { .. }
                | Self::UnsupportedWindow { .. }
                | Self::UnsupportedStream { .. }
                | Self::NotInPlace { .. }
                | Self::NotInPieces { .. }
                | Self::TooLarge { .. }
                | Self::Unreachable { .. }
        )
    }

    /// Whether the device has failed in a way that may be over when the job is run again on it.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Deadline(_) | Self::DeviceFailed { .. } | Self::Open { .. })
    }

    /// Whether it is only told of jobs that no device has seen.
    pub(crate) fn precedes_submission(&self) -> bool {
        matches!(
            self,
            Self::QueueFull
                | Self::Open { .. }
                | Self::SessionRefused { .. }
                | Self::UnsupportedAlgorithm { .. }
                | Self::UnsupportedWindow { .. }
                | Self::UnsupportedStream { .. }
                | Self::NotInPlace { .. }
                | Self::NotInPieces { .. }
        )
    }

    /// The error of an outcome that is not good, where the caller had `room` and the device writes at most `limit` bytes of it.
    pub(crate) fn of_outcome(
        device: &str,
        pasid: Option<u32>,
        operation: Operation,
        outcome: &Outcome,
        room: u64,
        limit: u64,
    ) -> Self {
        match outcome.status {
            // It is the device that is too small, whatever the caller's buffer is.
            Status::OutputTooSmall if room > limit => Self::TooLarge { operation, len: room, limit },
            Status::OutputTooSmall => {
                Self::OutputTooSmall { operation, needed: Some(outcome.produced).filter(|needed| *needed > room), room }
            }
            Status::Corrupt => Self::Corrupt(operation),
            Status::Truncated => Self::Truncated(operation),
            Status::TagMismatch => Self::TagMismatch(operation),
            Status::Fault | Status::Partial => match outcome.fault {
                Some(fault) => Self::BadPointer { operation, fault, pasid },
                None => Self::BadMemory { operation, device: device.into() },
            },
            Status::InvalidJob => Self::InvalidInput { operation, reason: "the device found the job invalid" },
            Status::Unsupported => Self::UnsupportedOperation { device: device.into(), operation },
            Status::Canceled => Self::Canceled,
            Status::BadSession => Self::device_failed(device, "does not know the session"),
            Status::Aborted => Self::device_failed(device, "stopped before the job was done"),
            _ => Self::device_failed(device, "reported an error"),
        }
    }

    /// Why a session is not for a device that was granted this.
    #[cold]
    pub(crate) fn not_offered(device: &str, granted: &Capabilities, spec: &SessionSpec) -> Self {
        let (device, algorithm) = (device.into(), spec.algorithm());
        match spec.window() {
            Some(window) if granted.algorithms.contains(algorithm, spec.direction()) => {
                Self::UnsupportedWindow { device, algorithm, window }
            }
            _ => Self::UnsupportedAlgorithm { device, algorithm, operation: spec.operation() },
        }
    }

    pub(crate) fn device_failed(device: &str, cause: impl ToString) -> Self {
        Self::DeviceFailed { device: device.into(), cause: cause.to_string().into() }
    }
}

/// The address space of a fault, for a text.
struct Space(Option<u32>);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |pasid| write!(f, " (PASID {pasid})"))
    }
}

/// Why the runtime gave up on what was in flight on a queue.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The caller's deadline has passed.
    Deadline(Duration),
    /// The device broke the protocol, stopped or went away.
    Device(DeviceError),
}

impl Cause {
    pub(crate) fn to_error(&self, device: &str) -> Error {
        match self {
            Self::Deadline(after) => Error::Deadline(*after),
            Self::Device(error) => Error::device_failed(device, with_cause(error)),
        }
    }
}

/// An error's text, with that of the one behind it: only the text is kept.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_cause(cause)),
        None => error.to_string(),
    }
}

impl From<Box<DeviceError>> for Cause {
    fn from(error: Box<DeviceError>) -> Self {
        Self::Device(*error)
    }
}

impl From<TransportError> for Cause {
    fn from(error: TransportError) -> Self {
        Self::Device(match error {
            TransportError::Gone => DeviceError::Gone,
            error => error.into(),
        })
    }
}
