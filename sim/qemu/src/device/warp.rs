//! `-device warp`.

use core::ffi::CStr;
use std::sync::Arc;

use uaccel_sim::Warp;
use uaccel_warp_abi::pci;

use super::{Bar, DeviceType, Identity, Interrupts, Plan};
use crate::function::{Function, WarpFunction};
use crate::options::Options;
use crate::stock::{OwnAccesses, Qemu};
use crate::trace::Trace;

/// The Warp engine.
#[derive(Debug)]
pub(crate) struct WarpDevice;

impl DeviceType for WarpDevice {
    const NAME: &'static CStr = c"warp";
    const DESCRIPTION: &'static CStr = c"Warp accelerator (PASID, ATS, PRI)";
    const IDENTITY: Identity =
        Identity { vendor: pci::VENDOR, device: pci::DEVICE, revision: pci::REVISION, class: pci::CLASS };

    fn plan(options: &Options) -> Result<Plan, String> {
        let vectors = u16::try_from(options.warp.queues).map_err(|error| error.to_string())?;
        let pages = Bar {
            number: pci::PAGES_BAR,
            name: c"warp-pages",
            size: pci::pages_size(options.warp.queues) as u64,
            // Registers are 64 bits and accessed as such.
            narrowest: 8,
        };
        Ok(Plan {
            bars: vec![pages],
            interrupts: Interrupts::MsiX { vectors, bar: pci::MSIX_BAR },
            own_accesses: OwnAccesses::Translated,
        })
    }

    fn build(options: &Options, emulator: Arc<Qemu>) -> Result<Box<dyn Function>, String> {
        let model = Warp::new(options.warp).map_err(|error| error.to_string())?;
        let function = WarpFunction::new(model, emulator, options.workers, Trace::new("warp", options.trace))
            .map_err(|error| format!("worker cannot be started: {error}"))?;
        Ok(Box::new(function))
    }
}
