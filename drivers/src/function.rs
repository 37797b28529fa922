//! Devices that a process holds as a whole, without a kernel driver of their own: what divides them into queues.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use uaccel_queue::{Quiet, Region};

/// Knows one kind of device well enough to do what its kernel driver would: give queues to address spaces, and take them back.
pub trait Function: fmt::Debug + Send + Sync {
    /// The name of the programming interface of its queues, which drivers go by.
    fn interface(&self) -> &'static str;

    /// Whether a device is of this kind, by the kernel's text about it: the attribute `modalias`, or for a mediated device, which has none, `mdev:` and
    /// the name of its type.
    fn is_behind(&self, modalias: &str) -> bool;

    /// The number of the region that has the registers. `configuration` is the device's, a region of that [kind](uaccel_queue::RegionKind::Configuration).
    ///
    /// # Errors
    /// [`NotThis`] if it is another device.
    fn region(&self, configuration: &Region) -> Result<u32, NotThis>;

    /// How many bits of an address it passes on.
    fn address_bits(&self) -> u32 {
        u64::BITS
    }

    /// Whether such devices are models, which are only used when named.
    fn is_model(&self) -> bool {
        false
    }

    /// Takes over the registers, a region of kind [`Control`](uaccel_queue::RegionKind::Control), and is told the configuration once more. Nothing is
    /// changed yet.
    ///
    /// # Errors
    /// [`NotThis`] if it is another device.
    fn control(&self, registers: Region, configuration: &Region) -> Result<Box<dyn Control>, NotThis>;
}

/// The privileged side of a device in use.
///
/// All methods may be called from any thread; calls about one queue are not made at the same time.
pub trait Control: fmt::Debug + Send + Sync {
    /// How many queues there are.
    fn queues(&self) -> usize;

    /// Which bytes of the registers are one queue's own.
    fn user_page(&self, queue: usize) -> Range<usize>;

    /// The interrupt that is one queue's signal.
    fn vector(&self, queue: usize) -> u32;

    /// Gives a queue to an address space: the device's own without a PASID. The queue is then as after power-on.
    ///
    /// # Errors
    /// [`NotAssigned`] if the device does not take it.
    fn assign(&self, queue: usize, pasid: Option<u32>) -> Result<(), NotAssigned>;

    /// Takes a queue away, and waits until the device touches no memory for it any more, about `within` at most.
    fn revoke(&self, queue: usize, within: Duration) -> Quiet;

    /// Takes all queues away, as [`revoke`](Self::revoke).
    fn reset(&self, within: Duration) -> Quiet;
}

/// The registers are those of something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotThis(pub String);

/// A queue could not be given to an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("queue {queue} cannot be assigned to {}: its register reads {reads:#x}", Space(*.pasid))]
pub struct NotAssigned {
    /// Which queue.
    pub queue: usize,
    /// To which address space; `None` is the device's own.
    pub pasid: Option<u32>,
    /// What the device said.
    pub reads: u64,
}

struct Space(Option<u32>);

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pasid) => write!(f, "PASID {pasid}"),
            None => f.write_str("the device's own address space"),
        }
    }
}
