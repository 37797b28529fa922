//! iommufd: `include/uapi/linux/iommufd.h` of Linux 7.3, and what `include/uapi/linux/vfio.h` has about it. Structures carry their own size.

use super::io;

const TYPE: u8 = b';';
const BASE: u8 = 0x80;

/// `IOMMU_DESTROY`.
pub(crate) const DESTROY: u64 = io(TYPE, BASE);
/// `IOMMU_IOAS_ALLOC`.
pub(crate) const IOAS_ALLOC: u64 = io(TYPE, BASE + 1);
/// `IOMMU_IOAS_IOVA_RANGES`.
pub(crate) const IOAS_IOVA_RANGES: u64 = io(TYPE, BASE + 4);
/// `IOMMU_IOAS_MAP`.
pub(crate) const IOAS_MAP: u64 = io(TYPE, BASE + 5);
/// `IOMMU_IOAS_UNMAP`.
pub(crate) const IOAS_UNMAP: u64 = io(TYPE, BASE + 6);
/// `IOMMU_HWPT_ALLOC`.
pub(crate) const HWPT_ALLOC: u64 = io(TYPE, BASE + 9);
/// `IOMMU_GET_HW_INFO`.
pub(crate) const GET_HW_INFO: u64 = io(TYPE, BASE + 10);
/// `IOMMU_FAULT_QUEUE_ALLOC`.
pub(crate) const FAULT_QUEUE_ALLOC: u64 = io(TYPE, BASE + 14);
/// `VFIO_DEVICE_BIND_IOMMUFD`.
pub(crate) const DEVICE_BIND: u64 = io(TYPE, 100 + 18);
/// `VFIO_DEVICE_ATTACH_IOMMUFD_PT`.
pub(crate) const DEVICE_ATTACH: u64 = io(TYPE, 100 + 19);
/// `VFIO_DEVICE_DETACH_IOMMUFD_PT`.
pub(crate) const DEVICE_DETACH: u64 = io(TYPE, 100 + 20);

/// `struct iommu_destroy`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Destroy {
    pub(crate) size: u32,
    pub(crate) id: u32,
}

/// `struct iommu_ioas_alloc`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IoasAlloc {
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) out_ioas_id: u32,
}

/// `struct iommu_iova_range`: first and last address.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IovaRange {
    pub(crate) start: u64,
    pub(crate) last: u64,
}

/// `struct iommu_ioas_iova_ranges`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IovaRanges {
    pub(crate) size: u32,
    pub(crate) ioas_id: u32,
    /// How many there is room for; and how many there are.
    pub(crate) num_iovas: u32,
    pub(crate) reserved: u32,
    /// Address of an array of [`IovaRange`].
    pub(crate) allowed_iovas: u64,
    pub(crate) out_iova_alignment: u64,
}

/// `struct iommu_ioas_map`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IoasMap {
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) ioas_id: u32,
    pub(crate) reserved: u32,
    pub(crate) user_va: u64,
    pub(crate) length: u64,
    pub(crate) iova: u64,
}

impl IoasMap {
    /// `IOMMU_IOAS_MAP_FIXED_IOVA`.
    pub(crate) const FIXED_IOVA: u32 = 1 << 0;
    /// `IOMMU_IOAS_MAP_WRITEABLE`.
    pub(crate) const WRITEABLE: u32 = 1 << 1;
    /// `IOMMU_IOAS_MAP_READABLE`.
    pub(crate) const READABLE: u32 = 1 << 2;
}

/// `struct iommu_ioas_unmap`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct IoasUnmap {
    pub(crate) size: u32,
    pub(crate) ioas_id: u32,
    pub(crate) iova: u64,
    pub(crate) length: u64,
}

/// `struct iommu_hwpt_alloc`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct HwptAlloc {
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) dev_id: u32,
    pub(crate) pt_id: u32,
    pub(crate) out_hwpt_id: u32,
    pub(crate) reserved: u32,
    pub(crate) data_type: u32,
    pub(crate) data_len: u32,
    pub(crate) data_uptr: u64,
    pub(crate) fault_id: u32,
    pub(crate) reserved2: u32,
}

impl HwptAlloc {
    /// `IOMMU_HWPT_FAULT_ID_VALID`.
    pub(crate) const FAULT_ID_VALID: u32 = 1 << 2;
    /// `IOMMU_HWPT_ALLOC_PASID`: it may be attached to PASIDs.
    pub(crate) const ALLOC_PASID: u32 = 1 << 3;
}

