//! A full fence on every thread of this process at once.

use core::sync::atomic::{Ordering, fence};

/// `MEMBARRIER_CMD_PRIVATE_EXPEDITED` and its registration, `linux/membarrier.h`.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

/// A full fence on every thread of this process at once (`membarrier(2)`, Linux 4.14).
///
/// Where one side of a protocol acts seldom and the other all the time, the seldom side can fence for both.
#[derive(Debug)]
pub(super) struct Barrier {
    registered: bool,
}

impl Barrier {
    /// Asks the kernel for it; a sandbox may refuse.
    pub(super) fn register() -> Self {
        let registered = membarrier(REGISTER_PRIVATE_EXPEDITED);
        if !registered {
            tracing::debug!("no membarrier: users of the device fence for themselves");
        }
        Self { registered }
    }

    /// Whether others may leave their fences out.
    pub(super) fn is_for_all(&self) -> bool {
        self.registered
    }

    /// The fence: on every thread if that was promised, else on this one. `false` if it could not be made, which the kernel
    /// says when it is out of memory: then others may have seen nothing.
    #[must_use]
    pub(super) fn fence(&self) -> bool {
        if self.registered {
            return membarrier(PRIVATE_EXPEDITED);
        }
        fence(Ordering::SeqCst);
        true
    }
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes numbers only, and touches no memory of the process.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
