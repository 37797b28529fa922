//! QEMU as the emulator: the calls behind [`Emulator`], and the notifiers that call back.

use core::ffi::{c_uint, c_void};
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::device::Interrupts;
use crate::emulator::{Emulator, NO_PASID, PAGE, Place, Refusal, Translation};
use crate::ffi::{Functions, IommuNotifier, IommuTlbEntry, PriNotifier, PriResponse};
use crate::function::Function;
use crate::iommu;

/// Offset of the PRI capability, and in it of the number of requests the system allows (PCI Express Base Specification 7.8.9).
pub(crate) const PRI_CAPABILITY: u16 = 0x120;
const PRI_ALLOCATION: u32 = PRI_CAPABILITY as u32 + 0x0c;
/// The command register of the function, and in it the bit that allows it to access memory (PCI Local Bus Specification 6.2.2).
const COMMAND: u32 = 0x04;
const BUS_MASTER: u32 = 1 << 2;

/// Offset of the MSI capability, and of its flags: enabled, and log2 of the vectors the system allows (PCI Local Bus Specification 6.8.1.3).
pub(crate) const MSI_CAPABILITY: u8 = 0x50;
const MSI_FLAGS: u32 = MSI_CAPABILITY as u32 + 2;
const MSI_ENABLED: u32 = 1 << 0;

/// How accesses without a PASID, to the function's own address space, go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnAccesses {
    /// By translations the function asks for (ATS).
    Translated,
    /// As they are: whatever stands between the function and memory translates them.
    Untranslated,
}

/// QEMU, as one function sees it.
pub(crate) struct Qemu {
    functions: &'static Functions,
    /// The `PCIDevice`. It is never unplugged.
    device: *mut c_void,
    interrupts: Interrupts,
    own_accesses: OwnAccesses,
    bottom_half: OnceLock<BottomHalf>,
    function: OnceLock<&'static dyn Function>,
    watches: Mutex<BTreeMap<u32, Watched>>,
    complained: AtomicBool,
}

// SAFETY: the device pointer is only passed to functions of QEMU, under its big lock; the bottom half may be scheduled from any thread.
unsafe impl Send for Qemu {}
// SAFETY: as above; everything else is synchronised itself.
unsafe impl Sync for Qemu {}

#[derive(Clone, Copy)]
struct BottomHalf(*mut c_void);

