//! Memory that a device reaches only after it was told where it is.

use std::fmt;

use crate::{Fault, FaultKind};

/// What a device reaches of this process's memory, where it does not walk the process's page tables.
///
/// A range is *covered* while the device reaches it at its address in this process. Coverage is counted: a range that was covered
/// twice is reachable until it was released twice. The runtime covers what a job names before it submits the job, and releases it when the
/// job was answered or the device is proven quiet; so whatever is mapped at an address when a job is submitted is what the device
/// reaches there until the job ends, as long as nobody maps something else over memory that is in use by a job.
pub trait DeviceMemory: fmt::Debug + Send + Sync {
    /// Makes `len` bytes at `start` reachable for reading, or for reading and writing. Nothing is covered if it fails. A range of no bytes is always
    /// covered.
    ///
    /// # Errors
    /// See [`Uncovered`].
    fn cover(&self, start: usize, len: usize, access: FaultKind) -> Result<(), Uncovered>;

    /// Takes back one [`cover`](Self::cover) of the same range. Afterwards the device may still reach it, but need not.
    fn release(&self, start: usize, len: usize);
}

/// Why a device cannot reach memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Uncovered {
    /// There is no such memory in this process, or it may not be written.
    #[error("{0}")]
    Fault(Fault),
    /// The device's addresses do not go there.
    #[error("address {address:#x} is beyond the device's reach ({reach})")]
    Reach {
        /// The first address that is not within reach.
        address: u64,
        /// What is.
        reach: String,
    },
    /// The process may not pin as much memory.
    #[error("{wanted} bytes cannot be pinned: {limit}")]
    Limit {
        /// Bytes that would have to be pinned.
        wanted: u64,
        /// Which limit, its value, and what raises it.
        limit: String,
    },
    /// Only memory that was registered before may be named, by this queue's policy.
    #[error("address {0:#x} is not registered")]
    Unregistered(u64),
    /// The device is gone, and with it all that it reached.
    #[error("the device is gone")]
    Gone,
    /// The system refused.
    #[error("{len} bytes at {start:#x} cannot be mapped for the device: {reason}")]
    Refused {
        /// The first byte.
        start: u64,
        /// The length.
        len: u64,
        /// What the system said.
        reason: String,
    },
}
