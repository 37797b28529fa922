//! The host: a pool, and the bus its device is on.

use std::sync::Arc;

use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};

use super::backing::{Event, ThreadBacking};
use super::part::Part;
use super::transport::ThreadTransport;
use crate::pool::{Account, Pool, PoolConfig, PoolError};
use crate::{AddressSpace, DeviceModel, Plan, PlanHandle, Stats};

/// How a model is put on threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadHostConfig {
    /// The name of the device.
    pub device: String,
    /// How many threads do the work; `None` takes one less than there are CPUs, but at least one.
    pub workers: Option<usize>,
    /// The CPU the first worker is bound to, the others to those behind it; `None` lets the system choose.
    pub pin: Option<usize>,
}

impl Default for ThreadHostConfig {
    fn default() -> Self {
        Self { device: "sim0".to_owned(), workers: None, pin: None }
    }
}

/// Why a model cannot be put on threads.
pub type ThreadHostError = PoolError;

/// A device model on threads of this process: a bus with one device.
///
/// The device runs until this value and all transports opened from it are dropped. In a child made by `fork` there is no device: what is used
/// there answers [`TransportError::Gone`].
#[derive(Debug)]
pub struct ThreadHost<M: DeviceModel> {
    pool: Pool<M, ThreadBacking>,
    /// All queues belong to one process: there is nobody to share with.
    account: Arc<Account>,
}

impl<M: DeviceModel> ThreadHost<M> {
    /// Starts the workers.
    ///
    /// # Errors
    /// See [`ThreadHostError`].
    pub fn new(model: M, config: ThreadHostConfig, plan: Plan) -> Result<Self, ThreadHostError> {
        let ThreadHostConfig { device, workers, pin } = config;
        let config = PoolConfig { workers, pin, ..PoolConfig::for_this_process(device) };
        Ok(Self { pool: Pool::new(model, config, plan)?, account: Arc::new(Account::new(1)) })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &M {
        self.pool.model()
    }

    /// The plan, to look at and to change.
    #[must_use]
    pub fn plan(&self) -> PlanHandle {
        self.pool.plan()
    }

    /// What the device has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pool.stats()
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.pool.workers()
    }

    /// Makes the device fail: every open queue takes no more jobs and says so. A reset of the queue brings it back.
    pub fn fail(&self, reason: u32) {
        self.pool.fail(reason);
    }

    /// Takes the device away, for good: as a reset of the machine it is in, or a pulled card.
    pub fn unplug(&self) {
        self.pool.unplug();
    }
}

impl<M: DeviceModel> Bus for ThreadHost<M> {
    fn name(&self) -> &str {
        "threads"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        if !self.pool.is_alive() {
            return Vec::new();
        }
        let mut device = DeviceInfo::new(self.pool.name(), self.pool.model().interface());
        device.simulated = true;
        device.algorithms = self.pool.model().algorithms().iter().map(|name| (*name).to_owned()).collect();
        vec![device]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        if device != self.pool.name() {
            return Err(TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() });
        }
        if self.pool.is_foreign() || !self.pool.is_alive() {
            return Err(TransportError::Gone);
        }
        let event = Arc::new(Event::new()?);
        let model = self.pool.model();
        let part = |kind: &u16| {
            let backing = ThreadBacking::new(event.clone(), model.ring_memory());
            // One process, hence one address space.
            let queue = self.pool.open(backing, self.account.clone(), AddressSpace(1), *kind)?;
            tracing::debug!(device, ?queue, "queue opened");
            Ok(Part::new(self.pool.clone(), queue))
        };
        // If there are not enough of them, those that were opened are closed.
        let queues: Result<_, TransportError> = model.kinds().iter().map(part).collect();
        Ok(Arc::new(ThreadTransport::new(self.pool.clone(), event, queues?)))
    }
}
