//! `-device hisi-zip`.

use core::ffi::CStr;
use std::sync::Arc;

use uaccel_hisi_abi::{Doorbell, pci};
use uaccel_sim::hisi::qm::Config;
use uaccel_sim::{HisiZip, HisiZipConfig};

use super::{Bar, DeviceType, Identity, Interrupts, Plan};
use crate::function::{Function, HisiZipFunction};
use crate::options::Options;
use crate::stock::{OwnAccesses, Qemu};
use crate::trace::Trace;

/// The ZIP engine of a Kunpeng, hardware version 3.
#[derive(Debug)]
pub(crate) struct HisiZipDevice;

impl DeviceType for HisiZipDevice {
    const NAME: &'static CStr = c"hisi-zip";
    const DESCRIPTION: &'static CStr = c"HiSilicon ZIP accelerator, V3 (PASID, ATS, PRI)";
    const IDENTITY: Identity =
        Identity { vendor: pci::VENDOR, device: pci::ZIP, revision: pci::REVISION_V3, class: pci::CLASS };

    fn plan(options: &Options) -> Result<Plan, String> {
        let registers = Bar {
            number: pci::REGISTERS_BAR,
            name: c"hisi-zip-registers",
            size: pci::REGISTERS_SIZE as u64,
            narrowest: 4,
        };
        let doorbells = Bar {
            number: pci::DOORBELLS_BAR,
            name: c"hisi-zip-doorbells",
            size: (usize::from(options.hisi.queues) * Doorbell::REGION).next_power_of_two() as u64,
            narrowest: 4,
        };
        Ok(Plan {
            bars: vec![registers, doorbells],
            interrupts: Interrupts::Msi { vectors: options.hisi.vectors.count() },
            // As on hardware, where the system's IOMMU translates them; and there may be no IOMMU.
            own_accesses: OwnAccesses::Untranslated,
        })
    }

    fn build(options: &Options, emulator: Arc<Qemu>) -> Result<Box<dyn Function>, String> {
        let Options { hisi, workers, trace, .. } = options;
        let model = HisiZip::new(HisiZipConfig { queues: usize::from(hisi.queues), ..HisiZipConfig::default() })
            .map_err(|error| error.to_string())?;
        let config = Config { vectors: hisi.vectors, ..Config::zip(hisi.queues) };
        let trace = Trace::new("hisi-zip", *trace);
        let function = HisiZipFunction::new(model, config, hisi.error_after, emulator, *workers, trace)
            .map_err(|error| error.to_string())?;
        Ok(Box::new(function))
    }
}
