//! VFIO: `include/uapi/linux/vfio.h` of Linux 7.3. Structures carry their own size in `argsz`.

use super::io;

const TYPE: u8 = b';';
const BASE: u8 = 100;

/// `VFIO_API_VERSION`.
pub(crate) const API_VERSION: i32 = 0;
/// `VFIO_NOIOMMU_IOMMU`.
pub(crate) const NOIOMMU: u64 = 8;
/// `VFIO_TYPE1v2_IOMMU`.
pub(crate) const TYPE1_V2: u64 = 3;

/// `VFIO_GET_API_VERSION`.
pub(crate) const GET_API_VERSION: u64 = io(TYPE, BASE);
/// `VFIO_CHECK_EXTENSION`.
pub(crate) const CHECK_EXTENSION: u64 = io(TYPE, BASE + 1);
/// `VFIO_SET_IOMMU`.
pub(crate) const SET_IOMMU: u64 = io(TYPE, BASE + 2);
/// `VFIO_GROUP_GET_STATUS`.
pub(crate) const GROUP_GET_STATUS: u64 = io(TYPE, BASE + 3);
/// `VFIO_GROUP_SET_CONTAINER`.
pub(crate) const GROUP_SET_CONTAINER: u64 = io(TYPE, BASE + 4);
/// `VFIO_GROUP_GET_DEVICE_FD`.
pub(crate) const GROUP_GET_DEVICE_FD: u64 = io(TYPE, BASE + 6);
/// `VFIO_DEVICE_GET_INFO`.
pub(crate) const DEVICE_GET_INFO: u64 = io(TYPE, BASE + 7);
/// `VFIO_DEVICE_GET_REGION_INFO`.
pub(crate) const DEVICE_GET_REGION_INFO: u64 = io(TYPE, BASE + 8);
/// `VFIO_DEVICE_GET_IRQ_INFO`.
pub(crate) const DEVICE_GET_IRQ_INFO: u64 = io(TYPE, BASE + 9);
/// `VFIO_DEVICE_SET_IRQS`.
pub(crate) const DEVICE_SET_IRQS: u64 = io(TYPE, BASE + 10);
/// `VFIO_DEVICE_RESET`.
pub(crate) const DEVICE_RESET: u64 = io(TYPE, BASE + 11);
/// `VFIO_IOMMU_GET_INFO`, of a container.
pub(crate) const IOMMU_GET_INFO: u64 = io(TYPE, BASE + 12);
/// `VFIO_IOMMU_MAP_DMA`, of a container.
pub(crate) const IOMMU_MAP_DMA: u64 = io(TYPE, BASE + 13);
/// `VFIO_IOMMU_UNMAP_DMA`, of a container.
pub(crate) const IOMMU_UNMAP_DMA: u64 = io(TYPE, BASE + 14);

/// `struct vfio_info_cap_header`: one link of a chain of capabilities.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct CapHeader {
    pub(crate) id: u16,
    pub(crate) version: u16,
    /// Offset of the next one from the start of the structure that they follow; 0 at the end.
    pub(crate) next: u32,
}

/// `struct vfio_group_status`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct GroupStatus {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

impl GroupStatus {
    /// `VFIO_GROUP_FLAGS_VIABLE`: every device of the group is bound to VFIO, or to nothing.
    pub(crate) const VIABLE: u32 = 1 << 0;
}

/// `struct vfio_device_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct DeviceInfo {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) num_regions: u32,
    pub(crate) num_irqs: u32,
    pub(crate) cap_offset: u32,
    pub(crate) pad: u32,
}

impl DeviceInfo {
    /// `VFIO_DEVICE_FLAGS_RESET`: the function can be reset by itself.
    pub(crate) const RESET: u32 = 1 << 0;
    /// `VFIO_DEVICE_FLAGS_PCI`.
    pub(crate) const PCI: u32 = 1 << 1;
}

/// `struct vfio_region_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct RegionInfo {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) cap_offset: u32,
    pub(crate) size: u64,
    pub(crate) offset: u64,
}

impl RegionInfo {
    /// `VFIO_REGION_INFO_FLAG_MMAP`.
    pub(crate) const MMAP: u32 = 1 << 2;
    /// `VFIO_REGION_INFO_FLAG_CAPS`.
    pub(crate) const CAPS: u32 = 1 << 3;
    /// `VFIO_REGION_INFO_CAP_SPARSE_MMAP`: only parts can be mapped. Behind the header: a count (u32), 4 bytes reserved, and pairs of offset and
    /// size (u64 each).
    pub(crate) const SPARSE_MMAP: u16 = 1;
}

