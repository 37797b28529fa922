//! The engine's control page (§8.4), for whoever holds the whole engine.

use std::ops::Range;
use std::time::{Duration, Instant};

use uaccel_queue::{Quiet, Region};
use uaccel_warp_abi::{Assignment, CONTROL_VERSION, INTERFACE, control_ident, control_page, pci, user_page};

use crate::function::{Control, Function, NotAssigned, NotThis};

/// Knows Warp engines on a PCI bus (§8.5).
#[derive(Clone, Copy, Debug, Default)]
pub struct WarpFunction;

impl Function for WarpFunction {
    fn interface(&self) -> &'static str {
        INTERFACE
    }

    fn is_behind(&self, modalias: &str) -> bool {
        // `pci:v00001234d00005741sv…`: `do_pci_entry` of Linux's scripts/mod/file2alias.c.
        modalias.starts_with(&format!("pci:v{:08X}d{:08X}sv", pci::VENDOR, pci::DEVICE))
    }

    fn region(&self, _configuration: &Region) -> Result<u32, NotThis> {
        Ok(u32::from(pci::PAGES_BAR))
    }

    fn control(&self, registers: Region, _configuration: &Region) -> Result<Box<dyn Control>, NotThis> {
        if registers.len() < control_page::SIZE {
            return Err(NotThis(format!("{} bytes of registers are too few for a control page", registers.len())));
        }
        let ident = registers.read(control_page::IDENT);
        if ident != control_ident(CONTROL_VERSION) {
            return Err(NotThis(format!("control page {ident:#x} is not {:#x}", control_ident(CONTROL_VERSION))));
        }
        let queues = usize::try_from(registers.read(control_page::QUEUES) & 0xffff).unwrap_or(usize::MAX);
        if queues == 0 || queues > control_page::MAX_QUEUES || registers.len() < pci::user_page(queues) {
            let bytes = registers.len();
            return Err(NotThis(format!("{queues} queues are impossible with {bytes} bytes of registers")));
        }
        Ok(Box::new(WarpControl { registers, queues }))
    }
}

/// The control page of an engine in use.
#[derive(Debug)]
struct WarpControl {
    registers: Region,
    queues: usize,
}

impl WarpControl {
    /// How often the engine is looked at while it lets go.
    const LOOK: Duration = Duration::from_micros(20);

    fn until(within: Duration, mut is_so: impl FnMut() -> bool) -> Quiet {
        let until = Instant::now() + within;
        loop {
            if is_so() {
                return Quiet::Proven;
            }
            if Instant::now() >= until {
                return Quiet::Unproven;
            }
            std::thread::sleep(Self::LOOK);
        }
    }
}

impl Control for WarpControl {
    fn queues(&self) -> usize {
        self.queues
    }

    fn user_page(&self, queue: usize) -> Range<usize> {
        pci::user_page(queue)..pci::user_page(queue) + user_page::SIZE
    }

    fn vector(&self, queue: usize) -> u32 {
        u32::try_from(queue).unwrap_or(u32::MAX)
    }

    fn assign(&self, queue: usize, pasid: Option<u32>) -> Result<(), NotAssigned> {
        let wanted = pasid.map_or(Ok(Assignment::OWN), Assignment::to);
        let wanted = wanted.map_err(|_| NotAssigned { queue, pasid, reads: 0 })?.encode();
        self.registers.write(control_page::assign(queue), wanted);
        match self.registers.read(control_page::assign(queue)) {
            reads if reads == wanted => Ok(()),
            reads => Err(NotAssigned { queue, pasid, reads }),
        }
    }

    fn revoke(&self, queue: usize, within: Duration) -> Quiet {
        let assign = control_page::assign(queue);
        self.registers.write(assign, Assignment::REVOKED.encode());
        Self::until(within, || Assignment::decode(self.registers.read(assign)) == Assignment::REVOKED)
    }

    fn reset(&self, within: Duration) -> Quiet {
        self.registers.write(control_page::RESET, 1);
        Self::until(within, || self.registers.read(control_page::RESET) == 0)
    }
}
