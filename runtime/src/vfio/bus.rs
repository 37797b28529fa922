//! Devices that were given to user space.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use uaccel_drivers::function::Function;
use uaccel_drivers::warp::WarpFunction;
use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};

use super::discovery::{Entry, Tree};
use super::memory::{Counts, PinnedMemory};
use super::open_device::OpenDevice;
use super::pinning::{Pinning, Policy};
use super::refusal;
use super::transport::VfioTransport;
use crate::sys::fork_mark::ForkMark;
use crate::sys::vfio::group::Container;
use crate::uacce::ROOT_VARIABLE;

/// Devices that were given to user space (VFIO). See the [module's page](super).
#[derive(Debug)]
pub struct VfioBus {
    tree: Tree,
    functions: Vec<Arc<dyn Function>>,
    policy: Policy,
}

/// Devices that this process has open, by node of their group and by name: a device can be opened once, and all its queues share it.
static OPEN: Mutex<BTreeMap<(PathBuf, String), Weak<OpenDevice>>> = Mutex::new(BTreeMap::new());

impl VfioBus {
    /// The bus of this machine, or of what [`ROOT_VARIABLE`] names.
    #[must_use]
    pub fn new() -> Self {
        let root = std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty());
        Self::at(root.unwrap_or_else(|| OsString::from("/")))
    }

    /// The bus with `sys` and `dev` in another folder.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            tree: Tree::new(root.into()),
            functions: vec![Arc::new(WarpFunction)],
            policy: Policy::Safe(Pinning::default()),
        }
    }

    /// The same with one more kind of device.
    #[must_use]
    pub fn with_function(mut self, function: Arc<dyn Function>) -> Self {
        self.functions.insert(0, function);
        self
    }

    /// The same with another rule for when memory is pinned.
    #[must_use]
    pub fn pinning(self, pinning: Pinning) -> Self {
        Self { policy: Policy::Safe(pinning), ..self }
    }

    /// The same, but what a job has named stays pinned for the next job that names it, as long as there is room.
    ///
    /// The kernel does not tell when memory is given back to it (`munmap`, `madvise`, a large `free`). What is mapped at the same address afterwards is
    /// other memory, and the device would go on with the old one: it would read what is out of date, and what it writes would be lost.
    ///
    /// # Safety
    /// The program gives no memory back to the system that a job has named, as long as the device is open.
    #[must_use]
    pub unsafe fn keeping_pins(self) -> Self {
        Self { policy: Policy::Keep, ..self }
    }

    /// What was done to make memory reachable for a device that this process has open.
    #[must_use]
    pub fn counts(&self, device: &str) -> Option<Counts> {
        let entry = self.find(device)?;
        let key = (entry.group_node().ok()?, entry.name());
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        Some(open.get(&key)?.upgrade()?.memory.counts())
    }

    fn find(&self, device: &str) -> Option<Entry> {
        self.tree.entries(&self.functions).into_iter().find(|entry| entry.name() == device)
    }

    /// The device, opened if this process does not have it open.
    fn device(&self, entry: &Entry) -> Result<Arc<OpenDevice>, TransportError> {
        let group =
            entry.group_node().map_err(|source| TransportError::System { call: "readlink of iommu_group", source })?;
        let key = (group, entry.name());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.get(&key).and_then(Weak::upgrade);
        // A child has its parent's.
        if let Some(device) = known.filter(|device| !device.is_lost() && device.fork.is_home()) {
            return Ok(device);
        }
        let device = self.take(&key.1, entry, &key.0)?;
        open.insert(key, Arc::downgrade(&device));
        Ok(device)
    }

    /// Opens a device by its group.
    fn take(&self, name: &str, entry: &Entry, group: &Path) -> Result<Arc<OpenDevice>, TransportError> {
        let container = Container::open(&entry.container_node(), group);
        let container = Arc::new(container.map_err(|error| refusal::of_group(name, error))?);
        let device = container.device(&entry.id).map_err(|error| refusal::of_device(name, error))?;
        let fork =
            ForkMark::new().map_err(|source| TransportError::System { call: "mmap of the fork mark", source })?;
        let memory = PinnedMemory::new(Box::new(container), fork.clone())
            .map_err(|source| TransportError::System { call: "VFIO_IOMMU_GET_INFO", source })?;
        OpenDevice::start(name, device, &*entry.function, memory, fork)
    }
}

impl Default for VfioBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for VfioBus {
    fn name(&self) -> &str {
        "vfio"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.tree.entries(&self.functions).iter().map(Entry::info).collect()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let none = || TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() };
        let entry = self.find(device).ok_or_else(none)?;
        Ok(Arc::new(VfioTransport::start(&self.device(&entry)?, self.policy)?))
    }
}
