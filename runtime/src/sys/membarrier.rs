//! Fences that another process makes on the threads of this one.

use nix::libc;

use super::uapi::membarrier::REGISTER_GLOBAL_EXPEDITED;

/// Lets a fence of any process that asks for one (`MEMBARRIER_CMD_GLOBAL_EXPEDITED`) be one on this process's threads too, from now on. `false` if
/// the kernel or a sandbox does not have it (Linux 4.16).
pub(crate) fn accept_fences() -> bool {
    // SAFETY: the call takes numbers only, and touches no memory of the process.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0 }
}
