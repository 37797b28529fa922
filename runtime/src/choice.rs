//! Which device is used, and why the others are not.

use std::fmt;
use std::sync::Arc;

use uaccel_queue::{AddressMode, Bus, Capabilities, DeviceInfo, Driver};

/// The environment variable that names the device, if the program does not.
pub const DEVICE_VARIABLE: &str = "UACCEL_DEVICE";

/// Every device that was found, with what was decided about it.
#[derive(Clone, Default)]
pub struct Report {
    asked: Option<String>,
    entries: Vec<Entry>,
}

/// One device of a [`Report`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// What the bus knows.
    pub info: DeviceInfo,
    /// Where it was found.
    pub bus: String,
    /// Who would drive it.
    pub driver: Option<String>,
    /// What it should be able to do.
    pub advertised: Option<Capabilities>,
    /// What was decided.
    pub verdict: Verdict,
}

/// What was decided about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is used.
    Chosen,
    /// It could be used, but another one was preferred or named.
    Passed(&'static str),
    /// It cannot be used.
    Unusable {
        /// Why.
        reason: String,
        /// What to do about it.
        cure: Option<String>,
    },
}

impl Report {
    /// Records that a device is used.
    pub(crate) fn choose(&mut self, candidate: &Candidate) {
        self.entries[candidate.entry].verdict = Verdict::Chosen;
    }

    /// Records that a device could not be opened after all.
    pub(crate) fn rule_out(&mut self, candidate: &Candidate, error: &dyn std::error::Error) {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        self.entries[candidate.entry].verdict = Verdict::Unusable { reason, cure: None };
    }

    /// The devices, in the order they were found.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The device that is used, if any.
    #[must_use]
    pub fn chosen(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.verdict == Verdict::Chosen)
    }
}

/// As for people: a `main` that returns the error prints it in this form.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.chosen(), &self.asked) {
            (Some(entry), _) => write!(f, "using device '{}'", entry.info.name)?,
            (None, Some(name)) if !self.entries.iter().any(|entry| entry.info.name == *name) => {
                write!(f, "there is no device '{name}'")?;
            }
            (None, Some(name)) => write!(f, "device '{name}' cannot be used")?,
            (None, None) => write!(f, "no usable device")?,
        }
        for entry in &self.entries {
            write!(f, "\n  {} ({}, {}): ", entry.info.name, entry.bus, entry.info.interface)?;
            match &entry.verdict {
                Verdict::Chosen => f.write_str("chosen")?,
                Verdict::Passed(reason) => write!(f, "not used: {reason}")?,
                Verdict::Unusable { reason, cure: None } => write!(f, "unusable: {reason}")?,
                Verdict::Unusable { reason, cure: Some(cure) } => write!(f, "unusable: {reason}; {cure}")?,
            }
        }
        Ok(())
    }
}

/// A device that can be opened.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Which entry of the report it is.
    entry: usize,
    pub(crate) info: DeviceInfo,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) driver: Arc<dyn Driver>,
}

/// Looks at every device, and gives those that may be used, the best first: the named one, or those of the named bus; else hardware by address mode, then the
/// CPU. Models only by name. The report says of none that it is chosen.
pub(crate) fn choose(
    buses: &[Arc<dyn Bus>],
    drivers: &[Arc<dyn Driver>],
    named: Option<&str>,
) -> (Vec<Candidate>, Report) {
    let mut report = Report { asked: named.map(str::to_owned), entries: Vec::new() };
    let mut usable: Vec<(AddressMode, Candidate)> = Vec::new();
    let found: Vec<_> = buses.iter().map(|bus| (bus, bus.devices())).collect();
    let is_device = named.is_some_and(|name| found.iter().any(|(_, infos)| infos.iter().any(|info| info.name == name)));
    for (bus, infos) in found {
        // A bus's name stands for its devices, unless one is called the same.
        let is_meant =
            |info: &DeviceInfo| named.is_some_and(|name| name == info.name || (!is_device && name == bus.name()));
        for info in infos {
            let driver = drivers.iter().find(|driver| driver.drives(&info));
            let advertised = driver.map(|driver| {
                let mut offers = driver.advertised(&info);
                offers.address_mode = info.address_mode.unwrap_or(offers.address_mode);
                offers
            });
            let verdict = match (&info.unusable, driver) {
                (Some(unusable), _) => {
                    Verdict::Unusable { reason: unusable.reason.clone(), cure: unusable.cure.clone() }
                }
                (None, None) => Verdict::Unusable { reason: unknown(&info), cure: None },
                (None, Some(_)) if named.is_some() && !is_meant(&info) => Verdict::Passed("another one was named"),
                (None, Some(_)) if named.is_none() && info.simulated => Verdict::Passed("simulated, so only by name"),
                (None, Some(driver)) => {
                    let mode = advertised.as_ref().map_or(AddressMode::Bounced, |offers| offers.address_mode);
                    let (entry, bus, driver) = (report.entries.len(), bus.clone(), driver.clone());
                    usable.push((mode, Candidate { entry, info: info.clone(), bus, driver }));
                    Verdict::Passed("a better one was found")
                }
            };
            report.entries.push(Entry {
                info,
                bus: bus.name().to_owned(),
                driver: driver.map(|driver| driver.name().to_owned()),
                advertised,
                verdict,
            });
        }
    }
    // The CPU shares the address space best of all, but it is what everything else is compared with: it comes last.
    usable.sort_by_key(|(mode, candidate)| (candidate.info.interface == uaccel_drivers::software::INTERFACE, *mode));
    (usable.into_iter().map(|(_, candidate)| candidate).collect(), report)
}

/// Why no driver takes a device. One interface can be that of unlike engines, which their algorithms tell apart.
fn unknown(info: &DeviceInfo) -> String {
    const FEW: usize = 6;
    let interface = &info.interface;
    let (first, more) = info.algorithms.split_at(info.algorithms.len().min(FEW));
    match (first, more) {
        ([], _) => format!("no driver knows the interface '{interface}'"),
        (all, []) => format!("no driver knows the interface '{interface}' for {}", all.join(", ")),
        (first, more) => {
            format!("no driver knows the interface '{interface}' for {} and {} more", first.join(", "), more.len())
        }
    }
}
