//! Rules for udev that let a group of users open nodes: those of `docs/setup/70-uaccel.rules`.

/// The group that the recipes use.
pub(crate) const GROUP: &str = "uaccel";

/// Nodes that are given to the group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessRule {
    /// Queues of uacce devices.
    Uacce,
    /// User work queues of DSA and IAA.
    Idxd,
    /// `/dev/iommu`.
    IommuFd,
    /// `/dev/vfio/devices/*`: by the device's address, since others there may belong to virtual machines.
    VfioDevice,
    /// `/dev/vfio/<group>`: by its number, which may be another one after the next start.
    VfioGroup,
    /// `/dev/vfio/vfio`, which is everybody's unless somebody changed that.
    VfioContainer,
}

impl AccessRule {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Uacce, Self::Idxd, Self::IommuFd, Self::VfioDevice, Self::VfioGroup, Self::VfioContainer];

    /// The rule, about the device or group that is called `name`.
    #[must_use]
    pub fn text(self, name: &str) -> String {
        let (nodes, rights) = match self {
            Self::Uacce => (r#"SUBSYSTEM=="uacce""#.to_owned(), true),
            Self::Idxd => (r#"SUBSYSTEM=="dsa", KERNEL=="*wq*""#.to_owned(), true),
            Self::IommuFd => (r#"SUBSYSTEM=="misc", KERNEL=="iommu""#.to_owned(), true),
            Self::VfioDevice => (format!(r#"SUBSYSTEM=="vfio-dev", KERNELS=="{name}""#), true),
            Self::VfioGroup => (format!(r#"SUBSYSTEM=="vfio", KERNEL=="{name}""#), true),
            Self::VfioContainer => (r#"SUBSYSTEM=="misc", KERNEL=="vfio""#.to_owned(), false),
        };
        if rights { format!(r#"{nodes}, GROUP="{GROUP}", MODE="0660""#) } else { format!(r#"{nodes}, MODE="0666""#) }
    }
}
