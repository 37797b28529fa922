//! With which QEMU the layouts hold.

use core::ffi::CStr;
use core::fmt;

use super::functions::Functions;
use super::layouts::{DeviceClass, PciDeviceClass, VersionInfo};

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: i64,
    minor: i64,
    micro: i64,
}

/// The versions the layouts were run with, first and last of each series.
const KNOWN: [(Version, Version); 1] = [(Version::new(11, 1, 0), Version::new(11, 1, i64::MAX))];

/// A device of every QEMU whose class can be compared with what its documentation says: name, vendor, device, class.
const WITNESSES: [(&CStr, u16, u16, u16); 3] =
    [(c"edu", 0x1234, 0x11e8, 0x00ff), (c"e1000e", 0x8086, 0x10d3, 0x0200), (c"VGA", 0x1234, 0x1111, 0x0300)];

/// Why this QEMU cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    #[error("QEMU does not say its version")]
    Unknown,
    #[error("QEMU {0} is older than 11.1: its emulated IOMMU has no PASID together with ATS and PRI")]
    TooOld(Version),
    #[error("QEMU {version} has none of the devices that could witness its layouts")]
    NoWitness { version: Version },
    #[error("QEMU {version} lays out device classes differently: {device} has {found} where {expected} is expected")]
    Layout { version: Version, device: &'static str, found: String, expected: String },
}

impl Version {
    const fn new(major: i64, minor: i64, micro: i64) -> Self {
        Self { major, minor, micro }
    }

    /// The version of the QEMU we are in.
    pub(crate) fn of(functions: &Functions) -> Result<Self, VersionError> {
        // SAFETY: no error is asked for; the answer is owned by us.
        let info: *mut VersionInfo = unsafe { (functions.qmp_query_version)(core::ptr::null_mut()) };
        // SAFETY: null, or a `VersionInfo`, whose fields begin with a pointer to the numbers in every version since 2.1.
        let triple = unsafe { info.as_ref().and_then(|info| info.triple.as_ref()) }.copied();
        if !info.is_null() {
            // SAFETY: it was made by QEMU for whoever asks, and is not used any more.
            unsafe { (functions.qapi_free_VersionInfo)(info) };
        }
        triple.map(|triple| Self::new(triple.major, triple.minor, triple.micro)).ok_or(VersionError::Unknown)
    }

    /// Whether the layouts were run with this version.
    pub(crate) fn is_known(self) -> bool {
        KNOWN.iter().any(|(first, last)| (*first..=*last).contains(&self))
    }

    /// Finds out whether the layouts of classes hold, by looking at devices whose numbers are known.
    pub(crate) fn check(self, functions: &Functions) -> Result<(), VersionError> {
        if self < Self::new(11, 1, 0) {
            return Err(VersionError::TooOld(self));
        }
        let mut seen = false;
        for (name, vendor, device, class) in WITNESSES {
            // SAFETY: a C string; the class of that type, or null.
            let found = unsafe { (functions.object_class_by_name)(name.as_ptr()) }.cast::<PciDeviceClass>();
            // SAFETY: a class, once made, is never freed or changed. That it is as large as ours is what `is_known` says, and for other versions
            // is hoped for: class structures grow.
            let Some(found) = (unsafe { found.as_ref() }) else { continue };
            seen = true;
            let name = name.to_str().unwrap_or_default();
            let numbers = |(vendor, device, class): (u16, u16, u16)| format!("{vendor:04x}:{device:04x} {class:04x}");
            let (found_numbers, expected) =
                (numbers((found.vendor, found.device, found.class)), numbers((vendor, device, class)));
            if found_numbers != expected {
                return Err(VersionError::Layout { version: self, device: name, found: found_numbers, expected });
            }
            if found.realize.is_none() {
                return Err(VersionError::Layout {
                    version: self,
                    device: name,
                    found: "nothing".to_owned(),
                    expected: "a function that realizes it".to_owned(),
                });
            }
            self.check_bus(name, &found.parent)?;
        }
        if seen { Ok(()) } else { Err(VersionError::NoWitness { version: self }) }
    }

    /// Whether a device class has the name of its bus where we look for it.
    pub(crate) fn check_bus(self, device: &'static str, class: &DeviceClass) -> Result<(), VersionError> {
        // The word is looked at before it is used as an address: with another layout it may be anything.
        let plausible = class.bus_type.addr() >= 1 << 16 && class.bus_type.addr() < 1 << 47;
        // SAFETY: in a class with this layout it is the name of the bus; with another one it is most likely another pointer of the class, which are all
        // to readable memory, and no more than four bytes are looked at.
        let found = plausible.then(|| unsafe { class.bus_type.cast::<[u8; 4]>().read_unaligned() });
        if found == Some(*b"PCI\0") {
            return Ok(());
        }
        Err(VersionError::Layout {
            version: self,
            device,
            found: format!("{:02x?}", found.unwrap_or_default()),
            expected: "the name of the PCI bus".to_owned(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}
