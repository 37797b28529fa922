//! What the tests have in common.

use std::time::Duration;

use uaccel_runtime::{Error, FaultKind, Outcome};

pub(crate) use crate::guest::jobs::{PATIENCE, copy, crc32c, eventually, noise, run};

/// Short: some tests let it pass on purpose.
pub(crate) const DEADLINE: Duration = Duration::from_millis(200);
/// Long enough for a device to do what it must not do.
pub(crate) const GRACE: Duration = Duration::from_millis(300);

/// The address and the kind of a bad pointer.
#[track_caller]
pub(crate) fn fault(result: Result<Outcome, Error>) -> (u64, FaultKind) {
    match result {
        Err(Error::BadPointer { fault, .. }) => (fault.address, fault.kind),
        other => panic!("no bad pointer: {other:?}"),
    }
}
