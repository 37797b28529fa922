//! The memory of a job, where the driver itself has to look at it, or to write.

use std::ptr;

use uaccel_queue::{CopyError, Job, JobFlags, Outcome, Status, Transport};

/// The memory of a job that was handed to `submit`, is not answered, and is not the device's yet.
#[derive(Clone, Copy)]
pub(super) struct JobMemory<'a> {
    job: &'a Job,
    transport: &'a dyn Transport,
}

impl<'a> JobMemory<'a> {
    /// # Safety
    /// The job was handed to `submit` and is not answered, nor seen by the device, before the value is dropped; it names a source and a destination, not null unless
    /// their lengths are 0.
    pub(super) unsafe fn new(job: &'a Job, transport: &'a dyn Transport) -> Self {
        Self { job, transport }
    }

    fn is_vouched(&self) -> bool {
        self.job.flags.contains(JobFlags::VOUCHED)
    }

    /// Bytes of the source.
    pub(super) fn source_len(&self) -> usize {
        self.job.source_len
    }

    /// Bytes of the destination.
    pub(super) fn room(&self) -> usize {
        self.job.destination_len
    }

    /// Copies bytes of the source, which there are.
    pub(super) fn read(&self, at: usize, into: &mut [u8]) -> Result<(), CopyError> {
        debug_assert!(at + into.len() <= self.job.source_len, "within the source");
        if self.is_vouched() {
            // SAFETY: within the source, which `submit`'s caller vouches for; `into` is memory of ours.
            unsafe { ptr::copy_nonoverlapping(self.job.source.add(at), into.as_mut_ptr(), into.len()) };
            return Ok(());
        }
        self.transport.read_memory(self.job.source.addr().wrapping_add(at), into)
    }

    /// Writes the first bytes of the destination, which has room for them.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), CopyError> {
        debug_assert!(bytes.len() <= self.job.destination_len, "within the destination");
        if self.is_vouched() {
            // SAFETY: within the destination, which `submit`'s caller vouches for, and which the device does not have yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.job.destination, bytes.len()) };
            return Ok(());
        }
        // SAFETY: the same.
        unsafe { self.transport.write_memory(self.job.destination.addr(), bytes) }
    }
}

/// How a job ends whose memory could not be copied.
#[cold]
pub(super) fn uncopied(error: CopyError) -> Outcome {
    match error {
        CopyError::Fault(fault) => Outcome::faulted(fault),
        _ => Outcome::failed(Status::Unsupported),
    }
}
