//! The functions of QEMU that are called, found by name in the process the plug-in is loaded into.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use super::layouts::{
    IommuNotifier, IommuTlbEntry, MemoryRegionOps, PriNotifier, Region, RegionSection, TypeInfo, VersionInfo,
};

/// Opaque to us: `PCIDevice`, `AddressSpace`, `ObjectClass`, `Object`, `QEMUBH`, `Error`.
pub(crate) type Opaque = *mut c_void;

macro_rules! functions {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ty),* $(; $variadic:tt)?) $(-> $ret:ty)?;)*) => {
        /// The functions of QEMU that are called. Each is documented with the header that declares it.
        #[derive(Debug)]
        #[allow(non_snake_case, reason = "the names are QEMU's")]
        pub(crate) struct Functions {
            $($(#[$doc])* pub(crate) $name: unsafe extern "C" fn($($arg,)* $($variadic)?) $(-> $ret)?,)*
            /// `system/address-spaces.h`: the address space of the machine's memory.
            pub(crate) address_space_memory: Opaque,
        }

        impl Functions {
            /// Finds them all, or names those that are missing.
            #[allow(non_snake_case, reason = "the names are QEMU's")]
            fn find() -> Result<Self, Vec<&'static str>> {
                let mut missing = Vec::new();
                let mut find = |name: &'static CStr| {
                    // SAFETY: the name is a C string; looking up a symbol has no precondition.
                    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
                    if found.is_null() {
                        missing.push(name.to_str().unwrap_or_default());
                    }
                    found
                };
                $(let $name = find(
                    const {
                        match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("no name has a zero in it"),
                        }
                    },
                );)*
                let address_space_memory = find(c"address_space_memory");
                if !missing.is_empty() {
                    return Err(missing);
                }
                Ok(Self {
                    // SAFETY: not null, as just checked; a symbol of this name in a QEMU of the versions that `Version` admits is this
                    // function, with the signature its header declares.
                    $($name: unsafe {
                        core::mem::transmute::<
                            *mut c_void,
                            unsafe extern "C" fn($($arg,)* $($variadic)?) $(-> $ret)?,
                        >($name)
                    },)*
                    address_space_memory,
                })
            }
        }
    };
}

