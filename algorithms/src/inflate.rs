//! Decompression in pieces, on the CPU.

use uaccel_runtime::{Error, Operation, SessionSpec};
use uaccel_units::UnitError;
use uaccel_units::stream::{InflateStream, StreamError};

/// A stream at its beginning.
pub(crate) fn stream(spec: &SessionSpec) -> Result<InflateStream, Error> {
    InflateStream::new(spec).map_err(|cause| no_unit(&cause, spec))
}

/// What a broken stream is to the caller.
pub(crate) fn error(error: StreamError) -> Error {
    match error {
        StreamError::Corrupt => Error::Corrupt(Operation::Decompress),
        StreamError::Truncated => Error::Truncated(Operation::Decompress),
        other => failed(&other),
    }
}

/// What a failure of the CPU's own work is to the caller.
pub(crate) fn failed(cause: &StreamError) -> Error {
    Error::DeviceFailed { device: CPU.into(), cause: cause.to_string().into() }
}

/// What a unit that this build lacks is to the caller.
pub(crate) fn no_unit(_cause: &UnitError, spec: &SessionSpec) -> Error {
    Error::UnsupportedAlgorithm { device: CPU.into(), algorithm: spec.algorithm(), operation: spec.operation() }
}

const CPU: &str = "software";
