//! Accelerators that are on the machine, and that this version has no driver for.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use uaccel_doctor::{Family, Kind};

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

/// Why a kind cannot be used; none of those that have a driver, and are listed where that finds them. `offered`: uacce offers its queues.
fn reason(kind: &Kind, kernel_driver: Option<&str>, offered: bool) -> Option<String> {
    match kind.family {
        family if family.is_undriven() => {
            let bound = kernel_driver.map_or_else(
                || "no kernel driver is bound to it either".to_owned(),
                |name| format!("the kernel drives it with '{name}'"),
            );
            Some(format!("this version has no driver for it ({bound})"))
        }
        // What uacce offers is listed with what stands in its way, the version of the hardware for one.
        Family::HiSilicon(module) if !offered => Some(match kernel_driver {
            Some(name) => {
                format!("its kernel driver '{name}' offers no queues to processes: uaccel doctor says what makes it")
            }
            None => format!("no kernel driver is bound to it ({module}): uaccel doctor says what it takes"),
        }),
        Family::Neural => {
            Some(format!("runs neural networks; nothing that this framework offers is work for a {}", kind.name))
        }
        _ => None,
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
    let offered = offered(sysfs);
    let mut found: Vec<_> = entries.filter_map(|entry| look(&entry.ok()?.path(), &offered)).collect();
    found.sort_by(|a, b| a.address.cmp(&b.address));
    found
}

/// The addresses of what uacce offers queues of.
fn offered(sysfs: &Path) -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(sysfs.join("class/uacce")) else { return Vec::new() };
    let parent = |device: PathBuf| Some(fs::read_link(device.join("device")).ok()?.file_name()?.to_owned());
    entries.filter_map(|entry| parent(entry.ok()?.path())).collect()
}

fn look(device: &Path, offered: &[OsString]) -> Option<Accelerator> {
    let number = |file: &str| {
        u16::from_str_radix(fs::read_to_string(device.join(file)).ok()?.trim().trim_start_matches("0x"), 16).ok()
    };
    let (vendor, id) = (number("vendor")?, number("device")?);
    let kind = Kind::of(vendor, id)?;
    let kernel_driver = fs::read_link(device.join("driver"))
        .ok()
        .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned()));
    Some(Accelerator {
        address: device.file_name()?.to_string_lossy().into_owned(),
        name: kind.name.to_owned(),
        id: format!("{vendor:04x}:{id:04x}"),
        reason: reason(kind, kernel_driver.as_deref(), offered.iter().any(|own| Some(&**own) == device.file_name()))?,
        kernel_driver,
        // The kernel writes -1 where it does not know.
        numa_node: fs::read_to_string(device.join("numa_node")).ok().and_then(|text| text.trim().parse().ok()),
    })
}
