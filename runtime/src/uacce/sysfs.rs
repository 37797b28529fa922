//! What sysfs says of a uacce device.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use uaccel_queue::{DeviceInfo, Unusable};

use super::kinds::{self, QueueKind};
use super::node::Layout;
use crate::sys::uapi::uacce;

/// Where devices and their nodes are.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
}

/// A device's folder. Attributes are read when asked for: what they say changes.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    folder: PathBuf,
    pub(super) node: PathBuf,
}

impl Tree {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The devices there are, by name. None where the kernel has no uacce.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let class = self.root.join("sys/class/uacce");
        let folders = match fs::read_dir(&class) {
            Ok(folders) => folders,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %class.display(), %error, "devices cannot be listed");
                }
                return Vec::new();
            }
        };
        let mut names: Vec<_> = folders.flatten().filter_map(|folder| folder.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names.iter().map(|name| self.entry(name)).collect()
    }

    /// The device of this name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<Entry> {
        // A name is no path, and none of the folder itself.
        let entry = (!name.contains('/') && !["", ".", ".."].contains(&name)).then(|| self.entry(name))?;
        entry.folder.is_dir().then_some(entry)
    }

    fn entry(&self, name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            folder: self.root.join("sys/class/uacce").join(name),
            node: self.root.join("dev").join(name),
        }
    }
}

impl Entry {
    /// What is known of the device without opening it.
    pub(super) fn info(&self) -> DeviceInfo {
        let api = self.attribute("api");
        let mut info = DeviceInfo::new(&self.name, api.as_deref().unwrap_or("unknown"));
        // -1 says that it is not known.
        info.numa_node = self.attribute("device/numa_node").ok().and_then(|node| node.parse().ok());
        info.algorithms = self.algorithms();
        let hardware_queues = kinds::of(&info.interface, &info.algorithms).len().max(1);
        info.unusable = api.and_then(|_| self.judge(hardware_queues)).unwrap_or_else(|error| {
            Some(Unusable { reason: format!("its attributes cannot be read: {error}"), cure: None })
        });
        info
    }

    /// The kinds of hardware queues that one queue takes, if it has kinds.
    pub(super) fn kinds(&self) -> Vec<QueueKind> {
        self.attribute("api").map_or_else(|_| Vec::new(), |api| kinds::of(&api, &self.algorithms()))
    }

    fn algorithms(&self) -> Vec<String> {
        self.attribute("algorithms").map_or_else(|_| Vec::new(), |names| lines(&names))
    }

    /// How much of its file can be mapped. What there is nothing of has no attribute.
    pub(super) fn layout(&self) -> io::Result<Layout> {
        let size = |name: &str| match self.attribute(name) {
            Ok(text) => number(name, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        Ok(Layout { mmio: size("region_mmio_size")?, dus: size("region_dus_size")? })
    }

    /// Whether the device keeps itself out of use after errors.
    pub(super) fn is_isolated(&self) -> bool {
        // The attribute is missing where the device has no such state.
        self.attribute("isolate").is_ok_and(|isolated| isolated == "1")
    }

    /// The name of the driver that it is bound to.
    pub(super) fn driver(&self) -> String {
        driver_of(&self.folder.join("device"))
    }

    /// Why the device cannot be used, as far as that can be told from outside. One queue takes so many of its `hardware_queues`.
    fn judge(&self, hardware_queues: usize) -> io::Result<Option<Unusable>> {
        let flags: u32 = number("flags", &self.attribute("flags")?)?;
        let parent = self.folder.join("device");
        let unusable = |reason: String, cure: &str| Ok(Some(Unusable { reason, cure: Some(cure.to_owned()) }));
        if flags & uacce::DEV_SVA == 0 {
            return unusable(
                format!("its driver offers no shared addresses (flags {flags:#x})"),
                "enable PASID and page requests in the IOMMU, and load the device's driver in its mode for user space",
            );
        }
        if !parent.join("iommu_group").exists() {
            return unusable(
                "no IOMMU translates its addresses".to_owned(),
                "enable the IOMMU in the firmware and the kernel (intel_iommu=on, or amd_iommu=on), for a virtual machine in its devices",
            );
        }
        if self.is_isolated() {
            let cure = format!("see the kernel's log, then load its driver '{}' anew", self.driver());
            return unusable("it has isolated itself after errors".to_owned(), &cure);
        }
        let node = self.node.display();
        if !self.node.exists() {
            let cure = format!("mount devtmpfs on /dev, or hand {node} to the container");
            return unusable(format!("its node {node} does not exist"), &cure);
        }
        match access(&self.node, AccessFlags::R_OK | AccessFlags::W_OK) {
            Ok(()) => {}
            Err(errno @ (Errno::EACCES | Errno::EPERM | Errno::EROFS)) => {
                let cure = format!(
                    "let your group in, as root: chgrp GROUP {node} && chmod g+rw {node} (a udev rule makes it last)"
                );
                return unusable(format!("{node} cannot be opened: {}", errno.desc()), &cure);
            }
            Err(errno) => return Err(errno.into()),
        }
        match self.attribute("available_instances") {
            Ok(free) => {
                let free: i64 = number("available_instances", &free)?;
                // Below zero there is none either.
                let free = usize::try_from(free).unwrap_or(0);
                if free < hardware_queues {
                    let reason = match free {
                        0 => "all its queues are in use".to_owned(),
                        free => format!("all its queues but {free} are in use, and {hardware_queues} are needed"),
                    };
                    return unusable(reason, "wait, or end a process that has some of them open");
                }
            }
            // Not every driver counts.
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// An attribute's text, without the line's end.
    fn attribute(&self, name: &str) -> io::Result<String> {
        let text = fs::read_to_string(self.folder.join(name))?;
        Ok(text.trim_end().to_owned())
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("attribute {name} is '{text}'")))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The name of the driver that a device is bound to.
fn driver_of(device: &Path) -> String {
    let driver = fs::read_link(device.join("driver")).ok();
    let name = driver.as_deref().and_then(Path::file_name);
    name.map_or_else(|| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}
