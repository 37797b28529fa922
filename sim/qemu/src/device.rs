//! PCI functions: what QEMU makes for `-device`, whatever kind of device it is.

mod hisi_zip;
mod warp;

use core::ffi::{CStr, c_int, c_uint, c_void};
use std::ffi::CString;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::ffi::{
    DeviceClass, Functions, InterfaceInfo, MemoryRegionOps, Migration, PciDeviceClass, Region, TypeInfo, Version,
};
use crate::function::Function;
use crate::iommu;
use crate::options::Options;
use crate::stock::{MSI_CAPABILITY, OwnAccesses, PRI_CAPABILITY, Qemu};

pub(crate) use hisi_zip::HisiZipDevice;
pub(crate) use warp::WarpDevice;

/// Offsets of the other capabilities in configuration space.
const PCIE_CAPABILITY: u8 = 0x80;
const ATS_CAPABILITY: u16 = 0x100;
const PASID_CAPABILITY: u16 = 0x110;
/// Page requests a function could have out.
const PAGE_REQUESTS: u32 = 64;
/// `PCI_BASE_ADDRESS_MEM_TYPE_64`.
const MEMORY_64: u8 = 0x04;

/// A type of device: what differs between them.
pub(crate) trait DeviceType: 'static {
    /// What QEMU calls it.
    const NAME: &'static CStr;
    /// What `-device help` says of it.
    const DESCRIPTION: &'static CStr;
    /// What the system knows it by.
    const IDENTITY: Identity;

    /// What the function has.
    fn plan(options: &Options) -> Result<Plan, String>;

    /// Makes one.
    fn build(options: &Options, emulator: Arc<Qemu>) -> Result<Box<dyn Function>, String>;
}

/// What the system knows a device by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) vendor: u16,
    pub(crate) device: u16,
    pub(crate) revision: u8,
    pub(crate) class: u16,
}

/// What a function has.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) bars: Vec<Bar>,
    pub(crate) interrupts: Interrupts,
    pub(crate) own_accesses: OwnAccesses,
}

/// A region of registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) number: u8,
    pub(crate) name: &'static CStr,
    /// Bytes, a power of two.
    pub(crate) size: u64,
    /// Bytes of the narrowest access, 4 or 8. The widest has 8.
    pub(crate) narrowest: u8,
}

/// How a function interrupts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interrupts {
    /// By MSI-X, with the table in a region of its own.
    MsiX { vectors: u16, bar: u8 },
    /// By MSI.
    Msi { vectors: u8 },
}

/// What all functions are made with.
struct Setup {
    functions: &'static Functions,
    version: Version,
    options: Options,
}

static SETUP: OnceLock<Setup> = OnceLock::new();

/// The functions there are, by the address of their `PCIDevice`.
static FUNCTIONS: Mutex<Vec<(usize, &'static dyn Function)>> = Mutex::new(Vec::new());

static INTERFACES: [InterfaceInfo; 2] =
    [InterfaceInfo { name: c"pci-express-device".as_ptr() }, InterfaceInfo { name: core::ptr::null() }];

static WIDE: MemoryRegionOps = MemoryRegionOps::new(read, write, 8);
static NARROW: MemoryRegionOps = MemoryRegionOps::new(read, write, 4);

/// What the operations of a region are given.
struct Registers {
    function: &'static dyn Function,
    bar: u8,
}

/// Readies the plug-in for types of devices; `false` if it was before, or if another copy of it knows `T`.
pub(crate) fn prepare<T: DeviceType>(functions: &'static Functions, version: Version, options: Options) -> bool {
    // SAFETY: the name is a C string.
    let known = unsafe { (functions.object_class_by_name)(T::NAME.as_ptr()) };
    known.is_null() && SETUP.set(Setup { functions, version, options }).is_ok()
}

/// Makes a type known to QEMU.
pub(crate) fn register<T: DeviceType>(functions: &Functions) {
    let info: &'static TypeInfo = Box::leak(Box::new(TypeInfo {
        name: T::NAME.as_ptr(),
        parent: c"pci-device".as_ptr(),
        instance_size: 0,
        instance_align: 0,
        instance_init: core::ptr::null(),
        instance_post_init: core::ptr::null(),
        instance_finalize: core::ptr::null(),
        is_abstract: false,
        class_size: 0,
        class_init: Some(class_init::<T>),
        class_base_init: core::ptr::null(),
        class_data: core::ptr::null(),
        interfaces: INTERFACES.as_ptr(),
    }));
    // SAFETY: it lives for ever, with functions that fit the layouts of this version.
    unsafe { (functions.type_register_static)(info) };
}

