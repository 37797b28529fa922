//! A function on the PCI bus.

use crate::capability::{Capabilities, Hidden};
use crate::kind::Kind;
use crate::tree::Tree;

/// Where the kernel lists functions.
const DEVICES: &str = "/sys/bus/pci/devices";

/// What is known of a function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Its address, as `0000:00:01.0`.
    pub(crate) address: String,
    /// Vendor.
    pub(crate) vendor: u16,
    /// Device.
    pub(crate) device: u16,
    /// Class, subclass and interface.
    pub(crate) class: u32,
    /// What it is, if it is an accelerator.
    pub(crate) kind: Option<&'static Kind>,
    /// The kernel's driver that has it.
    pub(crate) driver: Option<String>,
    /// The number of its IOMMU group.
    pub(crate) group: Option<u32>,
    /// The IOMMU it is behind.
    pub(crate) iommu: Option<String>,
    /// The bridges above it, the topmost first.
    pub(crate) bridges: Vec<String>,
    /// The physical function that it is a slice of.
    pub(crate) physical: Option<String>,
}

impl Function {
    /// All functions, in the order of their addresses.
    #[must_use]
    pub(crate) fn all(tree: &dyn Tree) -> Vec<Self> {
        tree.names(DEVICES).iter().filter_map(|address| Self::look(tree, address)).collect()
    }

    fn look(tree: &dyn Tree, address: &str) -> Option<Self> {
        let folder = format!("{DEVICES}/{address}");
        let number = |file: &str| tree.number(&format!("{folder}/{file}"));
        let half = |file: &str| u16::try_from(number(file)?).ok();
        let (vendor, device) = (half("vendor")?, half("device")?);
        let path = tree.link(&folder).unwrap_or_default();
        Some(Self {
            vendor,
            device,
            class: number("class").and_then(|class| u32::try_from(class).ok()).unwrap_or(0),
            kind: Kind::of(vendor, device),
            driver: tree.link_name(&format!("{folder}/driver")),
            group: tree.link_name(&format!("{folder}/iommu_group")).and_then(|group| group.parse().ok()),
            iommu: tree.link_name(&format!("{folder}/iommu")),
            bridges: path.split('/').filter(|part| is_address(part) && *part != address).map(str::to_owned).collect(),
            physical: tree.link_name(&format!("{folder}/physfn")),
            address: address.to_owned(),
        })
    }

    /// Its folder below `/sys`.
    #[must_use]
    pub(crate) fn folder(&self) -> String {
        format!("{DEVICES}/{}", self.address)
    }

    /// Whether it is a bridge (base class 6, subclass 4), which nobody opens.
    #[must_use]
    pub(crate) fn is_bridge(&self) -> bool {
        self.class >> 8 == 0x0604
    }

    /// Whether VFIO has it.
    #[must_use]
    pub(crate) fn is_vfio(&self) -> bool {
        // Drivers of one kind of device have names such as `mlx5_vfio_pci`.
        let is = |driver: &str| {
            driver.starts_with("vfio") || ["vfio-pci", "vfio_pci"].iter().any(|end| driver.ends_with(end))
        };
        self.driver.as_deref().is_some_and(is)
    }

    /// Whether it is another function of the same device in the same slot.
    #[must_use]
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        let slot = |address: &str| address.rsplit_once('.').map(|(slot, _)| slot.to_owned());
        self.address != other.address && slot(&self.address) == slot(&other.address)
    }

    /// What it is called: its kind, or its numbers.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Some(kind) => kind.name.to_owned(),
            None => format!("{:04x}:{:04x}", self.vendor, self.device),
        }
    }

    /// Its capabilities; those of the physical function for what slices share (PASID, page requests).
    ///
    /// # Errors
    /// Why they do not show.
    pub(crate) fn capabilities(&self, tree: &dyn Tree) -> Result<Capabilities, Hidden> {
        let own = Capabilities::look(tree, &self.folder())?;
        let Some(physical) = &self.physical else { return Ok(own) };
        let shared = Capabilities::look(tree, &format!("{DEVICES}/{physical}"))?;
        Ok(Capabilities { pasid: shared.pasid, pri: shared.pri, ..own })
    }
}

/// Whether it looks like the address of a PCI function, `0000:00:01.0`.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let mut parts = text.split([':', '.']);
    let widths = [4, 2, 2, 1];
    let fits = widths.iter().all(|width| {
        parts.next().is_some_and(|part| part.len() >= *width && part.chars().all(|digit| digit.is_ascii_hexdigit()))
    });
    fits && parts.next().is_none() && text.matches(':').count() == 2
}
