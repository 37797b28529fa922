//! What sysfs says of devices that are, or could be, given to user space.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use uaccel_drivers::function::Function;
use uaccel_queue::{AddressMode, DeviceInfo, Unusable};

use super::mapper::Reach;
use super::refusal::UNPROTECTED;

/// What names of devices begin with; what follows is the name on its bus.
const PREFIX: &str = "vfio-";

/// The same for devices that no IOMMU stands behind, so that it shows wherever they do.
const UNPROTECTED_PREFIX: &str = "unprotected-";

/// Where devices and their nodes are.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// A device's folder, whatever bus it is on.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name on its bus, such as `0000:00:01.0`.
    pub(super) id: String,
    pub(super) function: Arc<dyn Function>,
    folder: PathBuf,
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Devices of kinds that somebody knows, and that no other driver has, by name. A device is found by its IOMMU group, so it may be on any bus.
    pub(super) fn entries(&self, functions: &[Arc<dyn Function>]) -> Vec<Entry> {
        let groups = self.root.join("sys/kernel/iommu_groups");
        let mut entries = Vec::new();
        for group in list(&groups) {
            let devices = groups.join(&group).join("devices");
            for id in list(&devices) {
                entries.extend(self.entry(&devices.join(&id), &id, functions));
            }
        }
        entries.sort_by(|a: &Entry, b| a.id.cmp(&b.id));
        entries
    }

    fn entry(&self, folder: &Path, id: &str, functions: &[Arc<dyn Function>]) -> Option<Entry> {
        let alias = alias(folder)?;
        let function = functions.iter().find(|function| function.is_behind(&alias))?;
        let entry =
            Entry { id: id.to_owned(), function: function.clone(), folder: folder.to_owned(), root: self.root.clone() };
        // A driver of the kernel's has it, and offers it in its own way.
        let taken = entry.driver().is_some_and(|_| !entry.is_given());
        (!taken).then_some(entry)
    }
}

impl Entry {
    /// The name users say.
    pub(super) fn name(&self) -> String {
        let prefix = if self.is_unprotected() { UNPROTECTED_PREFIX } else { PREFIX };
        format!("{prefix}{}", self.id)
    }

    /// Whether no IOMMU stands behind it, and the kernel gives it all the same.
    pub(super) fn is_unprotected(&self) -> bool {
        // `vfio_noiommu_group_alloc` of the kernel's drivers/vfio/group.c.
        fs::read_to_string(self.folder.join("iommu_group/name")).is_ok_and(|name| name.trim_end() == "vfio-noiommu")
    }

    /// What is known of the device without opening it, as a bus that makes this of addresses.
    pub(super) fn info(&self, mode: AddressMode, unprotected: bool) -> DeviceInfo {
        let mut info = DeviceInfo::new(self.name(), self.function.interface());
        let node = fs::read_to_string(self.folder.join("numa_node")).ok();
        // -1 says that it is not known.
        info.numa_node = node.and_then(|node| node.trim_end().parse().ok());
        let narrow = self.is_unprotected() || !Reach::of_bits(self.function.address_bits()).has_process();
        info.address_mode = Some(if narrow { AddressMode::Bounced } else { mode });
        info.simulated = self.function.is_model();
        info.unusable = self.judge(unprotected);
        info
    }

