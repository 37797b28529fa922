//! What stands in the place of a queue that was let go of.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use uaccel_queue::{
    AddressMode, Batch, Completer, DeviceError, Done, Quiet, Region, RingMemory, SessionError, SessionId, SessionSpec,
    Submitter, Transport, TransportError, Wake,
};

/// Both halves and the transport of a queue that is not there: it takes nothing, answers nothing, and touches nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Absent;

// SAFETY: it accepts no job.
unsafe impl Submitter for Absent {
    unsafe fn submit(&mut self, _: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        Err(Box::new(DeviceError::Gone))
    }

    fn open_session(&mut self, _: SessionId, _: &SessionSpec) -> Result<(), SessionError> {
        Err(DeviceError::Gone.into())
    }

    fn close_session(&mut self, _: SessionId) {}
}

// SAFETY: it completes nothing.
unsafe impl Completer for Absent {
    fn poll(&mut self, _: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        Err(Box::new(DeviceError::Gone))
    }

    fn arm(&mut self) {}
}

impl Transport for Absent {
    fn regions(&self) -> &[Region] {
        &[]
    }

    fn ring_memory(&self, _: usize) -> Result<RingMemory, TransportError> {
        Err(TransportError::Gone)
    }

    fn ring_doorbell(&self, _: usize, _: u64) {}

    fn sleep(&self, _: Option<Instant>) -> Result<Wake, TransportError> {
        Err(TransportError::Gone)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    /// The queue that was there was quiet when it was let go of.
    fn stop(&self, _: Duration) -> Result<Quiet, TransportError> {
        Ok(Quiet::Proven)
    }

    fn reset(&self, _: Duration) -> Result<(), TransportError> {
        Err(TransportError::Gone)
    }

    fn is_alive(&self) -> bool {
        false
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Bounced
    }
}
