//! Accelerators that are on the machine, and that this version has no driver for.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// An accelerator that this version cannot use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accelerator {
    /// Its address on the bus.
    pub address: String,
    /// What it is.
    pub name: String,
    /// Vendor and device number, as `19e5:a250`.
    pub id: String,
    /// The kernel driver it is bound to.
    pub kernel_driver: Option<String>,
    /// The memory node it is near.
    pub numa_node: Option<u32>,
    /// Why it cannot be used.
    pub reason: String,
}

/// What this tool knows of a kind of accelerator.
struct Kind {
    vendor: u16,
    devices: &'static [u16],
    name: &'static str,
    reason: Reason,
}

/// Why a kind cannot be used.
#[derive(Clone, Copy)]
enum Reason {
    /// A driver is planned.
    NoDriverYet,
    /// No driver could do anything with it.
    OtherWork,
}

/// Numbers as they stand in the kernel's drivers: hisilicon/{zip,sec2,hpre}, idxd, intel/qat, ivpu, amdxdna.
const KINDS: [Kind; 13] = [
    Kind { vendor: 0x19e5, devices: &[0xa250], name: "HiSilicon ZIP engine", reason: Reason::NoDriverYet },
    Kind {
        vendor: 0x19e5,
        devices: &[0xa251],
        name: "HiSilicon ZIP engine (virtual function)",
        reason: Reason::NoDriverYet,
    },
    Kind { vendor: 0x19e5, devices: &[0xa255], name: "HiSilicon SEC engine", reason: Reason::NoDriverYet },
    Kind {
        vendor: 0x19e5,
        devices: &[0xa256],
        name: "HiSilicon SEC engine (virtual function)",
        reason: Reason::NoDriverYet,
    },
    Kind { vendor: 0x19e5, devices: &[0xa258], name: "HiSilicon HPRE engine", reason: Reason::NoDriverYet },
    Kind {
        vendor: 0x19e5,
        devices: &[0xa259],
        name: "HiSilicon HPRE engine (virtual function)",
        reason: Reason::NoDriverYet,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0b25, 0x11fb, 0x1212],
        name: "Intel Data Streaming Accelerator",
        reason: Reason::NoDriverYet,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0cfe, 0x1216],
        name: "Intel In-Memory Analytics Accelerator",
        reason: Reason::NoDriverYet,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0435, 0x37c8, 0x19e2, 0x6f54, 0x4940, 0x4942, 0x4944, 0x4946],
        name: "Intel QuickAssist",
        reason: Reason::NoDriverYet,
    },
    Kind {
        vendor: 0x8086,
        devices: &[0x0443, 0x37c9, 0x19e3, 0x6f55, 0x4941, 0x4943, 0x4945, 0x4947],
        name: "Intel QuickAssist (virtual function)",
        reason: Reason::NoDriverYet,
    },
    Kind { vendor: 0x8086, devices: &[0x7d1d, 0xad1d, 0x643e, 0xb03e], name: "Intel NPU", reason: Reason::OtherWork },
    Kind { vendor: 0x1022, devices: &[0x1502, 0x17f0], name: "AMD XDNA NPU", reason: Reason::OtherWork },
    Kind { vendor: 0x1da3, devices: &[0x1000, 0x1020, 0x1060], name: "Habana AI processor", reason: Reason::OtherWork },
];

impl Reason {
    fn text(self, kind: &Kind, kernel_driver: Option<&str>) -> String {
        let bound = kernel_driver.map_or_else(
            || "no kernel driver is bound to it either".to_owned(),
            |name| format!("the kernel drives it with '{name}'"),
        );
        match self {
            Self::NoDriverYet => format!("this version has no driver for it ({bound})"),
            Self::OtherWork => {
                format!("runs neural networks; nothing that this framework offers is work for a {}", kind.name)
            }
        }
    }
}

/// Where the kernel shows its devices.
#[must_use]
pub fn sysfs() -> PathBuf {
    PathBuf::from("/sys")
}

/// Looks for accelerators on the PCI bus below `sysfs`, in the order of their addresses.
#[must_use]
pub fn find(sysfs: &Path) -> Vec<Accelerator> {
    // No PCI bus is no accelerators.
    let Ok(entries) = fs::read_dir(sysfs.join("bus/pci/devices")) else { return Vec::new() };
    let mut found: Vec<_> = entries.filter_map(|entry| look(&entry.ok()?.path())).collect();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    found
}

fn look(device: &Path) -> Option<Accelerator> {
    let number = |file: &str| {
        u16::from_str_radix(fs::read_to_string(device.join(file)).ok()?.trim().trim_start_matches("0x"), 16).ok()
    };
    let (vendor, id) = (number("vendor")?, number("device")?);
    let kind = KINDS.iter().find(|kind| kind.vendor == vendor && kind.devices.contains(&id))?;
    let kernel_driver = fs::read_link(device.join("driver"))
        .ok()
        .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
    Some(Accelerator {
        address: device.file_name()?.to_string_lossy().into_owned(),
        name: kind.name.to_owned(),
        id: format!("{vendor:04x}:{id:04x}"),
        reason: kind.reason.text(kind, kernel_driver.as_deref()),
        kernel_driver,
        // The kernel writes -1 where it does not know.
        numa_node: fs::read_to_string(device.join("numa_node")).ok().and_then(|text| text.trim().parse().ok()),
    })
}
