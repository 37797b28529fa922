//! How a device's interrupts become signals.

use std::io;

use uaccel_drivers::function::Control;
use uaccel_queue::TransportError;

use crate::sys::signal::Bell;
use crate::sys::uapi::vfio::PciIrq;
use crate::sys::vfio::device::VfioDevice;

/// The kinds of interrupts a queue's signal can be, the best first. A line can only be one queue's.
const KINDS: [PciIrq; 3] = [PciIrq::Msix, PciIrq::Msi, PciIrq::Intx];

/// The interrupts of a device in use, connected.
#[derive(Debug)]
pub(super) struct Interrupts {
    kind: PciIrq,
}

impl Interrupts {
    /// Has each queue's interrupt ring its bell, by the best kind of interrupt that the device has and the system lets it use.
    pub(super) fn connect(
        device: &VfioDevice,
        control: &dyn Control,
        bells: &[Bell],
        refused: &impl Fn(String) -> TransportError,
    ) -> Result<Self, TransportError> {
        let system = |call| move |source| TransportError::System { call, source };
        let (vectors, bells): (Vec<_>, Vec<_>) =
            bells.iter().enumerate().map(|(queue, bell)| (control.vector(queue), bell.as_fd())).unzip();
        if vectors.iter().enumerate().any(|(queue, vector)| u32::try_from(queue) != Ok(*vector)) {
            return Err(refused(format!("interrupts {vectors:?} are not in the order of the queues")));
        }
        let mut failure = None;
        for kind in KINDS {
            let there = device.irqs(kind).map_err(system("VFIO_DEVICE_GET_IRQ_INFO"))?;
            if u64::from(there) < bells.len() as u64 {
                continue;
            }
            match device.connect(kind, &bells) {
                Ok(()) => return Ok(Self { kind }),
                // A device has messages, and the system may have none for it (`pci=nomsi`).
                Err(error) => {
                    tracing::debug!(?kind, %error, "interrupts cannot be had");
                    failure = Some(error);
                }
            }
        }
        Err(match failure {
            Some(error) => system("VFIO_DEVICE_SET_IRQS")(error),
            None => refused(format!("it has no kind of interrupt for {} queues", bells.len())),
        })
    }

    /// Lets a line signal again, which the kernel masks when it does. Messages need no such thing. A device that still asserts it signals at once.
    pub(super) fn unmask(&self, device: &VfioDevice) -> io::Result<()> {
        if self.kind == PciIrq::Intx { device.unmask(self.kind) } else { Ok(()) }
    }

    /// Which kind they are.
    pub(super) fn kind(&self) -> PciIrq {
        self.kind
    }
}
