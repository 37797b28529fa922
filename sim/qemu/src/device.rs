//! The PCI function: what QEMU makes for `-device warp`.

use core::ffi::{CStr, c_int, c_uint, c_void};
use std::ffi::CString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use uaccel_sim::Warp;
use uaccel_warp_abi::pci;

use crate::ffi::{
    DeviceClass, Functions, Implemented, InterfaceInfo, MemoryRegionOps, Migration, PciDeviceClass, Region, TypeInfo,
    Valid, Version,
};
use crate::host::Host;
use crate::options::Options;
use crate::overlay;
use crate::stock::{PRI_CAPABILITY, Qemu, WarpHost};
use crate::trace::Trace;

/// Offsets of the capabilities in configuration space.
const PCIE_CAPABILITY: u8 = 0x80;
const ATS_CAPABILITY: u16 = 0x100;
const PASID_CAPABILITY: u16 = 0x110;
/// Page requests the function could have out.
const PAGE_REQUESTS: u32 = 64;
/// `PCI_BASE_ADDRESS_MEM_TYPE_64`.
const MEMORY_64: u8 = 0x04;

/// What all functions are made with.
struct Setup {
    functions: &'static Functions,
    version: Version,
    options: Options,
}

static SETUP: OnceLock<Setup> = OnceLock::new();

/// The functions there are, by the address of their `PCIDevice`.
static HOSTS: Mutex<Vec<(usize, &'static WarpHost)>> = Mutex::new(Vec::new());

static INTERFACES: [InterfaceInfo; 2] =
    [InterfaceInfo { name: c"pci-express-device".as_ptr() }, InterfaceInfo { name: core::ptr::null() }];

static TYPE: TypeInfo = TypeInfo {
    name: c"warp".as_ptr(),
    parent: c"pci-device".as_ptr(),
    instance_size: 0,
    instance_align: 0,
    instance_init: core::ptr::null(),
    instance_post_init: core::ptr::null(),
    instance_finalize: core::ptr::null(),
    is_abstract: false,
    class_size: 0,
    class_init: Some(class_init),
    class_base_init: core::ptr::null(),
    class_data: core::ptr::null(),
    interfaces: INTERFACES.as_ptr(),
};

static PAGES: MemoryRegionOps = MemoryRegionOps {
    read: Some(read),
    write: Some(write),
    read_with_attributes: core::ptr::null(),
    write_with_attributes: core::ptr::null(),
    endianness: MemoryRegionOps::LITTLE_ENDIAN,
    // Registers are 64 bits and accessed as such.
    valid: Valid { min: 8, max: 8, unaligned: false, accepts: core::ptr::null() },
    implemented: Implemented { min: 8, max: 8, unaligned: false },
};

/// Jobs in flight are not state that could be saved.
static MIGRATION: Migration = Migration { name: c"warp".as_ptr(), unmigratable: true, rest: [0; 30] };

/// Makes the type `warp` known to QEMU; `false` if there is one already, from another copy of the plug-in.
pub(crate) fn register(functions: &'static Functions, version: Version, options: Options) -> bool {
    // SAFETY: the name is a C string.
    let known = unsafe { (functions.object_class_by_name)(TYPE.name) };
    if !known.is_null() || SETUP.set(Setup { functions, version, options }).is_err() {
        return false;
    }
    // SAFETY: a constant, with functions that fit the layouts of this version.
    unsafe { (functions.type_register_static)(&raw const TYPE) };
    true
}

extern "C" fn class_init(class: *mut c_void, _: *const c_void) {
    let Some(setup) = SETUP.get() else { return };
    // SAFETY: QEMU passes a new class whose parent is the PCI device's, laid out as `Version::check` found; nobody else uses it yet.
    let class = unsafe { &mut *class.cast::<PciDeviceClass>() };
    if let Err(error) = setup.version.check_bus("pci-device", &class.parent) {
        // There is no way to refuse here. A class without `realize` is a device that does nothing.
        let _ = writeln!(io::stderr(), "warp: {error}");
        return;
    }
    class.realize = Some(realize);
    class.vendor = pci::VENDOR;
    class.device = pci::DEVICE;
    class.revision = pci::REVISION;
    class.class = pci::CLASS;
    class.parent.description = c"Warp accelerator (PASID, ATS, PRI)".as_ptr();
    class.parent.categories |= DeviceClass::MISC;
    class.parent.hotpluggable = false;
    class.parent.migration = (&raw const MIGRATION).cast();
    // SAFETY: the class begins with a device class.
    unsafe { (setup.functions.device_class_set_legacy_reset)((&raw mut *class).cast(), reset) };
}

extern "C" fn realize(device: *mut c_void, error: *mut *mut c_void) {
    let Some(setup) = SETUP.get() else { return };
    if let Err(message) = build(setup, device, error) {
        fail(setup.functions, error, &message);
    }
}

/// Builds a function; an empty message if QEMU has set the error itself.
fn build(setup: &'static Setup, device: *mut c_void, error: *mut *mut c_void) -> Result<(), String> {
    let Setup { functions, options, version } = setup;
    check_memory(functions)
        .map_err(|found| format!("memory of QEMU {version} is not accessed as expected: {found}"))?;
    let model = Warp::new(options.engine).map_err(|error| error.to_string())?;
    let vectors = u16::try_from(options.engine.queues).map_err(|error| error.to_string())?;
    let emulator = Arc::new(Qemu::new(functions, device));
    let host = Host::new(model, emulator.clone(), options.workers, Trace::new(options.trace))
        .map_err(|error| format!("worker cannot be started: {error}"))?;
    // A function is never unplugged, so its host lives as long as QEMU.
    let host: &'static WarpHost = Box::leak(Box::new(host));
    emulator.connect(host);
    let opaque = core::ptr::from_ref(host).cast_mut().cast();
    let region = Box::into_raw(Box::new(Region::new()));
    // SAFETY: the device is being realized, under the big lock: capabilities do not overlap, region and host live for ever, and the operations take
    // the host they are given.
    unsafe {
        let position = (functions.pcie_endpoint_cap_init)(device, PCIE_CAPABILITY);
        if position < 0 {
            return Err(format!("PCI Express capability cannot be added: error {position}"));
        }
        (functions.pcie_ats_init)(device, ATS_CAPABILITY, true);
        (functions.pcie_pasid_init)(device, PASID_CAPABILITY, options.pasid_bits, false, false);
        (functions.pcie_pri_init)(device, PRI_CAPABILITY, PAGE_REQUESTS, true);
        let size = pci::pages_size(options.engine.queues) as u64;
        (functions.memory_region_init_io)(region, device, &raw const PAGES, opaque, c"warp-pages".as_ptr(), size);
        (functions.pci_register_bar)(device, c_int::from(pci::PAGES_BAR), MEMORY_64, region);
        if (functions.msix_init_exclusive_bar)(device, vectors, pci::MSIX_BAR, error) < 0 {
            return Err(String::new());
        }
        for vector in 0..c_uint::from(vectors) {
            (functions.msix_vector_use)(device, vector);
        }
    }
    overlay::lay(functions);
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner).push((device.addr(), host));
    Ok(())
}

