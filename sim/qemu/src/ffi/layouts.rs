//! Structures of QEMU that we make or look into, as far as we look. Each names the header that declares it; they are those of QEMU 11.1 and hold for x86-64.

use core::ffi::{c_char, c_int, c_uint, c_void};

/// `qom/object.h`. Sizes of 0 are inherited from the parent.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct TypeInfo {
    pub(crate) name: *const c_char,
    pub(crate) parent: *const c_char,
    pub(crate) instance_size: usize,
    pub(crate) instance_align: usize,
    pub(crate) instance_init: *const c_void,
    pub(crate) instance_post_init: *const c_void,
    pub(crate) instance_finalize: *const c_void,
    pub(crate) is_abstract: bool,
    pub(crate) class_size: usize,
    pub(crate) class_init: Option<extern "C" fn(*mut c_void, *const c_void)>,
    pub(crate) class_base_init: *const c_void,
    pub(crate) class_data: *const c_void,
    pub(crate) interfaces: *const InterfaceInfo,
}

/// `qom/object.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct InterfaceInfo {
    pub(crate) name: *const c_char,
}

/// `hw/core/qdev.h`: `DeviceClass`, which begins with an `ObjectClass` of 96 bytes.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct DeviceClass {
    pub(crate) object_class: [u64; 12],
    pub(crate) categories: u64,
    pub(crate) fw_name: *const c_char,
    pub(crate) description: *const c_char,
    pub(crate) properties: *const c_void,
    pub(crate) properties_count: u16,
    pub(crate) user_creatable: bool,
    pub(crate) hotpluggable: bool,
    pub(crate) legacy_reset: *const c_void,
    pub(crate) realize: *const c_void,
    pub(crate) unrealize: *const c_void,
    pub(crate) sync_config: *const c_void,
    pub(crate) migration: *const c_void,
    pub(crate) bus_type: *const c_char,
}

impl DeviceClass {
    /// The category under which `-device help` lists it: `DEVICE_CATEGORY_MISC`.
    pub(crate) const MISC: u64 = 1 << 7;
}

/// `hw/pci/pci_device.h`: `PCIDeviceClass`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PciDeviceClass {
    pub(crate) parent: DeviceClass,
    pub(crate) realize: Option<extern "C" fn(*mut c_void, *mut *mut c_void)>,
    pub(crate) exit: *const c_void,
    pub(crate) config_read: *const c_void,
    pub(crate) config_write: *const c_void,
    pub(crate) vendor: u16,
    pub(crate) device: u16,
    pub(crate) revision: u8,
    pub(crate) class: u16,
    pub(crate) subsystem_vendor: u16,
    pub(crate) subsystem: u16,
    pub(crate) rom: *const c_char,
}

const _: () = {
    assert!(core::mem::offset_of!(DeviceClass, bus_type) == 176 && size_of::<DeviceClass>() == 184);
    assert!(core::mem::offset_of!(PciDeviceClass, realize) == 184);
    assert!(core::mem::offset_of!(PciDeviceClass, vendor) == 216);
};

/// `system/memory.h`: `MemoryRegion`, of which we only need that it fits. Accessed with aligned vector instructions by QEMU.
#[repr(C, align(64))]
pub(crate) struct Region([u8; 4096]);

impl Region {
    /// A region that is not initialised yet.
    pub(crate) const fn new() -> Self {
        Self([0; 4096])
    }
}

impl core::fmt::Debug for Region {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Region").finish_non_exhaustive()
    }
}

/// `system/memory.h`: `MemoryRegionSection`, of which we only need the beginning, and that it fits: it is returned in memory.
#[repr(C, align(16))]
#[derive(Debug)]
pub(crate) struct RegionSection {
    pub(crate) size: [u64; 2],
    pub(crate) region: *mut c_void,
    pub(crate) view: *mut c_void,
    /// Where in the region it begins.
    pub(crate) offset: u64,
    pub(crate) rest: [u64; 27],
}

/// `system/memory.h`: `MemoryRegionOps`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct MemoryRegionOps {
    read: Option<Read>,
    write: Option<Write>,
    read_with_attributes: *const c_void,
    write_with_attributes: *const c_void,
    endianness: c_int,
    pub(crate) valid: Valid,
    pub(crate) implemented: Implemented,
}

