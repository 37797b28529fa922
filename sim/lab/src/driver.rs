//! The kernel drivers that the lab knows how to build, and what each needs of the machine.

use clap::ValueEnum;

use crate::error::LabError;
use crate::kernel_source::KernelSource;
use crate::module::Sources;

include!(concat!(env!("OUT_DIR"), "/module_sources.rs"));

/// A driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Driver {
    /// The Warp engine's
    Warp,
    /// The kernel's own hisi_qm and hisi_zip, with shared addresses, for a Kunpeng ZIP function
    HisiZip,
}

impl Driver {
    const ALL: [Self; 2] = [Self::Warp, Self::HisiZip];

    /// What QEMU calls the device.
    pub(crate) fn device(self) -> &'static str {
        match self {
            Self::Warp => "warp",
            Self::HisiZip => "hisi-zip",
        }
    }

    /// The driver of a device, in QEMU's words.
    pub(crate) fn of_device(words: &str) -> Option<Self> {
        let kind = words.split(',').next()?;
        Self::ALL.into_iter().find(|driver| driver.device() == kind)
    }

    /// Whether anything of it is the kernel's.
    pub(crate) fn is_of_kernel(self) -> bool {
        self == Self::HisiZip
    }

    /// What is built for it; `kernel` is for a driver of the kernel's.
    pub(crate) fn sources(self, kernel: Option<&KernelSource>) -> Result<Sources, LabError> {
        let ours = match self {
            Self::Warp => WARP,
            Self::HisiZip => HISI_ZIP,
        };
        if !ours.iter().any(|(name, _)| *name == "Kbuild") {
            return Err(LabError::NoModuleSources);
        }
        let mut sources = Sources::default();
        for (name, content) in ours {
            sources.add(name, *content);
        }
        if let Some(kernel) = kernel.filter(|_| self.is_of_kernel()) {
            kernel.add_hisi_zip(&mut sources)?;
        }
        Ok(sources)
    }

    /// Parameters of its modules, as the kernel's command line has them.
    pub(crate) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Warp => &[],
            // Shared addresses; without it nothing is offered to processes.
            Self::HisiZip => &["hisi_zip.uacce_mode=1"],
        }
    }

    /// With what the path of a node starts that is there when it has found its device; uacce counts all its devices in one. Warp's is left to the program: it may ask for a machine where there is none.
    pub(crate) fn node(self) -> Option<&'static str> {
        match self {
            Self::Warp => None,
            Self::HisiZip => Some("/dev/hisi_zip-"),
        }
    }

    /// Whether it asks for several interrupts by plain MSI, which x86 gives only where interrupts are remapped.
    pub(crate) fn remaps_interrupts(self) -> bool {
        self == Self::HisiZip
    }

    /// The method of the firmware that it resets its device with, if that is how it does it.
    pub(crate) fn reset_method(self) -> Option<[u8; 4]> {
        match self {
            Self::Warp => None,
            Self::HisiZip => Some(*b"ZRST"),
        }
    }
}

/// The header that modules for the Warp engine take their offsets from.
pub(crate) fn warp_headers() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    WARP.iter().copied().filter(|(name, _)| name.ends_with(".h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_by_its_first_word() {
        assert_eq!(Driver::of_device("warp"), Some(Driver::Warp));
        assert_eq!(Driver::of_device("hisi-zip,addr=5"), Some(Driver::HisiZip));
        assert_eq!(Driver::of_device("edu,id=warp"), None);
        assert_eq!(Driver::of_device("hisi-zipper"), None);
    }

    #[test]
    fn names_on_the_command_line_are_qemus() {
        for driver in Driver::ALL {
            assert_eq!(driver.to_possible_value().unwrap().get_name(), driver.device());
        }
    }
}
