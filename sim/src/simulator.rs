//! Simulated devices in one call.

use std::sync::Arc;

use crate::{Plan, ThreadHost, ThreadHostConfig, ThreadHostError, Warp, WarpConfig, WarpConfigError};

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
}