/// `struct iommu_hw_info`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct HwInfo {
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) dev_id: u32,
    pub(crate) data_len: u32,
    pub(crate) data_uptr: u64,
    pub(crate) out_data_type: u32,
    /// How many bits a PASID of the device's has; 0 if there are none.
    pub(crate) out_max_pasid_log2: u8,
    pub(crate) reserved: [u8; 3],
    pub(crate) out_capabilities: u64,
}

/// `struct iommu_fault_alloc`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct FaultAlloc {
    pub(crate) size: u32,
    pub(crate) flags: u32,
    pub(crate) out_fault_id: u32,
    pub(crate) out_fault_fd: u32,
}

/// `struct iommu_hwpt_pgfault`: a page request, as read from a fault queue.
#[derive(Clone, Copy, Debug, Default, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(C)]
pub(crate) struct PageFault {
    pub(crate) flags: u32,
    pub(crate) dev_id: u32,
    pub(crate) pasid: u32,
    pub(crate) grpid: u32,
    pub(crate) perm: u32,
    pub(crate) reserved: u32,
    pub(crate) addr: u64,
    pub(crate) length: u32,
    /// The name of the group of requests that it belongs to.
    pub(crate) cookie: u32,
}

impl PageFault {
    /// `IOMMU_PGFAULT_PERM_WRITE`.
    pub(crate) const WRITE: u32 = 1 << 1;
}

/// `struct iommu_hwpt_page_response`: the answer to a group, as written to a fault queue.
#[derive(Clone, Copy, Debug, Default, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(C)]
pub(crate) struct PageResponse {
    pub(crate) cookie: u32,
    pub(crate) code: u32,
}

impl PageResponse {
    /// `IOMMUFD_PAGE_RESP_SUCCESS`: the device tries again.
    pub(crate) const SUCCESS: u32 = 0;
    /// `IOMMUFD_PAGE_RESP_INVALID`: there is nothing.
    pub(crate) const INVALID: u32 = 1;
}

/// `struct vfio_device_bind_iommufd`, without the token that later kernels add.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Bind {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) iommufd: i32,
    pub(crate) out_devid: u32,
}

/// `struct vfio_device_attach_iommufd_pt`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Attach {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) pt_id: u32,
    pub(crate) pasid: u32,
}

impl Attach {
    /// `VFIO_DEVICE_ATTACH_PASID`.
    pub(crate) const PASID: u32 = 1 << 0;
    /// The size before there were PASIDs, which every kernel knows.
    pub(crate) const WITHOUT_PASID: u32 = 12;
}

/// `struct vfio_device_detach_iommufd_pt`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Detach {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) pasid: u32,
}

impl Detach {
    /// `VFIO_DEVICE_DETACH_PASID`.
    pub(crate) const PASID: u32 = 1 << 0;
}

const _: () = {
    assert!(IOAS_ALLOC == 0x3b81 && IOAS_IOVA_RANGES == 0x3b84 && IOAS_MAP == 0x3b85 && IOAS_UNMAP == 0x3b86);
    assert!(HWPT_ALLOC == 0x3b89 && GET_HW_INFO == 0x3b8a && FAULT_QUEUE_ALLOC == 0x3b8e);
    assert!(DEVICE_BIND == 0x3b76 && DEVICE_ATTACH == 0x3b77 && DEVICE_DETACH == 0x3b78 && DESTROY == 0x3b80);
    assert!(size_of::<Destroy>() == 8 && size_of::<Detach>() == 12);
    assert!(size_of::<IoasAlloc>() == 12 && size_of::<IovaRanges>() == 32 && size_of::<IovaRange>() == 16);
    assert!(size_of::<IoasMap>() == 40 && size_of::<IoasUnmap>() == 24);
    assert!(size_of::<HwptAlloc>() == 48 && std::mem::offset_of!(HwptAlloc, fault_id) == 40);
    assert!(size_of::<HwInfo>() == 40 && std::mem::offset_of!(HwInfo, out_max_pasid_log2) == 28);
    assert!(size_of::<FaultAlloc>() == 16 && size_of::<PageFault>() == 40 && size_of::<PageResponse>() == 8);
    assert!(std::mem::offset_of!(PageFault, addr) == 24 && std::mem::offset_of!(PageFault, cookie) == 36);
    assert!(size_of::<Bind>() == 16 && size_of::<Attach>() == 16);
};
