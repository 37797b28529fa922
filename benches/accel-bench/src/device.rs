//! A device that is measured.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uaccel_cli::reason::with_sources;
use uaccel_runtime::{HISI_ZIP_SIMULATOR, Runtime, SIMULATOR, SimulatorBus};
use uaccel_sim::{HisiZipConfig, Plan, Profile, ThreadHostConfig, WarpConfig};

use crate::exit::Failure;

/// What must be known of a device to read its figures.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Whether it is a model of hardware: its figures say nothing about any hardware.
    pub simulated: bool,
    /// Whether its jobs take effect. Those of the null device do not.
    pub effective: bool,
}

impl Identity {
    /// The name, with what must be said about the figures.
    #[must_use]
    pub fn label(&self) -> String {
        match (self.effective, self.simulated) {
            (false, _) => format!("{} (no effect)", self.name),
            (true, true) => format!("{} (simulated)", self.name),
            (true, false) => self.name.clone(),
        }
    }
}

/// An open device, with what the tables say about it.
#[derive(Clone, Debug)]
pub struct Device {
    /// What it is.
    pub identity: Identity,
    /// Its runtime. The CPU stands in only for jobs that are larger than the device takes.
    pub runtime: Runtime,
    /// Who drives it.
    pub driver: String,
}

/// How devices are opened.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// Jobs in flight per queue.
    pub depth: usize,
    /// Queues.
    pub queues: usize,
    /// How long jobs take on a simulator; `None` means as long as the work takes.
    pub profile: Option<Profile>,
    /// The socket of `uaccel-devd`, for its devices; `None` leaves it to the environment.
    pub socket: Option<PathBuf>,
    /// The CPU that a simulator's only worker is bound to; `None` leaves number and place of workers to the simulator.
    pub engine_cpu: Option<usize>,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self { depth: 1, queues: 1, profile: None, socket: None, engine_cpu: None }
    }
}

/// How long one job may take.
const DEADLINE: Duration = Duration::from_secs(60);

impl Device {
    /// Opens the device with this name.
    ///
    /// # Errors
    /// [`Failure::NoDevice`] with the report on every device there is.
    pub fn open(name: &str, options: &DeviceOptions) -> Result<Self, Failure> {
        let mut builder =
            Runtime::builder().device(name).depth(options.depth).queues(options.queues.max(1)).deadline(DEADLINE);
        if let Some(socket) = &options.socket {
            builder = builder.devd(socket);
        }
        let threads = match options.engine_cpu {
            Some(cpu) => ThreadHostConfig { workers: Some(1), pin: Some(cpu), ..ThreadHostConfig::default() },
            None => ThreadHostConfig::default(),
        };
        let plan = options.profile.as_ref().map_or_else(Plan::default, |profile| Plan::timed(profile.timing));
        if name == SIMULATOR {
            builder = builder.bus(Arc::new(SimulatorBus::new(WarpConfig::default(), threads, plan)));
        } else if name == HISI_ZIP_SIMULATOR {
            builder = builder.bus(Arc::new(SimulatorBus::hisi_zip(HisiZipConfig::default(), threads, plan)));
        }
        let runtime = builder.build().map_err(|error| Failure::NoDevice(with_sources(&error)))?;
        let entry = runtime.report().chosen();
        let effective = runtime.granted().effective;
        Ok(Self {
            identity: Identity {
                name: name.to_owned(),
                simulated: effective && entry.is_some_and(|entry| entry.info.simulated),
                effective,
            },
            driver: entry.and_then(|entry| entry.driver.clone()).unwrap_or_default(),
            runtime,
        })
    }
}
