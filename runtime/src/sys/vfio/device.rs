//! A device's file: regions, configuration space, interrupts, reset.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::chain::Chain;
use super::{ioctl, ioctl_words, size};
use crate::sys::uapi::vfio::{
    CapHeader, DEVICE_GET_INFO, DEVICE_GET_IRQ_INFO, DEVICE_GET_REGION_INFO, DEVICE_RESET, DEVICE_SET_IRQS, DeviceInfo,
    IrqInfo, IrqSet, PCI_CONFIG_REGION, PciIrq, RegionInfo,
};

/// Offset of the command register in PCI configuration space (PCI Local Bus Specification 6.2.2).
const COMMAND: u64 = 4;
/// Its bit that lets the function answer at its memory addresses.
const MEMORY_SPACE: u16 = 1 << 1;
/// Its bit that lets the function access memory, and send interrupts as messages.
const BUS_MASTER: u16 = 1 << 2;

/// Bytes of configuration space that every PCI function has (PCI Local Bus Specification 6.1).
const CONFIGURATION: usize = 256;

/// More interrupts than a table of messages has entries (PCI Local Bus Specification 6.8.2).
const MOST_IRQS: usize = 2048;

/// An open device. The number of its descriptor stays the same, whatever becomes of the device.
#[derive(Debug)]
pub(crate) struct VfioDevice {
    file: File,
    info: DeviceInfo,
}

/// A piece of a device that can be accessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VfioRegion {
    pub(crate) size: u64,
    /// Where it begins in the device's file.
    pub(crate) offset: u64,
    /// Which parts of it can be mapped: offset and size of each.
    pub(crate) mappable: Vec<(u64, u64)>,
}

impl VfioDevice {
    /// Takes over a device's file.
    pub(crate) fn new(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let mut info = DeviceInfo { argsz: size::<DeviceInfo>(), ..DeviceInfo::default() };
        ioctl(&file, DEVICE_GET_INFO, &mut info)?;
        Ok(Self { file, info })
    }

    /// Whether it is a PCI function, with its configuration space and its kinds of interrupts.
    pub(crate) fn is_pci(&self) -> bool {
        self.info.flags & DeviceInfo::PCI != 0
    }

    /// What is known of a region.
    pub(crate) fn region(&self, index: u32) -> io::Result<VfioRegion> {
        let ask = |bytes: &mut [u64]| {
            let argsz = u32::try_from(size_of_val(bytes)).unwrap_or(u32::MAX);
            // The structure stands at the start of words, so that it is aligned.
            bytes[0] = u64::from(argsz);
            bytes[1] = u64::from(index);
            ioctl_words(&self.file, DEVICE_GET_REGION_INFO, bytes)
        };
        let mut words = vec![0; size_of::<RegionInfo>() / size_of::<u64>()];
        ask(&mut words)?;
        // It says how much room it wants.
        let wanted = usize::try_from(words[0] & u64::from(u32::MAX)).unwrap_or(0);
        if wanted > size_of_val(words.as_slice()) {
            words.resize(wanted.min(1 << 16).div_ceil(size_of::<u64>()), 0);
            ask(&mut words)?;
        }
        #[allow(clippy::cast_possible_truncation, reason = "halves of words")]
        let info = RegionInfo {
            argsz: words[0] as u32,
            flags: (words[0] >> 32) as u32,
            index: words[1] as u32,
            cap_offset: (words[1] >> 32) as u32,
            size: words[2],
            offset: words[3],
        };
        let mappable = if info.flags & RegionInfo::MMAP == 0 {
            Vec::new()
        } else if info.flags & RegionInfo::CAPS == 0 {
            vec![(0, info.size)]
        } else {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let sparse = Chain::new(bytes, info.cap_offset).pairs(RegionInfo::SPARSE_MMAP);
            sparse.unwrap_or_else(|| vec![(0, info.size)])
        };
        Ok(VfioRegion { size: info.size, offset: info.offset, mappable })
    }

