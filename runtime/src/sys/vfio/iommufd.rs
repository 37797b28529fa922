//! iommufd: address spaces that devices are attached to, by PASID or without.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::libc;
use zerocopy::{FromBytes, IntoBytes};

use super::device::VfioDevice;
use super::{ioctl, size};
use crate::sys::uapi::iommufd::{
    Attach, Bind, DESTROY, DEVICE_ATTACH, DEVICE_BIND, DEVICE_DETACH, Destroy, Detach, FAULT_QUEUE_ALLOC, FaultAlloc,
    GET_HW_INFO, HWPT_ALLOC, HwInfo, HwptAlloc, IOAS_ALLOC, IOAS_IOVA_RANGES, IOAS_MAP, IOAS_UNMAP, IoasAlloc, IoasMap,
    IoasUnmap, IovaRange, IovaRanges, PageFault, PageResponse,
};
use crate::vfio::{Mapper, Reach};

/// An open iommufd. Closing it ends what it has.
#[derive(Debug)]
pub(crate) struct Iommufd(File);

/// What a device is called by an iommufd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundDevice(u32);

/// What can be attached to a device: an address space, or a translation of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageTable(u32);

/// A translation of an address space for a device. Nothing is attached to it when it is dropped, or it goes with the iommufd.
#[derive(Debug)]
pub(crate) struct Translation {
    iommufd: Arc<Iommufd>,
    id: u32,
}

/// The address space that memory is mapped in.
#[derive(Debug)]
pub(crate) struct Ioas {
    iommufd: Arc<Iommufd>,
    id: u32,
}

/// Where page requests come, and are answered. It is dropped after the translations that it was given to, or goes with the iommufd.
#[derive(Debug)]
pub(crate) struct FaultQueue {
    /// Before the object, which cannot end while its file is open.
    file: File,
    object: FaultObject,
}

/// What a fault queue is called by its iommufd.
#[derive(Debug)]
struct FaultObject {
    iommufd: Arc<Iommufd>,
    id: u32,
}

/// A page that a device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRequest {
    pub(crate) address: u64,
    pub(crate) write: bool,
    /// Requests of one group are answered together.
    pub(crate) group: u32,
}

impl Iommufd {
    /// Opens the node.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self(File::options().read(true).write(true).open(path)?)))
    }

    /// Binds the device behind a node of its own; only then it answers anything.
    pub(crate) fn bind(&self, node: &Path) -> io::Result<(VfioDevice, BoundDevice)> {
        let file = File::options().read(true).write(true).open(node)?;
        let mut bind = Bind { argsz: size::<Bind>(), flags: 0, iommufd: self.0.as_raw_fd(), out_devid: 0 };
        ioctl(&file, DEVICE_BIND, &mut bind)?;
        Ok((VfioDevice::new(OwnedFd::from(file))?, BoundDevice(bind.out_devid)))
    }

    /// How many bits the device's PASIDs have; 0 if it has none that the IOMMU could enable.
    pub(crate) fn pasid_bits(&self, device: BoundDevice) -> io::Result<u8> {
        let mut info = HwInfo { size: size::<HwInfo>(), dev_id: device.0, ..HwInfo::default() };
        ioctl(&self.0, GET_HW_INFO, &mut info)?;
        Ok(info.out_max_pasid_log2)
    }

    /// Makes a translation of an address space for a device that can be attached with PASIDs beside it, with a queue for its page requests if one is given.
    pub(crate) fn translation(
        self: &Arc<Self>,
        device: BoundDevice,
        ioas: &Ioas,
        faults: Option<&FaultQueue>,
    ) -> io::Result<Translation> {
        let mut alloc = HwptAlloc {
            size: size::<HwptAlloc>(),
            flags: HwptAlloc::ALLOC_PASID,
            dev_id: device.0,
            pt_id: ioas.id,
            ..HwptAlloc::default()
        };
        if let Some(faults) = faults {
            alloc.flags |= HwptAlloc::FAULT_ID_VALID;
            alloc.fault_id = faults.object.id;
        }
        ioctl(&self.0, HWPT_ALLOC, &mut alloc)?;
        Ok(Translation { iommufd: self.clone(), id: alloc.out_hwpt_id })
    }

    /// Ends an object, if nothing uses it any more.
    fn destroy(&self, id: u32) {
        let mut destroy = Destroy { size: size::<Destroy>(), id };
        if let Err(error) = ioctl(&self.0, DESTROY, &mut destroy) {
            tracing::debug!(id, %error, "it ends with the iommufd");
        }
    }

    /// Makes a queue for page requests.
    pub(crate) fn fault_queue(self: &Arc<Self>) -> io::Result<FaultQueue> {
        let mut alloc = FaultAlloc { size: size::<FaultAlloc>(), ..FaultAlloc::default() };
        ioctl(&self.0, FAULT_QUEUE_ALLOC, &mut alloc)?;
        let number = i32::try_from(alloc.out_fault_fd).map_err(|_| io::ErrorKind::InvalidData)?;
        // SAFETY: a fresh descriptor that is ours; the kernel makes it close-on-exec.
        let file = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(FaultQueue { file: File::from(file), object: FaultObject { iommufd: self.clone(), id: alloc.out_fault_id } })
    }
}

