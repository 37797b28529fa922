//! Devices that were given to user space.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nix::unistd::{AccessFlags, access};
use uaccel_drivers::edu::EduFunction;
use uaccel_drivers::function::Function;
use uaccel_drivers::virtio_crypto::VirtioCryptoFunction;
use uaccel_drivers::warp::WarpFunction;
use uaccel_queue::{Bus, DeviceInfo, SharedMemory, Transport, TransportError};

use super::arena::{self, ArenaPages};
use super::discovery::{Entry, Tree};
use super::memory::{Counts, PinnedMemory};
use super::open_device::{OpenDevice, Taken};
use super::pinning::{Pinning, Policy};
use super::refusal;
use super::registration::{Registration, Wish};
use super::road::Road;
use super::space::{Space, Spaces};
use super::transport::VfioTransport;
use super::unprotected::NoMapper;
use crate::sys::fork_mark::ForkMark;
use crate::sys::vfio::group::Container;
use crate::sys::vfio::iommufd::{self, Ioas, Iommufd};
use crate::uacce::ROOT_VARIABLE;

/// Devices that were given to user space (VFIO). See the [module's page](super).
#[derive(Debug)]
pub struct VfioBus {
    tree: Tree,
    /// Whether devices that no IOMMU stands behind are opened.
    unprotected: bool,
    functions: Vec<Arc<dyn Function>>,
    policy: Policy,
    road: Road,
    /// The address spaces of this bus's own, by name of the device, if it has such.
    apart: Option<Mutex<BTreeMap<String, Weak<Space>>>>,
}

/// What this process has open, whichever bus has opened it.
static OPEN: Mutex<Open> = Mutex::new(Open { devices: BTreeMap::new(), registered: Vec::new() });

/// What a process has open.
#[derive(Debug)]
struct Open {
    /// By node of their group and by name: a device can be opened once, and all its queues share it.
    devices: BTreeMap<(PathBuf, String), Weak<OpenDevice>>,
    /// What all of them reach, also those that are opened later.
    registered: Vec<Wish>,
}

impl Open {
    fn lock() -> MutexGuard<'static, Self> {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The devices that are this process's, and there.
    fn usable(&self) -> impl Iterator<Item = Arc<OpenDevice>> {
        // A child has its parent's.
        let is_usable = |device: &Arc<OpenDevice>| !device.is_lost() && device.fork.is_home();
        self.devices.values().filter_map(Weak::upgrade).filter(is_usable)
    }

    /// Registers memory with all devices, those that come later included. Where that fails, what jobs name of it is pinned for the time of the job.
    fn register(&mut self, wish: Wish) {
        for device in self.usable() {
            register(&wish, &device);
        }
        self.registered.retain(|wish| wish.strong_count() > 0);
        self.registered.push(wish);
    }
}

fn register(wish: &Wish, device: &OpenDevice) {
    if let Some(Err(error)) = wish.upgrade().map(|range| range.add(&device.space.memory)) {
        tracing::warn!(device = device.name, %error, "memory cannot be registered");
    }
}

