//! The device as a whole: the one queue it has is all of it.

use std::ops::Range;
use std::time::{Duration, Instant};

use uaccel_queue::{Quiet, Region};

use super::INTERFACE;
use super::registers::{PAGE, Registers};
use crate::function::{Control, Function, NotAssigned, NotThis};

/// Knows `edu` on a PCI bus.
///
/// How many bits of an address a device passes on is chosen when QEMU starts (`-device edu,dma_mask=…`), and no register tells. With fewer bits than the process's addresses
/// have, its queue is [`Bounced`](uaccel_queue::AddressMode::Bounced).
#[derive(Clone, Copy, Debug)]
pub struct EduFunction {
    address_bits: u32,
}

impl EduFunction {
    /// For devices that were given a mask of so many bits.
    #[must_use]
    pub const fn with_address_bits(address_bits: u32) -> Self {
        Self { address_bits }
    }
}

impl Default for EduFunction {
    /// For devices with QEMU's default, 28 bits.
    fn default() -> Self {
        Self::with_address_bits(28)
    }
}

impl Function for EduFunction {
    fn interface(&self) -> &'static str {
        INTERFACE
    }

    fn is_behind(&self, modalias: &str) -> bool {
        // `pci:v00001234d000011E8sv…`: `do_pci_entry` of Linux's scripts/mod/file2alias.c.
        modalias.starts_with("pci:v00001234d000011E8sv")
    }

    fn region(&self, _configuration: &Region) -> Result<u32, NotThis> {
        Ok(0)
    }

    fn address_bits(&self) -> u32 {
        self.address_bits
    }

    fn is_model(&self) -> bool {
        true
    }

    fn control(&self, registers: Region, _configuration: &Region) -> Result<Box<dyn Control>, NotThis> {
        let bytes = registers.len();
        let registers = Registers::new(registers);
        let registers = registers.map_err(|ident| {
            NotThis(format!("{bytes} bytes of registers with identification {ident:#010x} are not those of edu"))
        })?;
        Ok(Box::new(EduControl { registers }))
    }
}

/// A device in use.
#[derive(Debug)]
struct EduControl {
    registers: Registers,
}

impl EduControl {
    /// How often the device is looked at while it lets go; a transfer takes it a hundred times as long.
    const LOOK: Duration = Duration::from_millis(1);
}

impl Control for EduControl {
    fn queues(&self) -> usize {
        1
    }

    fn user_page(&self, _queue: usize) -> Range<usize> {
        0..PAGE
    }

    fn vector(&self, _queue: usize) -> u32 {
        0
    }

    fn assign(&self, queue: usize, pasid: Option<u32>) -> Result<(), NotAssigned> {
        if queue != 0 || pasid.is_some() {
            return Err(NotAssigned { queue, pasid, reads: 0 });
        }
        self.registers.open();
        Ok(())
    }

    fn revoke(&self, _queue: usize, within: Duration) -> Quiet {
        let until = Instant::now() + within;
        self.registers.close();
        while !self.registers.is_quiet() {
            if Instant::now() >= until {
                return Quiet::Unproven;
            }
            std::thread::sleep(Self::LOOK);
        }
        self.registers.acknowledge();
        Quiet::Proven
    }

    fn reset(&self, within: Duration) -> Quiet {
        self.revoke(0, within)
    }
}
