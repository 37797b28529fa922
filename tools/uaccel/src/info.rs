//! `uaccel info`: what a device grants, found out by opening a queue.

use std::io::{self, Write};

use serde::Serialize;
use uaccel_queue::{MAX_DEPTH, OpenError};
use uaccel_runtime::{Builder, Capabilities, Error, Fallback, Runtime};

use crate::capabilities::{self, OfferedAlgorithm};
use crate::exit::Failure;
use crate::figures;
use crate::listing::ListedDevice;
use crate::reason::with_sources;
use crate::style;

/// A device that was opened, and what it grants.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Where it was found.
    pub bus: String,
    /// Its programming interface.
    pub interface: String,
    /// Who drives it.
    pub driver: Option<String>,
    /// Whether it is a model or a stand-in.
    pub simulated: bool,
    /// Whether its jobs take effect.
    pub effective: bool,
    /// How addresses reach memory.
    pub address_mode: &'static str,
    /// What happens at a page that is not there.
    pub faults: &'static str,
    /// In which order jobs complete.
    pub order: &'static str,
    /// The most bytes one job may read, and the most it may write; absent where there is no limit worth the name.
    pub max_transfer: Option<u64>,
    /// The most jobs in flight on one queue.
    pub depth: usize,
    /// The most sessions open on one queue.
    pub sessions: u16,
    /// Whether jobs may be chained.
    pub chains: bool,
    /// Whether source and destination may be lists.
    pub scatter: bool,
    /// Whether a queue can wake a sleeper; without it waiting is polling.
    pub wakes: bool,
    /// Whether a job can be done within a call, because the device is the process itself.
    pub immediate: bool,
    /// The memory node it is near, where known.
    pub numa_node: Option<u32>,
    /// Operations it grants.
    pub operations: Vec<&'static str>,
    /// Those of them that may write where they read; a copy onto itself, which every device takes, is not counted.
    pub in_place: Vec<&'static str>,
    /// Algorithms it grants, with directions.
    pub algorithms: Vec<OfferedAlgorithm>,
    /// Operations and algorithms that were advertised, and not granted after all.
    pub withheld: Vec<&'static str>,
}

impl DeviceInfo {
    /// Opens a queue of the device with this name, and closes it again.
    ///
    /// # Errors
    /// [`Failure::NoDevice`] with the report on every device there is.
    pub fn open(runtime: Builder, name: &str) -> Result<Self, Failure> {
        let runtime = open(&runtime.device(name).queues(1).fallback(Fallback::Never))
            .map_err(|error| Failure::NoDevice(with_sources(&error)))?;
        let granted = runtime.granted();
        let entry = runtime.report().chosen().ok_or_else(|| Failure::NoDevice(runtime.report().to_string()))?;
        let listed = ListedDevice::new(entry, Some(granted));
        let withheld = entry.advertised.as_ref().map(|advertised| withheld(advertised, granted)).unwrap_or_default();
        Ok(Self {
            name: listed.name,
            bus: listed.bus,
            interface: listed.interface,
            driver: listed.driver,
            simulated: listed.simulated,
            effective: granted.effective,
            address_mode: capabilities::address_mode(granted.address_mode),
            faults: capabilities::faults(granted.faults),
            order: capabilities::order(granted.order),
            max_transfer: capabilities::max_transfer(granted),
            depth: granted.depth,
            sessions: granted.sessions,
            chains: granted.chains,
            scatter: granted.scatter,
            wakes: granted.wakes,
            immediate: granted.immediate,
            numa_node: granted.numa_node,
            operations: capabilities::operations(granted.operations),
            in_place: capabilities::operations(granted.in_place),
            algorithms: capabilities::algorithms(granted),
            withheld,
        })
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (head, dim) = (style::HEAD, style::DIM);
        let kind = match (self.effective, self.simulated) {
            (false, _) => " (does nothing)",
            (true, true) => " (simulated)",
            (true, false) => "",
        };
        let yes = |flag: bool| if flag { "yes" } else { "no" };
        writeln!(out, "{head}{}{head:#}{kind}", self.name)?;
        let mut line = |name: &str, value: String| writeln!(out, "  {dim}{name:<16}{dim:#} {value}");
        line("bus", self.bus.clone())?;
        line("interface", self.interface.clone())?;
        line("driver", self.driver.clone().unwrap_or_else(|| "none".to_owned()))?;
        line("addresses", self.address_mode.to_owned())?;
        line("page faults", self.faults.to_owned())?;
        line("order", self.order.to_owned())?;
        line(
            "bytes per job",
            self.max_transfer.map_or_else(|| "no limit".to_owned(), |most| format!("up to {}", figures::bytes(most))),
        )?;
        line("jobs in flight", format!("up to {} per queue", self.depth))?;
        line("sessions", format!("up to {} per queue", self.sessions))?;
        line("wakes a sleeper", yes(self.wakes).to_owned())?;
        line("done in the call", yes(self.immediate).to_owned())?;
        line("chains, lists", format!("{}, {}", yes(self.chains), yes(self.scatter)))?;
        line("memory node", self.numa_node.map_or_else(|| "not known".to_owned(), |node| node.to_string()))?;
        line("operations", or_none(self.operations.join(", ")))?;
        line("in place", or_none(self.in_place.join(", ")))?;
        for (index, algorithm) in self.algorithms.iter().enumerate() {
            let name = if index == 0 { "algorithms" } else { "" };
            line(name, format!("{:<20} {}", algorithm.name, algorithm.directions.join(", ")))?;
        }
        if self.algorithms.is_empty() {
            line("algorithms", or_none(String::new()))?;
        }
        if !self.withheld.is_empty() {
            line("not granted", self.withheld.join(", "))?;
        }
        Ok(())
    }
}

/// Opens a queue as deep as the device has them: it grants what it was asked for, and only a refusal tells its limit.
fn open(runtime: &Builder) -> Result<Runtime, Error> {
    match runtime.clone().depth(MAX_DEPTH).build() {
        Err(Error::Open { source, .. }) if let OpenError::Depth { limit, .. } = *source => {
            runtime.clone().depth(limit).build()
        }
        other => other,
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

/// The names of what was advertised and not granted, not even in one direction.
fn withheld(advertised: &Capabilities, granted: &Capabilities) -> Vec<&'static str> {
    let names = |offers: &Capabilities| {
        let algorithms = capabilities::algorithms(offers).into_iter().map(|algorithm| algorithm.name);
        capabilities::operations(offers.operations).into_iter().chain(algorithms).collect::<Vec<_>>()
    };
    let granted = names(granted);
    names(advertised).into_iter().filter(|name| !granted.contains(name)).collect()
}