    /// The number of its group.
    pub(super) fn group(&self) -> io::Result<String> {
        target(&self.folder.join("iommu_group")).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The node of its group.
    pub(super) fn group_node(&self) -> io::Result<PathBuf> {
        let prefix = if self.is_unprotected() { "noiommu-" } else { "" };
        Ok(self.root.join("dev/vfio").join(format!("{prefix}{}", self.group()?)))
    }

    /// The node of containers.
    pub(super) fn container_node(&self) -> PathBuf {
        self.root.join("dev/vfio/vfio")
    }

    /// The node of its own, where the kernel has such.
    pub(super) fn own_node(&self) -> Option<PathBuf> {
        let name = list(&self.folder.join("vfio-dev")).into_iter().next()?;
        let node = self.root.join("dev/vfio/devices").join(name);
        node.exists().then_some(node)
    }

    /// The node of iommufd.
    pub(super) fn iommufd_node(&self) -> PathBuf {
        self.root.join("dev/iommu")
    }

    /// Whether it is bound to one of VFIO's drivers.
    fn is_given(&self) -> bool {
        // Since Linux 6.1 every device of VFIO's has this folder, whatever its driver is called.
        self.folder.join("vfio-dev").is_dir() || self.driver().is_some_and(|driver| driver.starts_with("vfio"))
    }

    fn driver(&self) -> Option<String> {
        target(&self.folder.join("driver"))
    }

    /// The bus it is on.
    fn bus(&self) -> Option<String> {
        target(&self.folder.join("subsystem"))
    }

    fn judge(&self, unprotected: bool) -> Option<Unusable> {
        let unusable = |reason: String, cure: String| Some(Unusable { reason, cure: Some(cure) });
        if !self.is_given() {
            let cure = match self.bus().as_deref() {
                Some("pci") | None => format!(
                    "as root: modprobe vfio-pci; echo vfio-pci > /sys/bus/pci/devices/{id}/driver_override; echo {id} > /sys/bus/pci/drivers_probe",
                    id = self.id
                ),
                Some(bus) => format!(
                    "as root: bind {id} to the VFIO driver of bus '{bus}' by /sys/bus/{bus}/devices/{id}/driver_override and /sys/bus/{bus}/drivers_probe",
                    id = self.id
                ),
            };
            return unusable("no driver has it, nor is it given to user space".to_owned(), cure);
        }
        if self.is_unprotected() && !unprotected {
            let cure = "turn on the IOMMU in the firmware and the kernel (intel_iommu=on); where there is none, and the device is trusted with everything, a program can ask for such by VfioBus::unprotected";
            return unusable(UNPROTECTED.to_owned(), cure.to_owned());
        }
        let node = match self.group_node() {
            Ok(node) => node,
            Err(error) => {
                return Some(Unusable { reason: format!("its IOMMU group cannot be read: {error}"), cure: None });
            }
        };
        let mount = "mount devtmpfs on /dev, or hand the node to the container";
        let by_group =
            self.judge_node(&self.container_node(), "modprobe vfio").or_else(|| self.judge_node(&node, mount))?;
        // One road is enough.
        let by_own_node = self.own_node().is_some_and(|own| {
            self.judge_node(&self.iommufd_node(), "modprobe iommufd").or_else(|| self.judge_node(&own, mount)).is_none()
        });
        (!by_own_node).then_some(by_group)
    }

    fn judge_node(&self, node: &Path, cure: &str) -> Option<Unusable> {
        let shown = node.display();
        if !node.exists() {
            return Some(Unusable { reason: format!("its node {shown} does not exist"), cure: Some(cure.to_owned()) });
        }
        match access(node, AccessFlags::R_OK | AccessFlags::W_OK) {
            Ok(()) => None,
            Err(errno @ (Errno::EACCES | Errno::EPERM | Errno::EROFS)) => Some(Unusable {
                reason: format!("{shown} cannot be opened: {}", errno.desc()),
                cure: Some(format!(
                    "let your group in, as root: chgrp GROUP {shown} && chmod g+rw {shown} (a udev rule makes it last)"
                )),
            }),
            Err(errno) => Some(Unusable { reason: format!("{shown} cannot be looked at: {errno}"), cure: None }),
        }
    }
}

/// The kernel's text about a device; for a device without one, such as a mediated device, its bus and the name of its type.
fn alias(folder: &Path) -> Option<String> {
    match fs::read_to_string(folder.join("modalias")) {
        Ok(text) => Some(text.trim_end().to_owned()),
        Err(_) => Some(format!("{}:{}", target(&folder.join("subsystem"))?, target(&folder.join("mdev_type"))?)),
    }
}

/// The name of what a link leads to.
fn target(link: &Path) -> Option<String> {
    Some(fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
}

fn list(folder: &Path) -> Vec<String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %folder.display(), %error, "devices cannot be listed");
            }
            return Vec::new();
        }
    };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
