//! IOMMUs, as the kernel describes them in `/sys/class/iommu`.

use crate::kernel::Kernel;
use crate::tree::Tree;

/// Where the kernel lists them.
const CLASS: &str = "/sys/class/iommu";

/// One IOMMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IommuUnit {
    /// Its name, such as `dmar0`, `ivhd0`, `smmu3.0x0000000140000000`.
    pub(crate) name: String,
    /// Who made it, and what it can do as far as it says.
    pub(crate) model: Model,
}

/// Models of IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// Intel VT-d.
    VtD(VtD),
    /// AMD-Vi.
    Amd(Amd),
    /// Arm SMMU version 3. It says nothing of its features.
    Smmu3,
    /// The one of virtio.
    Virtio,
    /// Another one.
    Other,
}

/// Features of VT-d, from its registers CAP and ECAP (Intel Virtualization Technology for Directed I/O, 11.4.2 and 11.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VtD {
    /// Capability register.
    pub(crate) cap: u64,
    /// Extended capability register.
    pub(crate) ecap: u64,
}

/// Features of AMD-Vi, from its extended feature register (AMD I/O Virtualization Technology, MMIO offset 30h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amd {
    /// Extended feature register.
    pub(crate) features: u64,
}

/// Bits of a pointer of a process: its half of 48-bit addresses, on x86-64 as on most 64-bit Arm systems.
pub(crate) const POINTER_BITS: u32 = 47;

impl Model {
    /// Whether it is known to translate fewer bits through VFIO than pointers have.
    #[must_use]
    pub(crate) fn is_narrow(self) -> bool {
        matches!(self, Self::VtD(unit) if unit.address_bits() < POINTER_BITS)
    }
}

const fn bit(word: u64, bit: u32) -> bool {
    word >> bit & 1 == 1
}

impl VtD {
    /// Bits of an address that the largest second-stage tables translate: 39, 48 or 57 (CAP.SAGAW), at most CAP.MGAW.
    #[must_use]
    pub(crate) fn address_bits(self) -> u32 {
        // SAGAW is at 12:8; its bit 1 is three levels of tables, and each further one is 9 bits of address.
        let tables = (1..=3).rev().find(|level| bit(self.cap, 8 + level)).map_or(0, |level| 30 + 9 * level);
        let reach = (self.cap >> 16 & 0x3f) as u32 + 1;
        tables.min(reach)
    }

    /// Scalable mode, on which everything with a PASID rests (ECAP.SMTS).
    #[must_use]
    pub(crate) fn has_scalable_mode(self) -> bool {
        bit(self.ecap, 43)
    }

    /// Address spaces by number (ECAP.PASID).
    #[must_use]
    pub(crate) fn has_pasid(self) -> bool {
        bit(self.ecap, 40)
    }

    /// Page requests (ECAP.PRS).
    #[must_use]
    pub(crate) fn has_page_requests(self) -> bool {
        bit(self.ecap, 29)
    }

    /// Translations by devices (ECAP.DT).
    #[must_use]
    pub(crate) fn has_device_tlb(self) -> bool {
        bit(self.ecap, 2)
    }

    /// Interrupts are translated, too (ECAP.IR).
    #[must_use]
    pub(crate) fn remaps_interrupts(self) -> bool {
        bit(self.ecap, 3)
    }

    /// It can walk a processor's page tables (ECAP.FLTS, first-stage translation in scalable mode).
    #[must_use]
    pub(crate) fn has_first_stage(self) -> bool {
        bit(self.ecap, 47)
    }

    /// It sees what processors write into page tables (ECAP.SMPWC). Linux shares page tables only then.
    #[must_use]
    pub(crate) fn walks_coherently(self) -> bool {
        bit(self.ecap, 48)
    }

    /// First-stage tables of five levels (CAP.FL5LP).
    #[must_use]
    pub(crate) fn has_five_levels(self) -> bool {
        bit(self.cap, 60)
    }
}

impl Amd {
    /// Page requests (PPRSup).
    #[must_use]
    pub(crate) fn has_page_requests(self) -> bool {
        bit(self.features, 1)
    }

    /// It can walk a processor's page tables (GTSup).
    #[must_use]
    pub(crate) fn has_guest_tables(self) -> bool {
        bit(self.features, 4)
    }

    /// Bits of an address space's number (PASmax is one less); 0 if there are none.
    #[must_use]
    pub(crate) fn pasid_bits(self) -> u32 {
        if self.has_guest_tables() { (self.features >> 32 & 0x1f) as u32 + 1 } else { 0 }
    }
}

impl IommuUnit {
    /// All of them, by name.
    #[must_use]
    pub(crate) fn all(tree: &dyn Tree, kernel: &Kernel) -> Vec<Self> {
        tree.names(CLASS).into_iter().map(|name| Self::look(tree, kernel, name)).collect()
    }

    fn look(tree: &dyn Tree, kernel: &Kernel, name: String) -> Self {
        let folder = format!("{CLASS}/{name}");
        let register = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
        let intel = |file: &str| register(&tree.text(&format!("{folder}/intel-iommu/{file}")).ok()?);
        let vtd = || Some(Model::VtD(VtD { cap: intel("cap")?, ecap: intel("ecap")? }));
        let amd = || {
            let text = tree.text(&format!("{folder}/amd-iommu/features")).ok()?;
            // One register; then "second:first" since 5.19, and "first:second" since 6.7.
            let features = match text.split_once(':') {
                None => &text,
                Some((first, _)) if kernel.is_at_least(6, 7) => first,
                Some((_, first)) => first,
            };
            Some(Model::Amd(Amd { features: register(features)? }))
        };
        let by_name = || match () {
            () if name.starts_with("smmu3") => Model::Smmu3,
            () if name.starts_with("virtio") => Model::Virtio,
            () => Model::Other,
        };
        let model = vtd().or_else(amd).unwrap_or_else(by_name);
        Self { name, model }
    }
}
