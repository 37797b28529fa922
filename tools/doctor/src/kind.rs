//! Accelerators that are known by their numbers. The only table of them: whoever looks at a bus asks here.

/// A kind of accelerator.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    vendor: u16,
    devices: &'static [u16],
    /// What it is called.
    pub name: &'static str,
    /// Whose interface it has.
    pub family: Family,
}

/// Accelerators that are reached in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The project's own engine: uacce or VFIO.
    Warp,
    /// HiSilicon's queue manager: uacce. The kernel's driver is named.
    HiSilicon(&'static str),
    /// Intel DSA and IAA: nodes of work queues.
    Idxd,
    /// Intel QuickAssist: VFIO on a virtual function, or the kernel's own use.
    Qat,
    /// Not a QuickAssist device itself, but a slice of one.
    QatVirtual,
    /// The teaching device of QEMU: VFIO.
    Edu,
    /// Runs neural networks; nothing the framework has work for.
    Neural,
}

impl Family {
    /// Whether this version of the framework has no driver for it, so that the CPU does its work whatever is open. Of HiSilicon's engines it drives ZIP, from hardware version 3
    /// on, which its interface tells.
    #[must_use]
    pub fn is_undriven(self) -> bool {
        match self {
            Self::HiSilicon(_) => self != ZIP,
            Self::Idxd | Self::Qat | Self::QatVirtual => true,
            Self::Warp | Self::Edu | Self::Neural => false,
        }
    }
}

const ZIP: Family = Family::HiSilicon("hisi_zip");
const SEC: Family = Family::HiSilicon("hisi_sec2");
const HPRE: Family = Family::HiSilicon("hisi_hpre");

/// Numbers as they stand in the kernel's drivers (hisilicon/{zip,sec2,hpre}, idxd, intel/qat, ivpu, amdxdna, habanalabs), in this project's
/// specification of the Warp engine, and in QEMU's `docs/specs/edu.rst`.
const KINDS: &[Kind] = &[
    Kind { vendor: 0x1234, devices: &[0x5741], name: "Warp engine", family: Family::Warp },
    Kind { vendor: 0x1234, devices: &[0x11e8], name: "QEMU edu", family: Family::Edu },
    Kind { vendor: 0x19e5, devices: &[0xa250], name: "HiSilicon ZIP engine", family: ZIP },
    Kind { vendor: 0x19e5, devices: &[0xa251], name: "HiSilicon ZIP engine (virtual function)", family: ZIP },
    Kind { vendor: 0x19e5, devices: &[0xa255], name: "HiSilicon SEC engine", family: SEC },
    Kind { vendor: 0x19e5, devices: &[0xa256], name: "HiSilicon SEC engine (virtual function)", family: SEC },
    Kind { vendor: 0x19e5, devices: &[0xa258], name: "HiSilicon HPRE engine", family: HPRE },
    Kind { vendor: 0x19e5, devices: &[0xa259], name: "HiSilicon HPRE engine (virtual function)", family: HPRE },
    Kind {
        vendor: 0x8086,
        devices: &[0x0b25, 0x11fb, 0x1212],
        name: "Intel Data Streaming Accelerator",
        family: Family::Idxd,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0cfe, 0x1216, 0xb02d, 0xfd2d],
        name: "Intel In-Memory Analytics Accelerator",
        family: Family::Idxd,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0435, 0x37c8, 0x19e2, 0x6f54, 0x4940, 0x4942, 0x4944, 0x4946, 0x4948],
        name: "Intel QuickAssist",
        family: Family::Qat,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0443, 0x37c9, 0x19e3, 0x6f55, 0x4941, 0x4943, 0x4945, 0x4947, 0x4949],
        name: "Intel QuickAssist (virtual function)",
        family: Family::QatVirtual,
    },
    Kind { vendor: 0x8086, devices: &[0x7d1d, 0xad1d, 0x643e, 0xb03e], name: "Intel NPU", family: Family::Neural },
    Kind { vendor: 0x1022, devices: &[0x1502, 0x17f0], name: "AMD XDNA NPU", family: Family::Neural },
    Kind { vendor: 0x1da3, devices: &[0x1000, 0x1020, 0x1060], name: "Habana AI processor", family: Family::Neural },
];

impl Kind {
    /// The kind with these numbers.
    #[must_use]
    pub fn of(vendor: u16, device: u16) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.vendor == vendor && kind.devices.contains(&device))
    }
}