/// Whether memory is accessed as expected: a word of the machine reads the same in one piece and as bytes.
fn check_memory(functions: &Functions) -> Result<(), String> {
    /// Where every machine has memory.
    const SOMEWHERE: u64 = 0x1000;
    let memory = functions.address_space_memory;
    let (mut bytes, mut result) = ([0; 8], 0);
    // SAFETY: the address space of the machine, under the big lock; the buffer is as long as said.
    let (copied, word) = unsafe {
        (
            (functions.address_space_rw)(memory, SOMEWHERE, 0, bytes.as_mut_ptr().cast(), bytes.len() as u64, false),
            (functions.address_space_ldq_le)(memory, SOMEWHERE, 0, &raw mut result),
        )
    };
    if copied == 0 && result == 0 && u64::from_le_bytes(bytes) == word {
        return Ok(());
    }
    Err(format!("{bytes:02x?} with result {copied}, {word:#x} with result {result}"))
}

extern "C" fn reset(device: *mut c_void) {
    let hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
    let host = hosts.iter().find(|(address, _)| *address == device.addr()).map(|(_, host)| *host);
    drop(hosts);
    if let Some(host) = host {
        host.reset();
    }
}

extern "C" fn read(opaque: *mut c_void, offset: u64, _: c_uint) -> u64 {
    // SAFETY: `build` gave a host that lives for ever.
    let host = unsafe { &*opaque.cast::<WarpHost>() };
    usize::try_from(offset).map_or(0, |offset| host.read(offset))
}

extern "C" fn write(opaque: *mut c_void, offset: u64, value: u64, _: c_uint) {
    // SAFETY: `build` gave a host that lives for ever.
    let host = unsafe { &*opaque.cast::<WarpHost>() };
    if let Ok(offset) = usize::try_from(offset) {
        host.write(offset, value);
    }
}

/// Tells QEMU why the device cannot be made.
fn fail(functions: &Functions, error: *mut *mut c_void, message: &str) {
    if message.is_empty() {
        return;
    }
    let text = CString::new(message).unwrap_or_default();
    let (file, here): (&CStr, &CStr) = (c"uaccel-qemu", c"realize");
    // SAFETY: all are C strings, the format takes the one that follows; QEMU copies them.
    unsafe {
        (functions.error_setg_internal)(error, file.as_ptr(), 0, here.as_ptr(), c"%s".as_ptr(), text.as_ptr());
    }
}
