//! The simulated Warp engine as a device that is there when it is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};
use uaccel_sim::{Plan, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig};

/// The name of the simulated engine that every runtime with the feature `sim` knows.
pub const SIMULATOR: &str = "sim";

/// A bus with one simulated Warp engine, [`SIMULATOR`], whose threads start when it is first opened and end when it is no longer used.
///
/// [`Builder`](crate::Builder) has one of its own; make another one, and register it with
/// [`Builder::bus`](crate::Builder::bus), to choose size, timing and faults.
#[derive(Debug)]
pub struct SimulatorBus {
    config: WarpConfig,
    threads: ThreadHostConfig,
    plan: Plan,
    host: Mutex<Option<Arc<ThreadHost<Warp>>>>,
}

impl SimulatorBus {
    /// An engine of this size that behaves like this. `threads.device` becomes [`SIMULATOR`].
    #[must_use]
    pub fn new(config: WarpConfig, threads: ThreadHostConfig, plan: Plan) -> Self {
        let threads = ThreadHostConfig { device: SIMULATOR.to_owned(), ..threads };
        Self { config, threads, plan, host: Mutex::new(None) }
    }

    /// The engine, started if need be.
    ///
    /// # Errors
    /// If there can be no such engine, or its threads do not start.
    pub fn engine(&self) -> Result<Arc<ThreadHost<Warp>>, TransportError> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = &*host {
            return Ok(host.clone());
        }
        let started = Simulator::warp(self.config, self.threads.clone(), self.plan.clone())
            .map_err(|error| TransportError::Refused(format!("the simulator does not start: {error}")))?;
        Ok(host.insert(started).clone())
    }
}

impl Default for SimulatorBus {
    fn default() -> Self {
        Self::new(WarpConfig::default(), ThreadHostConfig::default(), Plan::default())
    }
}

impl Bus for SimulatorBus {
    fn name(&self) -> &str {
        "simulator"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut info = DeviceInfo::new(SIMULATOR, uaccel_warp_abi::INTERFACE);
        info.simulated = true;
        vec![info]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        if device != SIMULATOR {
            return Err(TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() });
        }
        self.engine()?.open(device)
    }
}
