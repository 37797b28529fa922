//! The device as a whole: the one queue of jobs is all of it.

use std::ops::Range;
use std::time::Duration;

use uaccel_queue::{Quiet, Region};

use super::INTERFACE;
use super::layout::Layout;
use super::registers::{DeviceStatus, Registers};
use crate::function::{Control, Function, NotAssigned, NotThis};

/// Knows virtio-crypto on a PCI bus.
///
/// Of several data queues the first is used: they share the control queue and the device's reset, so they cannot be given to different owners.
#[derive(Clone, Copy, Debug, Default)]
pub struct VirtioCryptoFunction;

impl Function for VirtioCryptoFunction {
    fn interface(&self) -> &'static str {
        INTERFACE
    }

    fn is_behind(&self, modalias: &str) -> bool {
        // `pci:v00001AF4d00001054sv…`: vendor and device are those of 4.1.2, where a device is 0x1040 and its number (5.9.1); the form is that of `do_pci_entry` of Linux's
        // scripts/mod/file2alias.c.
        modalias.starts_with("pci:v00001AF4d00001054sv")
    }

    fn region(&self, configuration: &Region) -> Result<u32, NotThis> {
        Layout::find(configuration).map(|layout| layout.region.into()).map_err(NotThis)
    }

    fn is_model(&self) -> bool {
        true
    }

    fn control(&self, registers: Region, configuration: &Region) -> Result<Box<dyn Control>, NotThis> {
        Ok(Box::new(VirtioCryptoControl { registers: Registers::new(registers, configuration).map_err(NotThis)? }))
    }
}

/// A device in use.
#[derive(Debug)]
struct VirtioCryptoControl {
    registers: Registers,
}

impl VirtioCryptoControl {
    /// How long a device may take to be reset for a new user.
    const STEP: Duration = Duration::from_secs(1);
}

impl Control for VirtioCryptoControl {
    fn queues(&self) -> usize {
        1
    }

    fn user_page(&self, _queue: usize) -> Range<usize> {
        0..self.registers.len()
    }

    fn vector(&self, _queue: usize) -> u32 {
        0
    }

    fn assign(&self, queue: usize, pasid: Option<u32>) -> Result<(), NotAssigned> {
        let not_assigned = |status: DeviceStatus| NotAssigned { queue, pasid, reads: status.bits().into() };
        // Virtio knows no PASIDs.
        if queue != 0 || pasid.is_some() {
            return Err(not_assigned(DeviceStatus::empty()));
        }
        match self.registers.reset(Self::STEP) {
            Quiet::Proven => Ok(()),
            Quiet::Unproven => Err(not_assigned(self.registers.status())),
        }
    }

    fn revoke(&self, _queue: usize, within: Duration) -> Quiet {
        self.registers.reset(within)
    }

    fn reset(&self, within: Duration) -> Quiet {
        self.registers.reset(within)
    }
}
