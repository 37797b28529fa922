//! Why the kernel gives no queue.

use std::io;

use nix::errno::Errno;
use uaccel_queue::TransportError;

/// Whether the kernel may have a queue in a moment: others have them all, or the device is being reset (`qm.c`: `EPERM` while the queue manager is stopped, `EIO` before
/// that, once an error was found).
pub(super) fn may_pass(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EBUSY | Errno::EPERM | Errno::EIO | Errno::ETIMEDOUT))
}

/// The device keeps itself out of use.
pub(super) fn isolated(device: &str, driver: &str) -> TransportError {
    TransportError::Refused(format!(
        "{device} has isolated itself after errors: see the kernel's log, then load its driver '{driver}' anew"
    ))
}

/// What the kernel means by refusing to open a node.
pub(super) fn refusal(device: &str, error: io::Error) -> TransportError {
    let Some(errno) = error.raw_os_error() else {
        return TransportError::System { call: "open of a uacce node", source: error };
    };
    let why = match Errno::from_raw(errno) {
        Errno::EBUSY => return TransportError::Busy(device.to_owned()),
        // The class still shows it, and in the next moment will not.
        Errno::ENXIO | Errno::ENOENT => return TransportError::Gone,
        Errno::ENODEV => "no IOMMU shares this process's addresses with it, or it is isolated or gone",
        Errno::EOPNOTSUPP => "this kernel's IOMMU driver does not share a process's addresses",
        Errno::EINVAL => "the kernel cannot enable page requests for it, or it is being removed",
        Errno::ENOSPC => "there are no address space numbers (PASIDs) left",
        Errno::EOVERFLOW => "this process's address space number (PASID) is larger than it takes",
        Errno::EPERM => "its driver gives no queues: it is being reset, or could not be",
        _ => return TransportError::System { call: "open of a uacce node", source: error },
    };
    tracing::warn!(device, %error, why, "open refused");
    TransportError::Refused(format!("{device} cannot be opened: {why} ({})", Errno::from_raw(errno)))
}
