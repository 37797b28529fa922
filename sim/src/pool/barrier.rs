//! A full fence on many threads at once.

use core::sync::atomic::{Ordering, fence};

// Commands of `linux/membarrier.h`.
const QUERY: libc::c_int = 0;
const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

/// Whose threads a worker fences for before it sleeps, so that they need not do it at each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceScope {
    /// Those of this process: the users are in it.
    Process,
    /// Those of every process that has registered for it (`MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED`).
    Registered,
}

/// A full fence on many threads at once (`membarrier(2)`, Linux 4.14 and 4.16).
///
/// Where one side of a protocol acts seldom and the other all the time, the seldom side can fence for both.
#[derive(Debug)]
pub(super) struct Barrier {
    /// The command, unless there is none and only this thread can be fenced.
    command: Option<libc::c_int>,
}

impl Barrier {
    /// Asks the kernel for it; a sandbox may refuse.
    pub(super) fn register(scope: FenceScope) -> Self {
        let command = match scope {
            FenceScope::Process => (membarrier(REGISTER_PRIVATE_EXPEDITED) == 0).then_some(PRIVATE_EXPEDITED),
            FenceScope::Registered => {
                let offered = membarrier(QUERY);
                (offered > 0 && offered & libc::c_long::from(GLOBAL_EXPEDITED) != 0).then_some(GLOBAL_EXPEDITED)
            }
        };
        if command.is_none() {
            tracing::debug!(?scope, "no membarrier: users of the device fence for themselves");
        }
        Self { command }
    }

    /// Whether others may leave their fences out.
    pub(super) fn is_for_all(&self) -> bool {
        self.command.is_some()
    }

    /// The fence: on every thread if that was promised, else on this one. `false` if it could not be made, which the kernel
    /// says when it is out of memory: then others may have seen nothing.
    #[must_use]
    pub(super) fn fence(&self) -> bool {
        match self.command {
            Some(command) => membarrier(command) == 0,
            None => {
                fence(Ordering::SeqCst);
                true
            }
        }
    }
}

fn membarrier(command: libc::c_int) -> libc::c_long {
    // SAFETY: the call takes numbers only, and touches no memory of the process.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}
