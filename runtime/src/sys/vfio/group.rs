//! Groups and containers: the way to a device under every kernel that has VFIO.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;

use super::chain::Chain;
use super::device::VfioDevice;
use super::{ioctl, ioctl_number, ioctl_words, size};
use crate::sys::uapi::vfio::{
    API_VERSION, CHECK_EXTENSION, DmaMap, DmaUnmap, GET_API_VERSION, GROUP_GET_DEVICE_FD, GROUP_GET_STATUS,
    GROUP_SET_CONTAINER, GroupStatus, IOMMU_GET_INFO, IOMMU_MAP_DMA, IOMMU_UNMAP_DMA, NOIOMMU, SET_IOMMU, TYPE1_V2,
    Type1Info,
};
use crate::vfio::{Mapper, Reach};

/// A container with one group, whose devices share one set of mappings. Dropping it ends all of them.
#[derive(Debug)]
pub(crate) struct Container {
    file: File,
    /// Keeps the group ours.
    group: File,
}

/// Why a group cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GroupError {
    /// The kernel's VFIO is another one.
    #[error("this kernel's VFIO has version {0}, not {API_VERSION}")]
    Version(i32),
    /// It cannot do it in this way.
    #[error("this kernel's VFIO has no type1v2 (module vfio_iommu_type1)")]
    NoType1,
    /// It gives no device without an IOMMU.
    #[error(
        "this kernel gives no device without an IOMMU (CONFIG_VFIO_NOIOMMU, and vfio.enable_unsafe_noiommu_mode=1)"
    )]
    NoUnprotected,
    /// Another member of the group has a driver of its own.
    #[error("another device of its IOMMU group is bound to a driver of the kernel's")]
    NotViable,
    /// A call failed.
    #[error("{call}")]
    Call { call: &'static str, source: io::Error },
}

fn call(call: &'static str) -> impl Fn(io::Error) -> GroupError {
    move |source| GroupError::Call { call, source }
}

impl Container {
    /// Opens a container and a group, and joins them under type1v2.
    pub(crate) fn open(container: &Path, group: &Path) -> Result<Self, GroupError> {
        Self::open_under(TYPE1_V2, container, group)
    }

    /// The same under no IOMMU at all: nothing can be mapped.
    pub(crate) fn open_unprotected(container: &Path, group: &Path) -> Result<Self, GroupError> {
        Self::open_under(NOIOMMU, container, group)
    }

    fn open_under(model: u64, container: &Path, group: &Path) -> Result<Self, GroupError> {
        let open = |path: &Path| File::options().read(true).write(true).open(path);
        let file = open(container).map_err(call("open of the VFIO container"))?;
        let version = ioctl_number(&file, GET_API_VERSION, 0).map_err(call("VFIO_GET_API_VERSION"))?;
        if version != API_VERSION {
            return Err(GroupError::Version(version));
        }
        if ioctl_number(&file, CHECK_EXTENSION, model).map_err(call("VFIO_CHECK_EXTENSION"))? == 0 {
            return Err(if model == NOIOMMU { GroupError::NoUnprotected } else { GroupError::NoType1 });
        }
        let group = open(group).map_err(call("open of the VFIO group"))?;
        let mut status = GroupStatus { argsz: size::<GroupStatus>(), flags: 0 };
        ioctl(&group, GROUP_GET_STATUS, &mut status).map_err(call("VFIO_GROUP_GET_STATUS"))?;
        if status.flags & GroupStatus::VIABLE == 0 {
            return Err(GroupError::NotViable);
        }
        let mut number = file.as_raw_fd();
        ioctl(&group, GROUP_SET_CONTAINER, &mut number).map_err(call("VFIO_GROUP_SET_CONTAINER"))?;
        ioctl_number(&file, SET_IOMMU, model).map_err(call("VFIO_SET_IOMMU"))?;
        Ok(Self { file, group })
    }

    /// Opens one of the group's devices, by the name it has on its bus.
    pub(crate) fn device(&self, name: &str) -> io::Result<VfioDevice> {
        let name = CString::new(name)?;
        // SAFETY: the command takes a string, which it only reads.
        let result = unsafe { libc::ioctl(self.group.as_raw_fd(), GROUP_GET_DEVICE_FD, name.as_ptr()) };
        let number = Errno::result(result)?;
        // SAFETY: a fresh descriptor that is ours; the kernel makes it close-on-exec.
        VfioDevice::new(unsafe { OwnedFd::from_raw_fd(number) })
    }
}

impl Mapper for Arc<Container> {
    fn reach(&self) -> io::Result<Reach> {
        let ask = |words: &mut [u64]| {
            words[0] = u64::try_from(size_of_val(words)).unwrap_or(u64::MAX);
            ioctl_words(&self.file, IOMMU_GET_INFO, words)
        };
        let mut words = vec![0; size_of::<Type1Info>() / size_of::<u64>()];
        ask(&mut words)?;
        let wanted = usize::try_from(words[0] & u64::from(u32::MAX)).unwrap_or(0);
        if wanted > size_of_val(words.as_slice()) {
            words.resize(wanted.min(1 << 16).div_ceil(size_of::<u64>()), 0);
            ask(&mut words)?;
        }
        #[allow(clippy::cast_possible_truncation, reason = "halves of words")]
        let (flags, cap_offset) = ((words[0] >> 32) as u32, words[2] as u32);
        let sizes = if flags & Type1Info::PGSIZES != 0 { words[1] } else { 0 };
        let caps = if flags & Type1Info::CAPS != 0 { cap_offset } else { 0 };
        let chain = Chain::new(words.iter().flat_map(|word| word.to_le_bytes()).collect(), caps);
        let ranges = chain.pairs(Type1Info::IOVA_RANGE).unwrap_or_else(|| vec![(0, u64::MAX)]);
        Ok(Reach {
            ranges: ranges.into_iter().map(|(first, last)| first..=last).collect(),
            page: 1usize.checked_shl(sizes.trailing_zeros()).unwrap_or(0).max(4096),
            left: chain.number(Type1Info::DMA_AVAIL),
        })
    }

    fn map(&self, iova: u64, start: usize, len: usize, write: bool) -> io::Result<()> {
        let flags = DmaMap::READ | if write { DmaMap::WRITE } else { 0 };
        let mut map = DmaMap { argsz: size::<DmaMap>(), flags, vaddr: start as u64, iova, size: len as u64 };
        ioctl(&self.file, IOMMU_MAP_DMA, &mut map)?;
        Ok(())
    }

    fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
        let mut unmap = DmaUnmap { argsz: size::<DmaUnmap>(), flags: 0, iova, size: len as u64 };
        ioctl(&self.file, IOMMU_UNMAP_DMA, &mut unmap)?;
        // It says how much it has unmapped, and that may be nothing.
        if unmap.size == len as u64 { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}