/// Reads at an offset, with a size.
pub(crate) type Read = extern "C" fn(*mut c_void, u64, c_uint) -> u64;
/// Writes at an offset a value, with a size.
pub(crate) type Write = extern "C" fn(*mut c_void, u64, u64, c_uint);

impl MemoryRegionOps {
    /// `DEVICE_LITTLE_ENDIAN`.
    const LITTLE_ENDIAN: c_int = 2;
    /// The widest access.
    const WIDEST: c_uint = 8;

    /// Aligned accesses of `narrowest` to 8 bytes, each made as the guest makes it: of a wider answer QEMU would take the low half, whichever half was asked for.
    pub(crate) const fn new(read: Read, write: Write, narrowest: c_uint) -> Self {
        Self {
            read: Some(read),
            write: Some(write),
            read_with_attributes: core::ptr::null(),
            write_with_attributes: core::ptr::null(),
            endianness: Self::LITTLE_ENDIAN,
            valid: Valid { min: narrowest, max: Self::WIDEST, unaligned: false, accepts: core::ptr::null() },
            implemented: Implemented { min: narrowest, max: Self::WIDEST, unaligned: false },
        }
    }
}

/// Which accesses a guest may make.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Valid {
    pub(crate) min: c_uint,
    pub(crate) max: c_uint,
    pub(crate) unaligned: bool,
    pub(crate) accepts: *const c_void,
}

/// Which accesses the functions can make; QEMU puts others together.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Implemented {
    pub(crate) min: c_uint,
    pub(crate) max: c_uint,
    pub(crate) unaligned: bool,
}

const _: () = {
    assert!(core::mem::offset_of!(MemoryRegionOps, valid) == 40 && size_of::<MemoryRegionOps>() == 80);
};

/// `migration/vmstate.h`: `VMStateDescription`, as far as it says that there can be none. The rest is zeros.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) name: *const c_char,
    pub(crate) unmigratable: bool,
    pub(crate) rest: [u64; 30],
}

// SAFETY: a constant of the plug-in that QEMU reads; the pointer in it is to a constant.
unsafe impl Sync for Migration {}
// SAFETY: both are constants of the plug-in that QEMU reads; the pointers in them are to constants.
unsafe impl Sync for MemoryRegionOps {}
// SAFETY: as above.
unsafe impl Sync for TypeInfo {}
// SAFETY: as above.
unsafe impl Sync for InterfaceInfo {}

/// `system/memory.h`: `IOMMUTLBEntry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct IommuTlbEntry {
    pub(crate) target: *mut c_void,
    pub(crate) address: u64,
    pub(crate) translated: u64,
    pub(crate) mask: u64,
    pub(crate) permission: c_int,
    pub(crate) pasid: u32,
}

impl IommuTlbEntry {
    /// `IOMMU_RO`.
    pub(crate) const READ: c_int = 1;
    /// `IOMMU_WO`.
    pub(crate) const WRITE: c_int = 2;

    /// An entry with nothing in it.
    pub(crate) const EMPTY: Self =
        Self { target: core::ptr::null_mut(), address: 0, translated: 0, mask: 0, permission: 0, pasid: 0 };
}

const _: () = assert!(size_of::<IommuTlbEntry>() == 40);

/// `system/memory.h`: `IOMMUNotifier`, 64 bytes that QEMU fills in and we do not look at, and room in case it grows.
#[repr(C, align(16))]
#[derive(Debug)]
pub(crate) struct IommuNotifier([u64; 16]);

impl IommuNotifier {
    /// One that is not initialised yet.
    pub(crate) const EMPTY: Self = Self([0; 16]);
}

/// `system/memory.h`: `IOMMUPRINotifier`, and room in case it grows.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PriNotifier {
    pub(crate) notify: extern "C" fn(*mut PriNotifier, *mut PriResponse),
    pub(crate) room: [u64; 8],
}

/// `system/memory.h`: `IOMMUPRIResponse`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct PriResponse {
    /// 0 is success.
    pub(crate) code: c_int,
    pub(crate) group: u16,
}

/// `qapi/qapi-types-control.h`: `VersionInfo`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct VersionInfo {
    pub(crate) triple: *mut VersionTriple,
    pub(crate) package: *mut c_char,
}

/// `qapi/qapi-types-control.h`: `VersionTriple`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct VersionTriple {
    pub(crate) major: i64,
    pub(crate) minor: i64,
    pub(crate) micro: i64,
}