extern "C" fn class_init<T: DeviceType>(class: *mut c_void, _: *const c_void) {
    let Some(setup) = SETUP.get() else { return };
    // SAFETY: QEMU passes a new class whose parent is the PCI device's, laid out as `Version::check` found; nobody else uses it yet.
    let class = unsafe { &mut *class.cast::<PciDeviceClass>() };
    if let Err(error) = setup.version.check_bus("pci-device", &class.parent) {
        // There is no way to refuse here. A class without `realize` is a device that does nothing.
        let _ = writeln!(io::stderr(), "{}: {error}", T::NAME.to_string_lossy());
        return;
    }
    // Jobs in flight are not state that could be saved.
    let migration: &'static Migration =
        Box::leak(Box::new(Migration { name: T::NAME.as_ptr(), unmigratable: true, rest: [0; 30] }));
    class.realize = Some(realize::<T>);
    let Identity { vendor, device, revision, class: code } = T::IDENTITY;
    (class.vendor, class.device, class.revision, class.class) = (vendor, device, revision, code);
    class.parent.description = T::DESCRIPTION.as_ptr();
    class.parent.categories |= DeviceClass::MISC;
    class.parent.hotpluggable = false;
    class.parent.migration = core::ptr::from_ref(migration).cast();
    // SAFETY: the class begins with a device class.
    unsafe { (setup.functions.device_class_set_legacy_reset)((&raw mut *class).cast(), reset) };
}

extern "C" fn realize<T: DeviceType>(device: *mut c_void, error: *mut *mut c_void) {
    let Some(setup) = SETUP.get() else { return };
    if let Err(message) = build::<T>(setup, device, error) {
        fail(setup.functions, error, &message);
    }
}

/// Builds a function; an empty message if QEMU has set the error itself.
fn build<T: DeviceType>(setup: &'static Setup, device: *mut c_void, error: *mut *mut c_void) -> Result<(), String> {
    let Setup { functions, options, version } = setup;
    check_memory(functions)
        .map_err(|found| format!("memory of QEMU {version} is not accessed as expected: {found}"))?;
    let plan = T::plan(options)?;
    let emulator = Arc::new(Qemu::new(functions, device, plan.interrupts, plan.own_accesses));
    // A function is never unplugged, so it lives as long as QEMU.
    let function: &'static dyn Function = Box::leak(T::build(options, emulator.clone())?);
    emulator.connect(function);
    // SAFETY: the device is being realized, under the big lock, and capabilities do not overlap.
    unsafe {
        let position = (functions.pcie_endpoint_cap_init)(device, PCIE_CAPABILITY);
        if position < 0 {
            return Err(format!("PCI Express capability cannot be added: error {position}"));
        }
        (functions.pcie_ats_init)(device, ATS_CAPABILITY, true);
        (functions.pcie_pasid_init)(device, PASID_CAPABILITY, options.pasid_bits, false, false);
        (functions.pcie_pri_init)(device, PRI_CAPABILITY, PAGE_REQUESTS, true);
    }
    for Bar { number, name, size, narrowest } in plan.bars {
        let region = Box::into_raw(Box::new(Region::new()));
        let registers = Box::into_raw(Box::new(Registers { function, bar: number })).cast();
        let operations = if narrowest == 8 { &raw const WIDE } else { &raw const NARROW };
        // SAFETY: the device is being realized, under the big lock; region and function live for ever, and the operations take what they are given.
        unsafe {
            (functions.memory_region_init_io)(region, device, operations, registers, name.as_ptr(), size);
            (functions.pci_register_bar)(device, c_int::from(number), MEMORY_64, region);
        }
    }
    // SAFETY: as above; the MSI capability does not overlap with others.
    unsafe {
        match plan.interrupts {
            Interrupts::MsiX { vectors, bar } => {
                if (functions.msix_init_exclusive_bar)(device, vectors, bar, error) < 0 {
                    return Err(String::new());
                }
                for vector in 0..c_uint::from(vectors) {
                    (functions.msix_vector_use)(device, vector);
                }
            }
            Interrupts::Msi { vectors } => {
                if (functions.msi_init)(device, MSI_CAPABILITY, c_uint::from(vectors), true, true, error) < 0 {
                    return Err(String::new());
                }
            }
        }
    }
    iommu::mend(functions);
    FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner).push((device.addr(), function));
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
    let functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let function = functions.iter().find(|(address, _)| *address == device.addr()).map(|(_, function)| *function);
    drop(functions);
    if let Some(function) = function {
        function.reset();
    }
}

extern "C" fn read(opaque: *mut c_void, offset: u64, size: c_uint) -> u64 {
    // SAFETY: `build` gave registers that live for ever.
    let Registers { function, bar } = unsafe { &*opaque.cast::<Registers>() };
    match (usize::try_from(offset), usize::try_from(size)) {
        (Ok(offset), Ok(size)) => function.read(*bar, offset, size),
        _ => 0,
    }
}

extern "C" fn write(opaque: *mut c_void, offset: u64, value: u64, size: c_uint) {
    // SAFETY: `build` gave registers that live for ever.
    let Registers { function, bar } = unsafe { &*opaque.cast::<Registers>() };
    if let (Ok(offset), Ok(size)) = (usize::try_from(offset), usize::try_from(size)) {
        function.write(*bar, offset, size, value);
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
