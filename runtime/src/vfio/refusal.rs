//! Why the kernel gives no device.

use std::io;

use nix::errno::Errno;
use uaccel_queue::TransportError;

use crate::sys::vfio::group::GroupError;

/// What the kernel means by refusing a group.
pub(super) fn of_group(device: &str, error: GroupError) -> TransportError {
    let refused = |why: String| {
        tracing::warn!(device, why, "open refused");
        TransportError::Refused(format!("{device} cannot be opened: {why}"))
    };
    match error {
        GroupError::Call { call, source } => match errno(&source) {
            // One process at a time, by group or by the device's own node.
            Some(Errno::EBUSY) if call == "open of the VFIO group" => TransportError::Busy(device.to_owned()),
            Some(Errno::EBUSY | Errno::EPERM) if call == "VFIO_GROUP_SET_CONTAINER" => {
                refused("a device of its IOMMU group is in use by a driver of the kernel's".to_owned())
            }
            Some(Errno::EPERM) if call == "VFIO_SET_IOMMU" => refused(
                "the IOMMU does not keep its interrupts apart; enable interrupt remapping in the firmware and the kernel"
                    .to_owned(),
            ),
            Some(Errno::EPERM) if call == "open of the VFIO group" => refused(
                "no IOMMU stands behind it, and the kernel gives such a device only to who has CAP_SYS_RAWIO".to_owned(),
            ),
            Some(Errno::ENOENT) => TransportError::Gone,
            _ => TransportError::System { call, source },
        },
        other => refused(other.to_string()),
    }
}

/// A device that reaches all of the machine's memory is not opened by who has not asked for such.
pub(super) fn unprotected(device: &str) -> TransportError {
    TransportError::Refused(format!("{device} cannot be opened: {UNPROTECTED}"))
}

/// Why such a device is not used.
pub(super) const UNPROTECTED: &str = "no IOMMU stands behind it, so all of the machine's memory would be open to it";

/// What the kernel means by refusing a device of a group.
pub(super) fn of_device(device: &str, source: io::Error) -> TransportError {
    match errno(&source) {
        Some(Errno::ENODEV | Errno::ENXIO) => TransportError::Gone,
        // Somebody else resets it, or a device that shares its reset.
        Some(Errno::EAGAIN | Errno::EBUSY) => TransportError::Busy(device.to_owned()),
        _ => TransportError::System { call: "VFIO_GROUP_GET_DEVICE_FD", source },
    }
}

/// What the kernel means by not binding a device to an iommufd.
pub(super) fn of_binding(device: &str, source: io::Error) -> TransportError {
    match errno(&source) {
        // By its group; or by its own node, which has one user at a time.
        Some(Errno::EBUSY | Errno::EINVAL) => TransportError::Busy(device.to_owned()),
        Some(Errno::ENODEV | Errno::ENXIO | Errno::ENOENT) => TransportError::Gone,
        Some(Errno::EPERM) => {
            let why = "the IOMMU does not keep its interrupts apart; enable interrupt remapping in the firmware and the kernel";
            TransportError::Refused(format!("{device} cannot be opened: {why}"))
        }
        _ => TransportError::System { call: "VFIO_DEVICE_BIND_IOMMUFD", source },
    }
}

/// What the kernel means by not giving a device an address space by PASID.
pub(super) fn of_pasid(device: &str, call: &'static str, source: io::Error) -> TransportError {
    match errno(&source) {
        Some(Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::E2BIG | Errno::EINVAL | Errno::ENODEV) => {
            let why = format!("the kernel, its IOMMU or the device has no PASIDs or page requests ({call}: {source})");
            TransportError::Refused(format!("{device} cannot be opened: {why}"))
        }
        _ => TransportError::System { call, source },
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}