/// What the bottom half is given: a function, in one word.
struct Opaque(&'static dyn Function);

/// The notifiers of one address space, at an address that does not change while QEMU knows them.
#[repr(C)]
struct Watch {
    /// First, so that a pointer to it is one to the whole.
    pri: PriNotifier,
    iotlb: IommuNotifier,
    pasid: u32,
    function: &'static dyn Function,
}

/// A watch that QEMU knows.
struct Watched(*mut Watch);

impl Qemu {
    pub(crate) fn new(
        functions: &'static Functions,
        device: *mut c_void,
        interrupts: Interrupts,
        own_accesses: OwnAccesses,
    ) -> Self {
        Self {
            functions,
            device,
            interrupts,
            own_accesses,
            bottom_half: OnceLock::new(),
            function: OnceLock::new(),
            watches: Mutex::default(),
            complained: AtomicBool::new(false),
        }
    }

    /// Tells who is to be called, and begins to take [`schedule`](Emulator::schedule) seriously.
    pub(crate) fn connect(&self, function: &'static dyn Function) {
        let _ = self.function.set(function);
        let opaque = Box::into_raw(Box::new(Opaque(function))).cast();
        // SAFETY: `run` takes what is given as its argument, which lives for ever; the name is a C string.
        let bottom_half =
            unsafe { (self.functions.qemu_bh_new_full)(run, opaque, c"uaccel".as_ptr(), core::ptr::null_mut()) };
        let _ = self.bottom_half.set(BottomHalf(bottom_half));
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<u32, Watched>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether accesses to an address space go as they are.
    fn is_untranslated(&self, pasid: u32) -> bool {
        pasid == NO_PASID && self.own_accesses == OwnAccesses::Untranslated
    }

    /// Whether the IOMMU has an address space of that name for the function.
    fn is_present(&self, pasid: u32) -> bool {
        let Functions { pci_requester_id, address_space_ldq_le, address_space_memory: memory, .. } = *self.functions;
        // SAFETY: the device is alive and the big lock held.
        let requester = unsafe { pci_requester_id(self.device) };
        let word = |address| {
            let mut result = 0;
            // SAFETY: the address space of the machine, under the big lock.
            let word = unsafe { address_space_ldq_le(memory, address, 0, &raw mut result) };
            (result == 0).then_some(word)
        };
        iommu::is_present(word, requester, (pasid != NO_PASID).then_some(pasid))
    }

    fn config(&self, offset: u32, len: i32) -> u32 {
        // SAFETY: the device is alive; offset and length are inside of its configuration space.
        unsafe { (self.functions.pci_default_read_config)(self.device, offset, len) }
    }

    /// Whether an answer to a translation request is one for this page. If the layout of answers were another one, it would not be.
    fn is_sound(&self, page: u64, entry: &IommuTlbEntry) -> bool {
        let sound = !entry.target.is_null()
            && entry.mask >= PAGE - 1
            && entry.mask.wrapping_add(1) & entry.mask == 0
            && entry.address & !entry.mask == page & !entry.mask;
        if !sound && !self.complained.swap(true, Ordering::Relaxed) {
            let _ = writeln!(
                io::stderr(),
                "uaccel-qemu: this QEMU answers a translation request for {page:#x} with {entry:x?}, which cannot be; \
                 nothing is accessed on such answers"
            );
        }
        sound
    }
}

/// The bottom half.
extern "C" fn run(opaque: *mut c_void) {
    // SAFETY: `connect` gave one that lives for ever.
    let Opaque(function) = unsafe { &*opaque.cast::<Opaque>() };
    function.run();
}

/// An invalidation.
extern "C" fn invalidated(notifier: *mut IommuNotifier, entry: *mut IommuTlbEntry) {
    // SAFETY: QEMU calls with the notifier that was registered, a field of its watch, alive until it is unregistered; the pointer QEMU was given was
    // made from that to the whole watch.
    let watch = unsafe { &*notifier.byte_sub(core::mem::offset_of!(Watch, iotlb)).cast::<Watch>() };
    // SAFETY: QEMU passes an entry that is valid during the call.
    let entry = unsafe { *entry };
    // A range that cannot be is taken for everything: too much is forgotten rather than too little.
    let sound = entry.mask.wrapping_add(1) & entry.mask == 0;
    let (address, last) = if sound { (entry.address & !entry.mask, entry.mask) } else { (0, u64::MAX) };
    watch.function.invalidated(watch.pasid, address, last);
}

/// An answer to a page request.
extern "C" fn answered(notifier: *mut PriNotifier, response: *mut PriResponse) {
    // SAFETY: QEMU calls with the notifier that was registered, the first field of its watch, alive until it is unregistered.
    let watch = unsafe { &*notifier.cast::<Watch>() };
    // SAFETY: QEMU passes a response that is valid during the call.
    let response = unsafe { &*response };
    watch.function.page_response(watch.pasid, response.group, response.code == 0);
}

fn bus(result: u32) -> Result<(), Refusal> {
    if result == 0 { Ok(()) } else { Err(Refusal::Bus(result)) }
}

fn errno(result: i32) -> Result<(), Refusal> {
    if result < 0 { Err(Refusal::Refused(i64::from(result))) } else { Ok(()) }
}

impl Emulator for Qemu {
    fn translate(&self, pasid: u32, page: u64, write: bool) -> Result<Translation, Refusal> {
        if self.is_untranslated(pasid) {
            // SAFETY: the device is alive and the big lock held.
            let bus = unsafe { (self.functions.pci_device_iommu_address_space)(self.device) };
            let place = Place { memory: bus.expose_provenance(), address: page };
            return Ok(Translation { place, extent: PAGE, readable: true, writable: true });
        }
        if !self.is_present(pasid) {
            return Err(Refusal::NoSpace);
        }
        let mut entry = IommuTlbEntry::EMPTY;
        let mut errors = 0;
        // SAFETY: the device is alive and the big lock held; there is room for the one entry that is asked for.
        let count = unsafe {
            (self.functions.pci_ats_request_translation)(
                self.device,
                pasid,
                false,
                false,
                page,
                4096,
                !write,
                &raw mut entry,
                1,
                &raw mut errors,
            )
        };
        if count < 0 {
            return Err(Refusal::Refused(count as i64));
        }
        if count == 0 || errors != 0 || entry.permission == 0 {
            return Err(Refusal::Untranslated);
        }
        if !self.is_sound(page, &entry) {
            return Err(Refusal::Refused(-i64::from(libc::EPROTO)));
        }
        let address = entry.translated & !entry.mask | page & entry.mask;
        Ok(Translation {
            place: Place { memory: entry.target.expose_provenance(), address },
            extent: entry.mask.saturating_add(1),
            readable: entry.permission & IommuTlbEntry::READ != 0,
            writable: entry.permission & IommuTlbEntry::WRITE != 0,
        })
    }

    fn request_page(&self, pasid: u32, page: u64, group: u16, write: bool) -> Result<(), Refusal> {
        // SAFETY: the device is alive and the big lock held.
        let sent = errno(unsafe {
            (self.functions.pci_pri_request_page)(self.device, pasid, false, false, page, true, group, true, write)
        });
        // The IOMMU finds no entry for the PASID.
        sent.map_err(|refusal| match refusal {
            Refusal::Refused(number) if number == -i64::from(libc::EINVAL) => Refusal::NoSpace,
            other => other,
        })
    }

    fn page_request_allocation(&self) -> u32 {
        // SAFETY: the device is alive and the big lock held.
        let enabled = unsafe { (self.functions.pcie_pri_enabled)(self.device) };
        // A system that enables requests without allowing any allows one: it could not have meant none.
        if enabled { self.config(PRI_ALLOCATION, 4).max(1) } else { 0 }
    }

    fn watch(&self, pasid: u32) -> Result<(), Refusal> {
        if self.is_untranslated(pasid) {
            // Nothing is kept that could become invalid.
            return Ok(());
        }
        let Some(function) = self.function.get() else { return Err(Refusal::Refused(-i64::from(libc::ENODEV))) };
        let watch = Box::into_raw(Box::new(Watch {
            pri: PriNotifier { notify: answered, room: [0; 8] },
            iotlb: IommuNotifier::EMPTY,
            pasid,
            function: *function,
        }));
        let functions = self.functions;
        // SAFETY: the device is alive and the big lock held; the notifiers are in a box that is freed after they are unregistered, or if they
        // never were registered.
        let registered = unsafe {
            let iotlb = &raw mut (*watch).iotlb;
            errno((functions.pci_iommu_init_iotlb_notifier)(self.device, iotlb, invalidated, watch.cast()))
                .and_then(|()| errno((functions.pci_iommu_register_iotlb_notifier)(self.device, pasid, iotlb)))
                .and_then(|()| {
                    errno((functions.pci_pri_register_notifier)(self.device, pasid, &raw mut (*watch).pri)).inspect_err(
                        |_| {
                            (functions.pci_iommu_unregister_iotlb_notifier)(self.device, pasid, iotlb);
                        },
                    )
                })
        };
        if let Err(refusal) = registered {
            // SAFETY: made above by a box, and QEMU does not know it.
            drop(unsafe { Box::from_raw(watch) });
            return Err(refusal);
        }
        self.watches().insert(pasid, Watched(watch));
        Ok(())
    }

    fn unwatch(&self, pasid: u32) {
        let Some(Watched(watch)) = self.watches().remove(&pasid) else { return };
        // SAFETY: registered by `watch`, and the big lock is held. If QEMU has no IOMMU to unregister it from, it may still know the box, which then
        // stays.
        unsafe {
            (self.functions.pci_pri_unregister_notifier)(self.device, pasid);
            let iotlb = &raw mut (*watch).iotlb;
            if (self.functions.pci_iommu_unregister_iotlb_notifier)(self.device, pasid, iotlb) >= 0 {
                drop(Box::from_raw(watch));
            }
        }
    }

    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Refusal> {
        let memory = core::ptr::with_exposed_provenance_mut(place.memory);
        // SAFETY: the address space came from a translation that is valid, under the big lock; the buffer is as long as said.
        bus(unsafe {
            (self.functions.address_space_rw)(
                memory,
                place.address,
                0,
                into.as_mut_ptr().cast(),
                into.len() as u64,
                false,
            )
        })
    }

    fn write(&self, place: Place, from: &[u8]) -> Result<(), Refusal> {
        let memory = core::ptr::with_exposed_provenance_mut(place.memory);
        // SAFETY: as for `read`; when writing to memory QEMU only reads the buffer.
        bus(unsafe {
            (self.functions.address_space_rw)(
                memory,
                place.address,
                0,
                from.as_ptr().cast_mut().cast(),
                from.len() as u64,
                true,
            )
        })
    }

    fn load(&self, place: Place) -> Result<u64, Refusal> {
        let memory = core::ptr::with_exposed_provenance_mut(place.memory);
        let mut result = 0;
        // SAFETY: as for `read`.
        let value = unsafe { (self.functions.address_space_ldq_le)(memory, place.address, 0, &raw mut result) };
        bus(result).map(|()| value)
    }

    fn store(&self, place: Place, value: u64) -> Result<(), Refusal> {
        let memory = core::ptr::with_exposed_provenance_mut(place.memory);
        let mut result = 0;
        // SAFETY: as for `read`.
        unsafe { (self.functions.address_space_stq_le)(memory, place.address, value, 0, &raw mut result) };
        bus(result)
    }

    fn may_access(&self) -> bool {
        self.config(COMMAND, 2) & BUS_MASTER != 0
    }

    fn interrupt(&self, vector: usize) {
        let Ok(number) = c_uint::try_from(vector) else { return };
        match self.interrupts {
            Interrupts::MsiX { vectors, .. } if vector < usize::from(vectors) => {
                // SAFETY: the device is alive and the big lock held; it has this vector.
                unsafe { (self.functions.msix_notify)(self.device, number) };
            }
            Interrupts::Msi { .. } => {
                let flags = self.config(MSI_FLAGS, 2);
                // Others than the system allows must not be named.
                if flags & MSI_ENABLED != 0 && vector < 1 << (flags >> 4 & 7) {
                    // SAFETY: as above; the vector is among those that are enabled.
                    unsafe { (self.functions.msi_notify)(self.device, number) };
                }
            }
            Interrupts::MsiX { .. } => {}
        }
    }

    fn schedule(&self) {
        if let Some(BottomHalf(bottom_half)) = self.bottom_half.get() {
            // SAFETY: made by `connect`, never deleted; may be scheduled from any thread.
            unsafe { (self.functions.qemu_bh_schedule)(*bottom_half) };
        }
    }
}

impl fmt::Debug for Qemu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qemu").field("device", &self.device).finish_non_exhaustive()
    }
}