functions! {
    /// `qom/object.h`.
    fn type_register_static(*const TypeInfo) -> Opaque;
    /// `qom/object.h`.
    fn object_class_by_name(*const c_char) -> Opaque;
    /// `qom/object.h`: the only object of a type, or null.
    fn object_resolve_path_type(*const c_char, *const c_char, *mut bool) -> Opaque;
    /// `hw/core/qdev.h` (`hw/qdev-core.h` before 11).
    fn device_class_set_legacy_reset(Opaque, extern "C" fn(Opaque));
    /// `qapi/error.h`.
    fn error_setg_internal(*mut Opaque, *const c_char, c_int, *const c_char, *const c_char; ...);
    /// `qapi/qapi-commands-control.h`.
    fn qmp_query_version(*mut Opaque) -> *mut VersionInfo;
    /// `qapi/qapi-types-control.h`.
    fn qapi_free_VersionInfo(*mut VersionInfo);

    /// `system/memory.h`.
    fn memory_region_init_io(*mut Region, Opaque, *const MemoryRegionOps, Opaque, *const c_char, u64);
    /// `system/memory.h`.
    fn memory_region_add_subregion_overlap(Opaque, u64, *mut Region, c_int);
    /// `system/memory.h`.
    fn get_system_memory() -> Opaque;
    /// `system/memory.h`: region, offset, value, `MemOp`, attributes.
    fn memory_region_dispatch_read(Opaque, u64, *mut u64, c_uint, u64) -> u32;
    /// `system/memory.h`.
    fn memory_region_dispatch_write(Opaque, u64, u64, c_uint, u64) -> u32;
    /// `system/memory.h`: what is seen at an address of a region. The region found is kept.
    fn memory_region_find(Opaque, u64, u64) -> RegionSection;
    /// `system/memory.h`. `MemTxAttrs` is one word.
    fn address_space_rw(Opaque, u64, u64, *mut c_void, u64, bool) -> u32;
    /// `system/memory_ldst.h.inc`.
    fn address_space_ldq_le(Opaque, u64, u64, *mut u32) -> u64;
    /// `system/memory_ldst.h.inc`.
    fn address_space_stq_le(Opaque, u64, u64, u64, *mut u32);

    /// `hw/pci/pci.h`.
    fn pci_register_bar(Opaque, c_int, u8, *mut Region);
    /// `hw/pci/pci.h`.
    fn pci_default_read_config(Opaque, u32, c_int) -> u32;
    /// `hw/pci/pci.h`: bus and function, as the IOMMU's tables count them.
    fn pci_requester_id(Opaque) -> u16;
    /// `hw/pci/pci.h`: what the device's own accesses go through.
    fn pci_device_iommu_address_space(Opaque) -> Opaque;
    /// `hw/pci/msi.h`: device, offset, vectors, addresses of 64 bits, a mask for each vector, error.
    fn msi_init(Opaque, u8, c_uint, bool, bool, *mut Opaque) -> c_int;
    /// `hw/pci/msi.h`.
    fn msi_notify(Opaque, c_uint);
    /// `hw/pci/pcie.h`.
    fn pcie_endpoint_cap_init(Opaque, u8) -> c_int;
    /// `hw/pci/pcie.h`.
    fn pcie_ats_init(Opaque, u16, bool);
    /// `hw/pci/pcie.h`.
    fn pcie_pasid_init(Opaque, u16, u8, bool, bool);
    /// `hw/pci/pcie.h`.
    fn pcie_pri_init(Opaque, u16, u32, bool);
    /// `hw/pci/pcie.h`.
    fn pcie_pri_enabled(Opaque) -> bool;
    /// `hw/pci/msix.h`.
    fn msix_init_exclusive_bar(Opaque, u16, u8, *mut Opaque) -> c_int;
    /// `hw/pci/msix.h`.
    fn msix_vector_use(Opaque, c_uint);
    /// `hw/pci/msix.h`.
    fn msix_notify(Opaque, c_uint);

    /// `hw/pci/pci.h`: device, PASID, privileged, execute, address, length, no write, results, their number, errors among them.
    fn pci_ats_request_translation(Opaque, u32, bool, bool, u64, usize, bool, *mut IommuTlbEntry, usize, *mut u32) -> isize;
    /// `hw/pci/pci.h`: device, PASID, privileged, execute, address, last of its group, group, read, write.
    fn pci_pri_request_page(Opaque, u32, bool, bool, u64, bool, u16, bool, bool) -> c_int;
    /// `hw/pci/pci.h`.
    fn pci_pri_register_notifier(Opaque, u32, *mut PriNotifier) -> c_int;
    /// `hw/pci/pci.h`.
    fn pci_pri_unregister_notifier(Opaque, u32);
    /// `hw/pci/pci.h`.
    fn pci_iommu_init_iotlb_notifier(Opaque, *mut IommuNotifier, extern "C" fn(*mut IommuNotifier, *mut IommuTlbEntry), *mut c_void) -> c_int;
    /// `hw/pci/pci.h`.
    fn pci_iommu_register_iotlb_notifier(Opaque, u32, *mut IommuNotifier) -> c_int;
    /// `hw/pci/pci.h`.
    fn pci_iommu_unregister_iotlb_notifier(Opaque, u32, *mut IommuNotifier) -> c_int;

    /// `block/aio.h`.
    fn qemu_bh_new_full(extern "C" fn(*mut c_void), *mut c_void, *const c_char, *mut c_void) -> Opaque;
    /// `block/aio.h`.
    fn qemu_bh_schedule(Opaque);
}

// SAFETY: function addresses, and the address of a global whose use the functions synchronise with the big lock.
unsafe impl Send for Functions {}
// SAFETY: as above.
unsafe impl Sync for Functions {}

/// The functions, found once.
///
/// # Errors
/// The names of those that are missing.
pub(crate) fn functions() -> Result<&'static Functions, &'static [&'static str]> {
    static FOUND: OnceLock<Result<Functions, Vec<&'static str>>> = OnceLock::new();
    match FOUND.get_or_init(Functions::find) {
        Ok(functions) => Ok(functions),
        Err(missing) => Err(missing),
    }
}