/// Attaches a device: what it accesses, with this PASID or without one, is translated so from now on. Never PASID 0, which is the kernel's name for none.
pub(crate) fn attach(device: &VfioDevice, table: PageTable, pasid: Option<u32>) -> io::Result<()> {
    let mut attach = match pasid {
        None => Attach { argsz: Attach::WITHOUT_PASID, flags: 0, pt_id: table.0, pasid: 0 },
        Some(0) => return Err(io::ErrorKind::InvalidInput.into()),
        Some(pasid) => Attach { argsz: size::<Attach>(), flags: Attach::PASID, pt_id: table.0, pasid },
    };
    ioctl(device, DEVICE_ATTACH, &mut attach)?;
    Ok(())
}

/// Ends what [`attach`] did for a PASID: what the device accesses with it reaches nothing.
pub(crate) fn detach(device: &VfioDevice, pasid: u32) -> io::Result<()> {
    ioctl(device, DEVICE_DETACH, &mut Detach { argsz: size::<Detach>(), flags: Detach::PASID, pasid })?;
    Ok(())
}

impl Translation {
    /// It can be attached.
    pub(crate) fn table(&self) -> PageTable {
        PageTable(self.id)
    }
}

impl Drop for Translation {
    fn drop(&mut self) {
        self.iommufd.destroy(self.id);
    }
}

impl Drop for FaultObject {
    fn drop(&mut self) {
        self.iommufd.destroy(self.id);
    }
}

impl Drop for Ioas {
    fn drop(&mut self) {
        self.iommufd.destroy(self.id);
    }
}

impl Ioas {
    /// Makes an address space without mappings.
    pub(crate) fn new(iommufd: &Arc<Iommufd>) -> io::Result<Self> {
        let mut alloc = IoasAlloc { size: size::<IoasAlloc>(), ..IoasAlloc::default() };
        ioctl(&iommufd.0, IOAS_ALLOC, &mut alloc)?;
        Ok(Self { iommufd: iommufd.clone(), id: alloc.out_ioas_id })
    }

    /// It can be attached as it is.
    pub(crate) fn table(&self) -> PageTable {
        PageTable(self.id)
    }

    /// Whether a fixed number of ranges is enough room for all; says what there is.
    fn ranges(&self, room: u32) -> io::Result<(IovaRanges, Vec<IovaRange>)> {
        let mut ranges = vec![IovaRange::default(); usize::try_from(room).unwrap_or(0)];
        let mut ask = IovaRanges {
            size: size::<IovaRanges>(),
            ioas_id: self.id,
            num_iovas: room,
            allowed_iovas: ranges.as_mut_ptr().expose_provenance() as u64,
            ..IovaRanges::default()
        };
        match ioctl(&self.iommufd.0, IOAS_IOVA_RANGES, &mut ask) {
            Ok(_) => {}
            // There are more, and their number is told.
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {}
            Err(error) => return Err(error),
        }
        Ok((ask, ranges))
    }
}

impl Mapper for Arc<Ioas> {
    fn reach(&self) -> io::Result<Reach> {
        /// More than an IOMMU has holes.
        const MOST: u32 = 1 << 12;
        let (ask, _) = self.ranges(0)?;
        let (ask, ranges) = self.ranges(ask.num_iovas.min(MOST))?;
        Ok(Reach {
            ranges: ranges.into_iter().map(|range| range.start..=range.last).collect(),
            page: usize::try_from(ask.out_iova_alignment).unwrap_or(0).max(4096),
            left: None,
        })
    }

    fn map(&self, iova: u64, start: usize, len: usize, write: bool) -> io::Result<()> {
        let access = IoasMap::READABLE | if write { IoasMap::WRITEABLE } else { 0 };
        let mut map = IoasMap {
            size: size::<IoasMap>(),
            flags: IoasMap::FIXED_IOVA | access,
            ioas_id: self.id,
            reserved: 0,
            user_va: start as u64,
            length: len as u64,
            iova,
        };
        ioctl(&self.iommufd.0, IOAS_MAP, &mut map)?;
        Ok(())
    }

    fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
        let mut unmap = IoasUnmap { size: size::<IoasUnmap>(), ioas_id: self.id, iova, length: len as u64 };
        ioctl(&self.iommufd.0, IOAS_UNMAP, &mut unmap)?;
        Ok(())
    }
}

impl FaultQueue {
    /// Reads what devices ask for; there is something.
    pub(crate) fn read(&self) -> io::Result<Vec<PageRequest>> {
        // Groups are read whole, and a group is no larger than this.
        let mut bytes = vec![0; 256 * size_of::<PageFault>()];
        let len = (&self.file).read(&mut bytes)?;
        let requests = bytes[..len].chunks_exact(size_of::<PageFault>()).filter_map(|chunk| {
            let fault = PageFault::read_from_bytes(chunk).ok()?;
            let write = fault.perm & PageFault::WRITE != 0;
            Some(PageRequest { address: fault.addr, write, group: fault.cookie })
        });
        Ok(requests.collect())
    }

    /// Answers a group: the device tries again, or is told that there is nothing.
    pub(crate) fn answer(&self, group: u32, granted: bool) -> io::Result<()> {
        let code = if granted { PageResponse::SUCCESS } else { PageResponse::INVALID };
        (&self.file).write_all(PageResponse { cookie: group, code }.as_bytes())
    }
}

impl AsFd for FaultQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
