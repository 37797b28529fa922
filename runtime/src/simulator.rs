//! Simulated engines as devices that are there when they are asked for.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};
use uaccel_sim::{
    DeviceModel, HisiZip, HisiZipConfig, Plan, Simulator, SimulatorError, ThreadHost, ThreadHostConfig, Warp,
    WarpConfig,
};

/// The name of the simulated engine that every runtime with the feature `sim` knows.
pub const SIMULATOR: &str = "sim";

/// The name of the model of HiSilicon's ZIP engine that every runtime with the feature `sim` knows.
pub const HISI_ZIP_SIMULATOR: &str = "sim-hisi-zip";

/// A bus with one simulated engine, whose threads start when it is first opened and end when it is no longer used: a Warp engine,
/// [`SIMULATOR`], or another model.
///
/// [`Builder`](crate::Builder) has some of its own; make another one, and register it with
/// [`Builder::bus`](crate::Builder::bus), to choose size, timing and faults.
pub struct SimulatorBus<M: DeviceModel = Warp> {
    name: &'static str,
    info: DeviceInfo,
    start: Start<M>,
    host: Mutex<Option<Arc<ThreadHost<M>>>>,
}

/// Starts an engine.
type Start<M> = Box<dyn Fn() -> Result<Arc<ThreadHost<M>>, SimulatorError> + Send + Sync>;

impl SimulatorBus {
    /// A Warp engine of this size that behaves like this. `threads.device` becomes [`SIMULATOR`].
    #[must_use]
    pub fn new(config: WarpConfig, threads: ThreadHostConfig, plan: Plan) -> Self {
        let threads = ThreadHostConfig { device: SIMULATOR.to_owned(), ..threads };
        let start = move || Simulator::warp(config, threads.clone(), plan.clone());
        Self::of("simulator", DeviceInfo::new(SIMULATOR, uaccel_warp_abi::INTERFACE), start)
    }
}

impl SimulatorBus<HisiZip> {
    /// A ZIP engine of this size that behaves like this. `threads.device` becomes [`HISI_ZIP_SIMULATOR`].
    #[must_use]
    pub fn hisi_zip(config: HisiZipConfig, threads: ThreadHostConfig, plan: Plan) -> Self {
        let threads = ThreadHostConfig { device: HISI_ZIP_SIMULATOR.to_owned(), ..threads };
        let mut info = DeviceInfo::new(HISI_ZIP_SIMULATOR, HisiZip::INTERFACE);
        info.algorithms = HisiZip::ALGORITHMS.map(str::to_owned).to_vec();
        let start = move || Simulator::hisi_zip(config, threads.clone(), plan.clone());
        Self::of("simulator of HiSilicon ZIP", info, start)
    }
}

impl<M: DeviceModel> SimulatorBus<M> {
    fn of(
        name: &'static str,
        mut info: DeviceInfo,
        start: impl Fn() -> Result<Arc<ThreadHost<M>>, SimulatorError> + Send + Sync + 'static,
    ) -> Self {
        info.simulated = true;
        Self { name, info, start: Box::new(start), host: Mutex::new(None) }
    }

    /// The engine, started if need be.
    ///
    /// # Errors
    /// If there can be no such engine, or its threads do not start.
    pub fn engine(&self) -> Result<Arc<ThreadHost<M>>, TransportError> {
        let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = &*host {
            return Ok(host.clone());
        }
        let started = (self.start)()
            .map_err(|error| TransportError::Refused(format!("the simulator does not start: {error}")))?;
        Ok(host.insert(started).clone())
    }
}

impl Default for SimulatorBus {
    fn default() -> Self {
        Self::new(WarpConfig::default(), ThreadHostConfig::default(), Plan::default())
    }
}

impl<M: DeviceModel> Bus for SimulatorBus<M> {
    fn name(&self) -> &str {
        self.name
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        vec![self.info.clone()]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        if device != self.info.name {
            return Err(TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() });
        }
        self.engine()?.open(device)
    }
}

impl<M: DeviceModel> fmt::Debug for SimulatorBus<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBus")
            .field("device", &self.info.name)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}
