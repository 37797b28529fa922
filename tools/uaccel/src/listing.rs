//! Which devices there are, and why one is usable or not.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use uaccel_runtime::{Builder, Capabilities, Entry, Fallback, Verdict};

use crate::capabilities;
use crate::figures;
use crate::inventory::{self, Accelerator};
use crate::reason::with_sources;
use crate::style;

/// A device that the framework knows of.
#[derive(Clone, Debug, Serialize)]
pub struct ListedDevice {
    /// Its name.
    pub name: String,
    /// Where it was found.
    pub bus: String,
    /// Its programming interface.
    pub interface: String,
    /// Who drives it.
    pub driver: Option<String>,
    /// Whether it can be used.
    pub usable: bool,
    /// Why it is used, passed over, or unusable.
    pub verdict: String,
    /// What to do about it, where it is unusable and something can be done.
    pub cure: Option<String>,
    /// Whether it is a model or a stand-in.
    pub simulated: bool,
    /// Whether its jobs take effect.
    pub effective: bool,
    /// How addresses reach memory.
    pub address_mode: Option<&'static str>,
    /// What happens at a page that is not there.
    pub faults: Option<&'static str>,
    /// The most bytes per job; absent where there is no limit worth the name.
    pub max_transfer: Option<u64>,
    /// Operations it offers.
    pub operations: Vec<&'static str>,
    /// Algorithms it offers, in at least one direction.
    pub algorithms: Vec<&'static str>,
}

impl ListedDevice {
    /// What a report says about a device. What was granted counts for more than what was advertised.
    #[must_use]
    pub fn new(entry: &Entry, granted: Option<&Capabilities>) -> Self {
        let offers = granted.or(entry.advertised.as_ref());
        let (usable, verdict, cure) = match &entry.verdict {
            Verdict::Unusable { reason, cure } => (false, reason.clone(), cure.clone()),
            Verdict::Passed(reason) => (true, (*reason).to_owned(), None),
            _ => (true, "used unless another one is named".to_owned(), None),
        };
        Self {
            name: entry.info.name.clone(),
            bus: entry.bus.clone(),
            interface: entry.info.interface.clone(),
            driver: entry.driver.clone(),
            usable,
            verdict,
            cure,
            simulated: entry.info.simulated,
            effective: offers.is_none_or(|offers| offers.effective),
            address_mode: offers.map(|offers| capabilities::address_mode(offers.address_mode)),
            faults: offers.map(|offers| capabilities::faults(offers.faults)),
            max_transfer: offers.and_then(capabilities::max_transfer),
            operations: offers.map(|offers| capabilities::operations(offers.operations)).unwrap_or_default(),
            algorithms: offers
                .map(capabilities::algorithms)
                .unwrap_or_default()
                .into_iter()
                .map(|algorithm| algorithm.name)
                .collect(),
        }
    }

    /// What it is beside real hardware, to go behind its name; empty for hardware and the CPU.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (self.effective, self.simulated) {
            (false, _) => ", does nothing",
            (true, true) => ", simulated",
            (true, false) => "",
        }
    }
}

/// Every device of every bus, and the accelerators that this version has no driver for.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Devices that the framework knows of.
    pub devices: Vec<ListedDevice>,
    /// Accelerators of this machine that it cannot use.
    pub undriven: Vec<Accelerator>,
}

impl Listing {
    /// Collects what there is on the buses of `runtime`, and below `sysfs`. Devices that should be usable are opened for a moment.
    #[must_use]
    pub fn collect(runtime: &Builder, sysfs: &Path) -> Self {
        let devices = runtime.report().entries().iter().map(|entry| probe(runtime, entry)).collect();
        Self { devices, undriven: inventory::find(sysfs) }
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (head, good, bad, dim) = (style::HEAD, style::GOOD, style::BAD, style::DIM);
        writeln!(out, "{head}devices{head:#}")?;
        for device in &self.devices {
            let mark = if device.usable { format!("{good}usable{good:#}  ") } else { format!("{bad}unusable{bad:#}") };
            writeln!(out, "  {:<12} {mark}  {} ({}{})", device.name, device.verdict, device.interface, device.kind())?;
            let mut facts = Vec::new();
            facts.extend(device.address_mode.map(|mode| format!("addresses {mode}")));
            facts.extend(device.max_transfer.map(|most| format!("up to {} per job", figures::bytes(most))));
            facts.push(format!("{} operations, {} algorithms", device.operations.len(), device.algorithms.len()));
            writeln!(out, "  {:<12} {dim}{:10}{}{dim:#}", "", "", facts.join(", "))?;
            if let Some(cure) = &device.cure {
                writeln!(out, "  {:<12} {:10}{cure}", "", "")?;
            }
        }
        writeln!(out, "\n{head}accelerators of this machine without a driver{head:#}")?;
        for found in &self.undriven {
            writeln!(out, "  {:<12} {} ({})", found.address, found.name, found.id)?;
            writeln!(out, "  {:<12} {dim}{}{dim:#}", "", found.reason)?;
        }
        if self.undriven.is_empty() {
            writeln!(
                out,
                "  none found (known are HiSilicon ZIP, SEC and HPRE, Intel DSA, IAA, QAT and NPU, AMD XDNA)"
            )?;
        }
        if !self.undriven.is_empty() || self.devices.iter().any(|device| !device.usable) {
            writeln!(out, "\n{dim}what keeps you from one, and what mends it: uaccel doctor{dim:#}")?;
        }
        Ok(())
    }
}

/// Opens a device that should be usable: what it advertises may be wrong, and only what opens can be used.
fn probe(runtime: &Builder, entry: &Entry) -> ListedDevice {
    let listed = ListedDevice::new(entry, None);
    if !listed.usable {
        return listed;
    }
    match runtime.clone().device(&listed.name).depth(1).queues(1).fallback(Fallback::Never).build() {
        Ok(runtime) => ListedDevice::new(entry, Some(runtime.granted())),
        Err(error) => ListedDevice { usable: false, verdict: with_sources(&error), ..listed },
    }
}