/// `VFIO_PCI_CONFIG_REGION_INDEX`.
pub(crate) const PCI_CONFIG_REGION: u32 = 7;

/// `struct vfio_irq_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IrqInfo {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) count: u32,
}

impl IrqInfo {
    /// `VFIO_IRQ_INFO_EVENTFD`.
    pub(crate) const EVENTFD: u32 = 1 << 0;
}

/// The indexes of a PCI device's interrupts (`VFIO_PCI_*_IRQ_INDEX`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PciIrq {
    /// The line that functions share.
    Intx = 0,
    /// Messages.
    Msi = 1,
    /// Messages from a table.
    Msix = 2,
    /// The kernel's word that the function has met an uncorrectable error.
    Err = 3,
    /// The kernel's request to give the device back.
    Req = 4,
}

/// `struct vfio_irq_set`, followed by data.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IrqSet {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) start: u32,
    pub(crate) count: u32,
}

impl IrqSet {
    /// `VFIO_IRQ_SET_DATA_NONE`: nothing follows.
    pub(crate) const DATA_NONE: u32 = 1 << 0;
    /// `VFIO_IRQ_SET_DATA_EVENTFD`: a descriptor (i32) per interrupt follows.
    pub(crate) const DATA_EVENTFD: u32 = 1 << 2;
    /// `VFIO_IRQ_SET_ACTION_UNMASK`.
    pub(crate) const ACTION_UNMASK: u32 = 1 << 4;
    /// `VFIO_IRQ_SET_ACTION_TRIGGER`.
    pub(crate) const ACTION_TRIGGER: u32 = 1 << 5;
}

/// `struct vfio_iommu_type1_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Type1Info {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iova_pgsizes: u64,
    pub(crate) cap_offset: u32,
    pub(crate) pad: u32,
}

impl Type1Info {
    /// `VFIO_IOMMU_INFO_PGSIZES`.
    pub(crate) const PGSIZES: u32 = 1 << 0;
    /// `VFIO_IOMMU_INFO_CAPS`.
    pub(crate) const CAPS: u32 = 1 << 1;
    /// `VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE`. Behind the header: a count (u32), 4 bytes reserved, and pairs of first and last address (u64 each).
    pub(crate) const IOVA_RANGE: u16 = 1;
    /// `VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL`. Behind the header: how many mappings can still be made (u32).
    pub(crate) const DMA_AVAIL: u16 = 3;
}

/// `struct vfio_iommu_type1_dma_map`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct DmaMap {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) vaddr: u64,
    pub(crate) iova: u64,
    pub(crate) size: u64,
}

impl DmaMap {
    /// `VFIO_DMA_MAP_FLAG_READ`.
    pub(crate) const READ: u32 = 1 << 0;
    /// `VFIO_DMA_MAP_FLAG_WRITE`.
    pub(crate) const WRITE: u32 = 1 << 1;
}

/// `struct vfio_iommu_type1_dma_unmap`, without a bitmap.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct DmaUnmap {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iova: u64,
    pub(crate) size: u64,
}

const _: () = {
    assert!(GET_API_VERSION == 0x3b64 && CHECK_EXTENSION == 0x3b65 && SET_IOMMU == 0x3b66);
    assert!(GROUP_GET_STATUS == 0x3b67 && GROUP_SET_CONTAINER == 0x3b68 && GROUP_GET_DEVICE_FD == 0x3b6a);
    assert!(DEVICE_GET_INFO == 0x3b6b && DEVICE_GET_REGION_INFO == 0x3b6c && DEVICE_GET_IRQ_INFO == 0x3b6d);
    assert!(DEVICE_SET_IRQS == 0x3b6e && DEVICE_RESET == 0x3b6f);
    assert!(IOMMU_GET_INFO == 0x3b70 && IOMMU_MAP_DMA == 0x3b71 && IOMMU_UNMAP_DMA == 0x3b72);
    assert!(size_of::<CapHeader>() == 8 && size_of::<GroupStatus>() == 8);
    assert!(size_of::<DeviceInfo>() == 24 && size_of::<RegionInfo>() == 32 && size_of::<IrqInfo>() == 16);
    assert!(size_of::<IrqSet>() == 20 && size_of::<Type1Info>() == 24);
    assert!(size_of::<DmaMap>() == 32 && size_of::<DmaUnmap>() == 24);
};
