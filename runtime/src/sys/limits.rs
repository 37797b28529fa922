//! What the process may have.

use nix::sys::resource::{Resource, getrlimit};

/// Bytes of memory that the process may lock; `None` if there is no limit.
pub(crate) fn locked_memory() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (soft != nix::libc::RLIM_INFINITY).then_some(soft)
}
