//! An address space that queues of a device work in.

use std::io;
use std::sync::{Arc, Weak};

use uaccel_queue::{AddressMode, DeviceMemory, RingMemory, TransportError};

use super::arena::ArenaPages;
use super::memory::{JobMemory, PinnedMemory};
use super::on_demand::OnDemand;
use super::open_device::OpenDevice;
use super::pinning::Policy;
use super::refusal;
use super::unprotected;
use crate::sys::fork_mark::ForkMark;
use crate::sys::vfio::device::VfioDevice;
use crate::sys::vfio::iommufd::{self, BoundDevice, Ioas, Iommufd, Translation};

/// An address space that queues of a device work in.
#[derive(Debug)]
pub(super) struct Space {
    /// How the device sees it. Before the memory, which it is a translation of.
    _table: Option<Translation>,
    pub(super) memory: Arc<PinnedMemory>,
    /// Its name on the bus; the device's own if it is none.
    pub(super) pasid: Option<u32>,
    /// What is pinned on request, if that is how it is.
    on_demand: Option<Arc<OnDemand>>,
    /// Whether it is all of the machine's memory, for a device that passes on so many bits of an address.
    unprotected: Option<u32>,
    /// Told when this ends, if the device can have others.
    device: Weak<OpenDevice>,
}

/// Where a device gets address spaces by PASID.
#[derive(Debug)]
pub(super) struct Spaces {
    pub(super) iommufd: Arc<Iommufd>,
    pub(super) bound: BoundDevice,
    /// How many bits a PASID has.
    pub(super) bits: u8,
    /// How many bits of an address the device passes on.
    pub(super) address_bits: u32,
    /// Whether the device's page requests are answered.
    pub(super) on_request: bool,
    /// What it reaches without a PASID: an address space without mappings, kept as long as this.
    pub(super) _nothing: (Translation, Arc<Ioas>),
}

fn system(call: &'static str) -> impl Fn(io::Error) -> TransportError {
    move |source| TransportError::System { call, source }
}

impl Space {
    /// The device's own.
    pub(super) fn own(memory: Arc<PinnedMemory>) -> Self {
        Self { memory, pasid: None, on_demand: None, unprotected: None, _table: None, device: Weak::new() }
    }

    /// All of the machine's memory.
    pub(super) fn unprotected(memory: Arc<PinnedMemory>, address_bits: u32) -> Self {
        let mut space = Self::own(memory);
        space.unprotected = Some(address_bits);
        space
    }

    /// Memory that the device reaches all the time.
    pub(super) fn ring_memory(&self, len: usize, fork: &ForkMark) -> Result<RingMemory, TransportError> {
        match self.unprotected {
            Some(address_bits) => unprotected::ring_memory(len, address_bits, fork),
            None => Ok(ArenaPages::new(len, &self.memory, fork)?.into_ring_memory()),
        }
    }

    /// The memory of jobs, as a queue with this policy sees it, and what that makes of addresses. None of it, where the device's addresses do not go to the process's.
    pub(super) fn job_memory(&self, policy: Policy) -> (Option<Arc<dyn DeviceMemory>>, AddressMode) {
        if !self.memory.reach().has_process() {
            return (None, AddressMode::Bounced);
        }
        let mode = policy.address_mode(self.on_demand.is_some());
        match &self.on_demand {
            Some(on_demand) if mode == AddressMode::OnDemandPinned => (Some(on_demand.clone()), mode),
            _ => (Some(Arc::new(JobMemory { memory: self.memory.clone(), policy })), mode),
        }
    }

    /// Whether it is one of this device's.
    pub(super) fn is_of(&self, device: &Arc<OpenDevice>) -> bool {
        self.device.ptr_eq(&Arc::downgrade(device))
    }
}

/// The device does not see it any more. Its queues were taken away before.
impl Drop for Space {
    fn drop(&mut self) {
        if let (Some(device), Some(pasid)) = (self.device.upgrade(), self.pasid) {
            device.detach(pasid);
        }
    }
}

impl Spaces {
    /// Makes an address space without mappings, and attaches the device to it by a PASID.
    pub(super) fn attach(
        &self,
        name: &str,
        device: &VfioDevice,
        pasid: u32,
        fork: &ForkMark,
        owner: Weak<OpenDevice>,
    ) -> Result<Space, TransportError> {
        let refused = |call| move |error| refusal::of_pasid(name, call, error);
        let Self { iommufd, bound, .. } = self;
        let ioas = Ioas::new(iommufd).map_err(system("IOMMU_IOAS_ALLOC"))?;
        let faults = self.on_request.then(|| iommufd.fault_queue()).transpose();
        let faults = faults.map_err(refused("IOMMU_FAULT_QUEUE_ALLOC"))?;
        let table = iommufd.translation(*bound, &ioas, faults.as_ref()).map_err(refused("IOMMU_HWPT_ALLOC"))?;
        iommufd::attach(device, table.table(), Some(pasid)).map_err(refused("VFIO_DEVICE_ATTACH_IOMMUFD_PT"))?;
        let used = || {
            // Attaching has narrowed what can be mapped, so this is asked for only now.
            let memory = PinnedMemory::new(Box::new(Arc::new(ioas)), self.address_bits, fork.clone());
            let memory = Arc::new(memory.map_err(system("IOMMU_IOAS_IOVA_RANGES"))?);
            let on_demand = faults.map(|faults| OnDemand::start(memory.clone(), faults)).transpose();
            Ok((memory, on_demand.map_err(system("start of a thread"))?))
        };
        let (memory, on_demand) = used().inspect_err(|_: &TransportError| {
            // Whoever comes next gets this number.
            if let Err(error) = iommufd::detach(device, pasid) {
                tracing::error!(device = name, pasid, %error, "the device stays attached to an address space");
            }
        })?;
        Ok(Space { memory, pasid: Some(pasid), on_demand, unprotected: None, _table: Some(table), device: owner })
    }
}