impl VfioBus {
    /// What it is called.
    pub(crate) const NAME: &str = "vfio";

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
            functions: vec![Arc::new(WarpFunction), Arc::new(EduFunction::default()), Arc::new(VirtioCryptoFunction)],
            policy: Policy::Safe(Pinning::default()),
            road: Road::default(),
            apart: None,
            unprotected: false,
        }
    }

    /// The same with one more kind of device.
    #[must_use]
    pub fn with_function(mut self, function: Arc<dyn Function>) -> Self {
        self.functions.insert(0, function);
        self
    }

    /// The same by one of the kernel's interfaces only. A device that this process has open by another one is busy.
    #[must_use]
    pub fn by(self, road: Road) -> Self {
        Self { road, ..self }
    }

    /// The same in an address space of its own: queues opened by this bus reach nothing that was mapped for others, and others nothing that was mapped for these. It takes a
    /// road with PASIDs; by others opening is refused. Such queues have no memory that stays registered.
    #[must_use]
    pub fn apart(self) -> Self {
        Self { apart: Some(Mutex::default()), ..self }
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

    /// The same with devices that no IOMMU stands behind, which the kernel gives only to who has `CAP_SYS_RAWIO`, where it was told to
    /// (`vfio.enable_unsafe_noiommu_mode=1`). They are called `unprotected-` and their name on their bus; data is copied through huge pages whose physical addresses they are told, which takes
    /// `CAP_SYS_ADMIN`.
    ///
    /// # Safety
    /// Such a device reaches all of the machine's memory: the kernel's, and everybody's. It is trusted, with its firmware and with whoever had it before; nothing moves huge pages of this process
    /// (`migrate_pages`, offlining of memory, contiguous allocations of the kernel); and when the process ends in the middle of a job, nothing stops the device from writing to memory that is somebody else's by then.
    #[must_use]
    pub unsafe fn unprotected(self) -> Self {
        Self { unprotected: true, ..self }
    }

    /// What was done to make memory reachable for a device that this process has open.
    #[must_use]
    pub fn counts(&self, device: &str) -> Option<Counts> {
        let entry = self.find(device)?;
        let key = (entry.group_node().ok()?, entry.name());
        let device = Open::lock().devices.get(&key)?.upgrade()?;
        let space = match &self.apart {
            None => device.space.clone(),
            Some(apart) => apart.lock().unwrap_or_else(PoisonError::into_inner).get(&device.name)?.upgrade()?,
        };
        Some(space.memory.counts())
    }

    fn find(&self, device: &str) -> Option<Entry> {
        self.tree.entries(&self.functions).into_iter().find(|entry| entry.name() == device)
    }

    /// The device, opened if this process does not have it open.
    fn device(&self, entry: &Entry) -> Result<Arc<OpenDevice>, TransportError> {
        let group =
            entry.group_node().map_err(|source| TransportError::System { call: "readlink of iommu_group", source })?;
        let key = (group, entry.name());
        let mut open = Open::lock();
        let known = open.devices.get(&key).and_then(Weak::upgrade);
        // A child has its parent's.
        if let Some(device) = known.filter(|device| !device.is_lost() && device.fork.is_home()) {
            let fits = self.road == Road::Best || self.road == device.road;
            return if fits { Ok(device) } else { Err(TransportError::Busy(key.1)) };
        }
        let device = OpenDevice::start(&key.1, &*entry.function, self.take(&key.1, entry, &key.0)?)?;
        open.registered.iter().for_each(|wish| register(wish, &device));
        open.devices.insert(key, Arc::downgrade(&device));
        Ok(device)
    }

    /// The address space that this bus's queues of a device work in.
    fn space(&self, device: &Arc<OpenDevice>) -> Result<Arc<Space>, TransportError> {
        let Some(apart) = &self.apart else { return Ok(device.space.clone()) };
        let mut apart = apart.lock().unwrap_or_else(PoisonError::into_inner);
        let known = apart.get(&device.name).and_then(Weak::upgrade);
        if let Some(space) = known.filter(|space| space.is_of(device)) {
            return Ok(space);
        }
        let space = device.apart()?;
        apart.insert(device.name.clone(), Arc::downgrade(&space));
        Ok(space)
    }

    /// A device to begin with that is to reach memory of the program's.
    fn first_of(&self, open: &Open) -> Result<Arc<OpenDevice>, TransportError> {
        let refused = |why: &str| TransportError::Refused(why.to_owned());
        if self.apart.is_some() {
            return Err(refused("what is registered is so for all, and this bus is apart"));
        }
        open.usable().next().ok_or_else(|| refused("no device that was given to user space is open"))
    }

    fn take(&self, name: &str, entry: &Entry, group: &Path) -> Result<Taken, TransportError> {
        let may = |path: &Path| access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok();
        if entry.is_unprotected() {
            return if self.unprotected { without_iommu(name, entry, group) } else { Err(refusal::unprotected(name)) };
        }
        let own = entry.own_node();
        match (self.road, &own) {
            (Road::Group, _) => by_group(name, entry, group),
            (Road::Best, Some(own)) if may(own) && may(&entry.iommufd_node()) => {
                by_own_node(name, entry, own, self.road)
            }
            (Road::Best, _) => by_group(name, entry, group),
            (road, Some(own)) => by_own_node(name, entry, own, road),
            (road, None) => {
                Err(TransportError::Refused(format!("{name} has no node of its own, so it cannot be opened by {road}")))
            }
        }
    }
}

fn system(call: &'static str) -> impl Fn(io::Error) -> TransportError {
    move |source| TransportError::System { call, source }
}

/// Opens a device by its group.
fn by_group(name: &str, entry: &Entry, group: &Path) -> Result<Taken, TransportError> {
    let container = Container::open(&entry.container_node(), group);
    let container = Arc::new(container.map_err(|error| refusal::of_group(name, error))?);
    let device = container.device(&entry.id).map_err(|error| refusal::of_device(name, error))?;
    let fork = ForkMark::new().map_err(system("mmap of the fork mark"))?;
    let memory = PinnedMemory::new(Box::new(container), entry.function.address_bits(), fork.clone());
    let memory = memory.map_err(system("VFIO_IOMMU_GET_INFO"))?;
    Ok(Taken { device, space: Space::own(Arc::new(memory)), spaces: None, road: Road::Group, fork })
}

