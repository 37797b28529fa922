//! Simulated devices in one call.

use std::sync::Arc;

use crate::{
    HisiZip, HisiZipConfig, HisiZipConfigError, Plan, ThreadHost, ThreadHostConfig, ThreadHostError, Warp, WarpConfig,
    WarpConfigError,
};

/// Simulated devices in one call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Simulator {}

/// Why there can be no such device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// The model cannot be built like that.
    #[error("no such engine")]
    Config(#[from] WarpConfigError),
    /// The ZIP model cannot be built like that.
    #[error("no such engine")]
    HisiZip(#[from] HisiZipConfigError),
    /// The host cannot run.
    #[error("engine cannot be hosted")]
    Host(#[from] ThreadHostError),
}

impl Simulator {
    /// A Warp engine on threads of this process. It runs until the value and all transports it opened are dropped.
    ///
    /// # Errors
    /// See [`SimulatorError`].
    pub fn warp(
        config: WarpConfig,
        host: ThreadHostConfig,
        plan: Plan,
    ) -> Result<Arc<ThreadHost<Warp>>, SimulatorError> {
        Ok(Arc::new(ThreadHost::new(Warp::new(config)?, host, plan)?))
    }

    /// HiSilicon's ZIP engine on threads of this process, as long as that.
    ///
    /// # Errors
    /// See [`SimulatorError`].
    pub fn hisi_zip(
        config: HisiZipConfig,
        host: ThreadHostConfig,
        plan: Plan,
    ) -> Result<Arc<ThreadHost<HisiZip>>, SimulatorError> {
        Ok(Arc::new(ThreadHost::new(HisiZip::new(config)?, host, plan)?))
    }
}
