//! The host: workers, and the bus their device is on.

use core::fmt;
use core::sync::atomic::Ordering;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};
use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};

use super::shared::Shared;
use super::sleepers::Sleepers;
use super::transport::ThreadTransport;
use super::worker::Worker;
use crate::{DeviceModel, Plan, PlanHandle, Stats};

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
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadHostError {
    /// There would be nobody to do the work.
    #[error("a device needs at least one worker")]
    NoWorkers,
    /// No thread could be started.
    #[error("worker cannot be started")]
    Thread(#[source] io::Error),
    /// A worker cannot run where it should.
    #[error("worker cannot be bound to CPU {cpu}")]
    Pin {
        /// Where.
        cpu: usize,
        /// Why.
        source: io::Error,
    },
}

/// A device model on threads of this process: a bus with one device.
///
/// The device runs until this value and all transports opened from it are dropped. In a child made by `fork` there is no device: what is used
/// there answers [`TransportError::Gone`].
pub struct ThreadHost<M: DeviceModel> {
    core: Arc<Core<M>>,
}

/// What host and transports keep together: the last one to go ends the workers.
pub(super) struct Core<M: DeviceModel> {
    pub(super) shared: Arc<Shared<M>>,
    device: String,
    workers: Mutex<Vec<JoinHandle<()>>>,
    process: Pid,
}

impl<M: DeviceModel> ThreadHost<M> {
    /// Starts the workers.
    ///
    /// # Errors
    /// See [`ThreadHostError`].
    pub fn new(model: M, config: ThreadHostConfig, plan: Plan) -> Result<Self, ThreadHostError> {
        let cpus = usable_cpus(config.pin.is_some());
        let workers = config.workers.unwrap_or_else(|| cpus.saturating_sub(1).max(1));
        if workers == 0 {
            return Err(ThreadHostError::NoWorkers);
        }
        let sleepers = Arc::new(Sleepers::default());
        let bell = sleepers.clone();
        let plan = PlanHandle::new(plan, model.engines(), move || bell.wake());
        let shared = Arc::new(Shared::new(model, plan, sleepers, workers));
        // From here on dropping the core ends whatever was started.
        let core = Arc::new(Core { shared, device: config.device, workers: Mutex::default(), process: Pid::this() });
        for index in 0..workers {
            let worker = Worker::new(core.shared.clone(), index, workers < cpus);
            let cpu = config.pin.map(|first| first + index);
            let (report, bound) = mpsc::channel();
            let thread = thread::Builder::new().name(format!("{}-{index}", core.device)).spawn(move || {
                let outcome = cpu.map_or(Ok(()), bind);
                let bound = outcome.is_ok();
                // Whoever started us waits for this.
                let _ = report.send(outcome);
                if bound {
                    worker.run();
                }
            });
            core.workers().push(thread.map_err(ThreadHostError::Thread)?);
            bound.recv().unwrap_or(Ok(()))?;
        }
        Ok(Self { core })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.core.shared.model
    }

    /// The plan, to look at and to change.
    #[must_use]
    pub fn plan(&self) -> PlanHandle {
        self.core.shared.plan.clone()
    }

    /// What the device has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.shared.stats()
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.core.shared.serving.len()
    }

    /// Makes the device fail: every open queue takes no more jobs and says so. A reset of the queue brings it back.
    pub fn fail(&self, reason: u32) {
        self.core.shared.fail(reason);
    }

    /// Takes the device away, for good: as a reset of the machine it is in, or a pulled card.
    pub fn unplug(&self) {
        self.core.shared.alive.store(false, Ordering::Relaxed);
        self.core.shared.fail(0);
    }
}

impl<M: DeviceModel> Bus for ThreadHost<M> {
    fn name(&self) -> &str {
        "threads"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        if !self.core.shared.alive.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut device = DeviceInfo::new(&self.core.device, self.core.shared.model.interface());
        device.simulated = true;
        vec![device]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        if device != self.core.device {
            return Err(TransportError::NoSuchDevice { bus: self.name().to_owned(), device: device.to_owned() });
        }
        if self.core.is_foreign() || !self.core.shared.alive.load(Ordering::Relaxed) {
            return Err(TransportError::Gone);
        }
        let queue = self.core.shared.open(device)?;
        tracing::debug!(device, queue = queue.id, "queue opened");
        Ok(Arc::new(ThreadTransport::new(self.core.clone(), queue)))
    }
}

impl<M: DeviceModel> Core<M> {
    /// Whether this is a forked child of the process that has the workers.
    pub(super) fn is_foreign(&self) -> bool {
        Pid::this() != self.process
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: DeviceModel> Drop for Core<M> {
    fn drop(&mut self) {
        let workers = core::mem::take(&mut *self.workers());
        if self.is_foreign() {
            // They do not exist here; only their handles do.
            workers.into_iter().for_each(core::mem::forget);
            return;
        }
        self.shared.shut.store(true, Ordering::Relaxed);
        self.shared.sleepers.shut();
        for worker in workers {
            if worker.join().is_err() {
                tracing::error!(device = %self.device, "a worker panicked");
            }
        }
    }
}

impl<M: DeviceModel> fmt::Debug for ThreadHost<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadHost")
            .field("model", &self.core.shared.model)
            .field("device", &self.core.device)
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}

/// How many CPUs workers and users have together. Workers that are bound to CPUs need not be where the caller is, so for them all count.
fn usable_cpus(bound: bool) -> usize {
    let online = || usize::try_from(sysconf(SysconfVar::_NPROCESSORS_ONLN).ok()??).ok();
    let usable = || thread::available_parallelism().map_or(1, usize::from);
    if bound { online().unwrap_or_else(usable) } else { usable() }
}

/// Binds the calling thread to a CPU.
fn bind(cpu: usize) -> Result<(), ThreadHostError> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|errno| ThreadHostError::Pin { cpu, source: errno.into() })
}