/// Opens a device that no IOMMU stands behind.
fn without_iommu(name: &str, entry: &Entry, group: &Path) -> Result<Taken, TransportError> {
    let container = Container::open_unprotected(&entry.container_node(), group);
    let container = Arc::new(container.map_err(|error| refusal::of_group(name, error))?);
    let device = container.device(&entry.id).map_err(|error| refusal::of_device(name, error))?;
    tracing::warn!(device = name, "no IOMMU stands behind this device: all of the machine's memory is open to it");
    let fork = ForkMark::new().map_err(system("mmap of the fork mark"))?;
    let address_bits = entry.function.address_bits();
    let memory = PinnedMemory::new(Box::new(NoMapper { _container: container }), address_bits, fork.clone());
    let memory = memory.map_err(system("no mapper"))?;
    let space = Space::unprotected(Arc::new(memory), address_bits);
    Ok(Taken { device, space, spaces: None, road: Road::Group, fork })
}

/// Opens a device by its own node.
fn by_own_node(name: &str, entry: &Entry, node: &Path, road: Road) -> Result<Taken, TransportError> {
    /// The PASID of queues that want none for themselves. Any but 0 would do: they are the device's own.
    const PASID: u32 = 1;
    let iommufd = Iommufd::open(&entry.iommufd_node()).map_err(system("open of iommufd"))?;
    let (device, bound) = iommufd.bind(node).map_err(|error| refusal::of_binding(name, error))?;
    let bits = iommufd.pasid_bits(bound).map_err(system("IOMMU_GET_HW_INFO"))?;
    let road = match road {
        Road::Best if bits == 0 => Road::Cdev,
        Road::Best => Road::Pasid,
        road => road,
    };
    let fork = ForkMark::new().map_err(system("mmap of the fork mark"))?;
    let address_bits = entry.function.address_bits();
    let ioas = Arc::new(Ioas::new(&iommufd).map_err(system("IOMMU_IOAS_ALLOC"))?);
    if road == Road::Cdev {
        iommufd::attach(&device, ioas.table(), None).map_err(system("VFIO_DEVICE_ATTACH_IOMMUFD_PT"))?;
        // Attaching has narrowed what can be mapped, so this is asked for only now.
        let memory = PinnedMemory::new(Box::new(ioas), address_bits, fork.clone());
        let memory = memory.map_err(system("IOMMU_IOAS_IOVA_RANGES"))?;
        return Ok(Taken { device, space: Space::own(Arc::new(memory)), spaces: None, road, fork });
    }
    let refused = |call| move |error| refusal::of_pasid(name, call, error);
    // Without a PASID the device reaches nothing.
    let alone = iommufd.translation(bound, &ioas, None).map_err(refused("IOMMU_HWPT_ALLOC"))?;
    iommufd::attach(&device, alone.table(), None).map_err(refused("VFIO_DEVICE_ATTACH_IOMMUFD_PT"))?;
    let on_request = road == Road::OnDemand;
    let spaces = Spaces { iommufd, bound, bits, on_request, address_bits, _nothing: (alone, ioas) };
    let space = spaces.attach(name, &device, PASID, &fork, Weak::new())?;
    Ok(Taken { device, space, spaces: Some(spaces), road, fork })
}

impl Default for VfioBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for VfioBus {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mode = self.policy.address_mode(self.road == Road::OnDemand);
        self.tree.entries(&self.functions).iter().map(|entry| entry.info(mode, self.unprotected)).collect()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let none = || TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() };
        let entry = self.find(device).ok_or_else(none)?;
        let device = self.device(&entry)?;
        let space = self.space(&device)?;
        Ok(Arc::new(VfioTransport::start(&device, space, self.policy)?))
    }

    fn shared_memory(&self, len: usize) -> Result<SharedMemory, TransportError> {
        let mut open = Open::lock();
        let device = self.first_of(&open)?;
        let (memory, wish) = ArenaPages::new(len, &device.space.memory, &device.fork)?.into_shared_memory();
        open.register(wish);
        Ok(memory)
    }

    unsafe fn register(&self, start: NonNull<u8>, len: usize) -> Result<SharedMemory, TransportError> {
        let mut open = Open::lock();
        let device = self.first_of(&open)?;
        let registration = Registration::new(start.expose_provenance().get(), len);
        registration.add(&device.space.memory).map_err(arena::refused)?;
        open.register(registration.wish());
        // SAFETY: initialised memory that stays while the keeper lives, and nobody else's: the caller's promise.
        Ok(unsafe { SharedMemory::new(start, len, Arc::new(registration)) })
    }
}
