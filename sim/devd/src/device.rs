//! One device and who works for it.

use std::sync::Arc;

use uaccel_sim::pool::{Pool, PoolConfig, PoolError, Queue};
use uaccel_sim::{DeviceModel as _, Warp};
use uaccel_warp_abi::{Geometry, Mode};

use crate::backing::ClientBacking;
use crate::config::{DaemonConfig, DeviceConfig};
use crate::error::StartError;

/// One device and the threads that work for it.
pub(crate) type Device = Pool<Warp, ClientBacking>;

/// A queue of a client.
pub(crate) type ClientQueue = Arc<Queue<Warp, ClientBacking>>;

/// Puts the devices on threads.
pub(crate) fn start_all(config: &DaemonConfig) -> Result<Vec<Device>, StartError> {
    if config.devices.is_empty() {
        return Err(StartError::NoDevice);
    }
    let mut devices: Vec<Device> = Vec::with_capacity(config.devices.len());
    for (index, device) in config.devices.iter().enumerate() {
        if devices.iter().any(|other| other.name() == device.name) {
            return Err(StartError::Twice(device.name.clone()));
        }
        let failed = |source: PoolError| StartError::Device { name: device.name.clone(), source };
        devices.push(start(device, index, config, failed)?);
    }
    Ok(devices)
}

fn start(
    device: &DeviceConfig,
    index: usize,
    config: &DaemonConfig,
    failed: impl FnOnce(PoolError) -> StartError,
) -> Result<Device, StartError> {
    let model = Warp::new(device.warp).map_err(|source| StartError::Engine { name: device.name.clone(), source })?;
    let usual = PoolConfig::for_many_processes(&device.name);
    let pool = PoolConfig {
        workers: config.workers,
        pin: config.pin.filter(|_| index == 0),
        lanes: config.lanes.or(config.workers).unwrap_or(usual.lanes),
        memory_patience: config.memory_patience,
        ..usual
    };
    Pool::new(model, pool, config.plan.clone()).map_err(failed)
}

/// How many bytes of ring memory the largest queue needs.
pub(crate) fn largest_rings(device: &Device) -> usize {
    let limits = device.model().config().limits();
    let log2 = u8::try_from(limits.entries.trailing_zeros()).unwrap_or(0);
    Geometry::new(log2, limits.sessions, Mode::Ring).map_or(0, |geometry| geometry.size())
}

/// How many queues the device has, and how many of them are free.
pub(crate) fn queues(device: &Device) -> (usize, usize) {
    let all = device.model().queues();
    let leaked = usize::try_from(device.stats().leaked_queues).unwrap_or(usize::MAX);
    (all, all.saturating_sub(device.open_queues()).saturating_sub(leaked))
}
