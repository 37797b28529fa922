//! By which of the kernel's interfaces a device is opened.

use std::fmt;

/// By which of the kernel's interfaces a device is opened, and how its queues see memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Road {
    /// The first that there is of [`Pasid`](Self::Pasid), [`Cdev`](Self::Cdev) and [`Group`](Self::Group).
    #[default]
    Best,
    /// By its IOMMU group, under type1v2: every kernel has it.
    Group,
    /// By a node of its own, under iommufd (Linux 6.6).
    Cdev,
    /// The same, but its queues work under a PASID: what the device does without one reaches none of this process's memory (Linux 6.15).
    Pasid,
    /// The same, but memory is not pinned when a job is submitted: the device asks for each page, and the page is pinned then
    /// ([`AddressMode::OnDemandPinned`](uaccel_queue::AddressMode::OnDemandPinned)). It needs a device and an IOMMU with page requests. A page costs
    /// a detour through this process, so this is for jobs that touch little of the memory they name.
    OnDemand,
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Best => "whatever there is",
            Self::Group => "group and type1v2",
            Self::Cdev => "iommufd",
            Self::Pasid => "iommufd, with a PASID",
            Self::OnDemand => "iommufd, with a PASID and page requests",
        })
    }
}
