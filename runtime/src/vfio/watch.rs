//! What the kernel says of a device between its jobs: that it has failed, and that the system wants it back.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::open_device::OpenDevice;
use crate::sys::signal::{self, Bell};
use crate::sys::uapi::vfio::PciIrq;
use crate::sys::vfio::device::VfioDevice;

/// The descriptors by which the kernel speaks.
#[derive(Debug)]
pub(super) struct Events {
    failed: Bell,
    wanted: Bell,
    over: Bell,
}

/// How long to sleep at a time; everything wakes the sleeper, so this is long.
const NAP: Duration = Duration::from_secs(3600);

impl Events {
    /// Asks the kernel to speak, where it can.
    pub(super) fn connect(device: &VfioDevice) -> io::Result<Self> {
        let events = Self { failed: Bell::new()?, wanted: Bell::new()?, over: Bell::new()? };
        // Of other devices these numbers are interrupts like any.
        if !device.is_pci() {
            return Ok(events);
        }
        for (kind, bell) in [(PciIrq::Err, &events.failed), (PciIrq::Req, &events.wanted)] {
            if device.irqs(kind)? != 0 {
                device.connect(kind, &[bell.as_fd()])?;
            }
        }
        Ok(events)
    }

    /// Ends the watch.
    pub(super) fn end(&self) {
        self.over.ring();
    }
}

/// Watches over a device until it is dropped: an unbinding blocks until the device is given back, whether or not anybody has a job for it.
pub(super) fn start(events: Arc<Events>, device: Weak<OpenDevice>) -> io::Result<()> {
    let watch = move || {
        loop {
            let bells = [&events.failed, &events.wanted, &events.over];
            let rung = match signal::sleep_on(&bells.map(Bell::as_fd), NAP) {
                Ok(rung) => rung,
                Err(error) => {
                    tracing::error!(%error, "a device is not watched any more");
                    return;
                }
            };
            if rung[2] {
                return;
            }
            events.failed.clear();
            events.wanted.clear();
            let Some(device) = device.upgrade() else { return };
            if rung[1] {
                device.hand_over();
                return;
            }
            if rung[0] {
                device.recover();
            }
        }
    };
    thread::Builder::new().name("uaccel-vfio".to_owned()).spawn(watch).map(drop)
}
