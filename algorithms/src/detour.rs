//! Work that this crate itself does on the CPU, because the device keeps no state between jobs.

use uaccel_runtime::{Error, Fallback, FaultHandling, Operation, Runtime};

/// One piece of work on the CPU in the device's place. It is counted as one fallback when it ends, however it ends.
#[derive(Debug)]
pub(crate) struct Detour {
    /// `None` where the device is the CPU, so that nothing is left.
    runtime: Option<Runtime>,
    bytes: u64,
}

impl Detour {
    /// Leaves the device for `operation`, which is known to have at least `len` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the policy says never.
    pub(crate) fn begin(runtime: &Runtime, operation: Operation, len: u64) -> Result<Self, Error> {
        if is_cpu(runtime) {
            return Ok(Self { runtime: None, bytes: 0 });
        }
        if runtime.fallback() == Fallback::Never {
            return Err(Error::TooLarge { operation, len, limit: runtime.granted().max_transfer });
        }
        Ok(Self { runtime: Some(runtime.clone()), bytes: 0 })
    }

    /// Notes bytes of input that the CPU has worked on.
    pub(crate) fn worked_on(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        if let Some(runtime) = &self.runtime {
            runtime.count_fallback(self.bytes);
        }
    }
}

/// Whether the CPU may work in the device's place, or is the device.
pub(crate) fn allowed(runtime: &Runtime) -> bool {
    is_cpu(runtime) || runtime.fallback() != Fallback::Never
}

/// Whether the CPU may do what has ended so on the device, as [`Runtime::run`] has it.
pub(crate) fn helps(runtime: &Runtime, error: &Error) -> bool {
    (error.is_device_failure() || matches!(error, Error::QueueFull)) && allowed(runtime)
}

/// Whether the device in use is the CPU itself: no other has the faults of a function call.
pub(crate) fn is_cpu(runtime: &Runtime) -> bool {
    let granted = runtime.granted();
    granted.effective && granted.faults == FaultHandling::CallerVouches
}

/// The most bytes of one job, as a length.
pub(crate) fn max_transfer(runtime: &Runtime) -> usize {
    usize::try_from(runtime.granted().max_transfer).unwrap_or(usize::MAX)
}
