//! `accel-bench list`: which devices there are, and why one is usable or not.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use uaccel_runtime::{AddressMode, Capabilities, Entry, Fallback, FaultHandling, Runtime, Verdict};

use crate::device::with_sources;
use crate::inventory;
use crate::report::Report;
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
        let mut algorithms: Vec<_> =
            offers.into_iter().flat_map(|offers| offers.algorithms.iter()).map(|(a, _)| a.name()).collect();
        algorithms.dedup();
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
            address_mode: offers.map(|offers| address_mode(offers.address_mode)),
            faults: offers.map(|offers| faults(offers.faults)),
            // Beyond the address space there is no limit.
            max_transfer: offers.map(|offers| offers.max_transfer).filter(|most| *most < 1 << 47),
            operations: offers
                .into_iter()
                .flat_map(|offers| offers.operations.iter())
                .map(|operation| operation.name())
                .collect(),
            algorithms,
        }
    }
}

/// An address mode in words.
#[must_use]
pub fn address_mode(mode: AddressMode) -> &'static str {
    match mode {
        AddressMode::Shared => "shared",
        AddressMode::OnDemandPinned => "on-demand-pinned",
        AddressMode::IdentityPinned => "identity-pinned",
        AddressMode::Bounced => "bounced",
        _ => "unknown",
    }
}

fn faults(handling: FaultHandling) -> &'static str {
    match handling {
        FaultHandling::Resolved => "resolved",
        FaultHandling::Reported => "reported",
        FaultHandling::CallerVouches => "caller-vouches",
        _ => "unknown",
    }
}

/// Opens a device that should be usable: what it advertises may be wrong, and only what opens can be used.
fn probe(entry: &Entry) -> ListedDevice {
    let listed = ListedDevice::new(entry, None);
    if !listed.usable {
        return listed;
    }
    match Runtime::builder().device(&listed.name).depth(1).queues(1).fallback(Fallback::Never).build() {
        Ok(runtime) => ListedDevice::new(entry, Some(runtime.granted())),
        Err(error) => ListedDevice { usable: false, verdict: with_sources(&error), ..listed },
    }
}

/// Collects what there is. Devices that should be usable are opened for a moment.
#[must_use]
pub fn collect(sysfs: &Path) -> Report {
    let mut report = Report::new("list", serde_json::json!({}));
    report.notes.clear();
    report.devices = Runtime::builder().report().entries().iter().map(probe).collect();
    report.undriven = inventory::find(sysfs);
    report
}

/// Writes it for people.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let (head, good, bad, dim) = (style::HEAD, style::GOOD, style::BAD, style::DIM);
    writeln!(out, "{head}devices{head:#}")?;
    for device in &report.devices {
        let mark = if device.usable { format!("{good}usable{good:#}  ") } else { format!("{bad}unusable{bad:#}") };
        let kind = match (device.effective, device.simulated) {
            (false, _) => ", does nothing",
            (true, true) => ", simulated",
            (true, false) => "",
        };
        writeln!(out, "  {:<12} {mark}  {} ({}{kind})", device.name, device.verdict, device.interface)?;
        let mut facts = Vec::new();
        facts.extend(device.address_mode.map(|mode| format!("addresses {mode}")));
        facts.extend(device.max_transfer.map(|most| format!("up to {} per job", binary(most))));
        facts.push(format!("{} operations, {} algorithms", device.operations.len(), device.algorithms.len()));
        writeln!(out, "  {:<12} {dim}{:10}{}{dim:#}", "", "", facts.join(", "))?;
        if let Some(cure) = &device.cure {
            writeln!(out, "  {:<12} {:10}{cure}", "", "")?;
        }
    }
    writeln!(out, "\n{head}accelerators of this machine without a driver{head:#}")?;
    for found in &report.undriven {
        writeln!(out, "  {:<12} {} ({})", found.address, found.name, found.id)?;
        writeln!(out, "  {:<12} {dim}{}{dim:#}", "", found.reason)?;
    }
    if report.undriven.is_empty() {
        writeln!(out, "  none found (known are HiSilicon ZIP, SEC and HPRE, Intel DSA, IAA, QAT and NPU, AMD XDNA)")?;
    }
    Ok(())
}

/// A number of bytes in binary units.
fn binary(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}