    /// How many interrupts of a kind there are that can be had by descriptor.
    pub(crate) fn irqs(&self, kind: PciIrq) -> io::Result<u32> {
        let index = kind as u32;
        if index >= self.info.num_irqs {
            return Ok(0);
        }
        let mut info = IrqInfo { argsz: size::<IrqInfo>(), index, ..IrqInfo::default() };
        match ioctl(&self.file, DEVICE_GET_IRQ_INFO, &mut info) {
            Ok(_) => Ok(if info.flags & IrqInfo::EVENTFD != 0 { info.count } else { 0 }),
            // The kind is known, and the function lacks it.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Has each interrupt of a kind, from the first on, make its descriptor readable.
    pub(crate) fn connect(&self, kind: PciIrq, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        const HEADER: usize = size_of::<IrqSet>() / size_of::<u32>();
        if descriptors.len() > MOST_IRQS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let argsz = u32::try_from((HEADER + descriptors.len()) * size_of::<u32>()).unwrap_or(u32::MAX);
        let count = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
        let flags = IrqSet::DATA_EVENTFD | IrqSet::ACTION_TRIGGER;
        let IrqSet { argsz, flags, index, start, count } = IrqSet { argsz, flags, index: kind as u32, start: 0, count };
        let mut words = vec![argsz, flags, index, start, count];
        words.extend(descriptors.iter().map(|descriptor| descriptor.as_raw_fd().cast_unsigned()));
        ioctl_words(&self.file, DEVICE_SET_IRQS, &mut words)?;
        Ok(())
    }

    /// Lets the first interrupt of a kind signal again that the kernel has masked.
    pub(crate) fn unmask(&self, kind: PciIrq) -> io::Result<()> {
        let flags = IrqSet::DATA_NONE | IrqSet::ACTION_UNMASK;
        let mut set = IrqSet { argsz: size::<IrqSet>(), flags, index: kind as u32, start: 0, count: 1 };
        ioctl(&self.file, DEVICE_SET_IRQS, &mut set)?;
        Ok(())
    }

    /// Resets the function, if it can be reset by itself; says whether it was.
    pub(crate) fn reset(&self) -> io::Result<bool> {
        if self.info.flags & DeviceInfo::RESET == 0 {
            return Ok(false);
        }
        ioctl(&self.file, DEVICE_RESET, &mut CapHeader::default())?;
        Ok(true)
    }

    /// The first part of a PCI function's configuration space: its header, and the capabilities of conventional PCI. Empty for other devices.
    pub(crate) fn configuration(&self) -> io::Result<Vec<u8>> {
        if !self.is_pci() {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; CONFIGURATION];
        self.file.read_exact_at(&mut bytes, self.region(PCI_CONFIG_REGION)?.offset)?;
        Ok(bytes)
    }

    /// Lets a PCI function access memory and send interrupts, or forbids it.
    pub(crate) fn set_bus_master(&self, on: bool) -> io::Result<()> {
        let config = self.region(PCI_CONFIG_REGION)?;
        let mut command = [0; 2];
        self.file.read_exact_at(&mut command, config.offset + COMMAND)?;
        let old = u16::from_le_bytes(command) | MEMORY_SPACE;
        let new = if on { old | BUS_MASTER } else { old & !BUS_MASTER };
        self.file.write_all_at(&new.to_le_bytes(), config.offset + COMMAND)
    }

    /// Whether the device still answers.
    pub(crate) fn is_present(&self) -> bool {
        let mut info = DeviceInfo { argsz: size::<DeviceInfo>(), ..DeviceInfo::default() };
        ioctl(&self.file, DEVICE_GET_INFO, &mut info).is_ok()
    }

    /// Closes the device behind the descriptor, by putting something there that does nothing.
    pub(crate) fn give_back(&self) -> io::Result<()> {
        let nothing = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        // SAFETY: both descriptors are open, and ours stays so.
        let result = unsafe { libc::dup3(nothing.as_fd().as_raw_fd(), self.file.as_raw_fd(), libc::O_CLOEXEC) };
        Errno::result(result)?;
        Ok(())
    }
}

impl AsFd for VfioDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
