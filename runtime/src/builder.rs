//! Building a runtime.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uaccel_devd_protocol::{default_socket, named_socket};
use uaccel_drivers::{
    edu::EduDriver, hisi::HisiZipDriver, local::LocalBus, null::NullDriver, software::SoftwareDriver,
    virtio_crypto::VirtioCryptoDriver, warp::WarpDriver,
};
use uaccel_queue::{Bus, Driver, MAX_DEPTH, QueueRequest};

use crate::choice::{self, DEVICE_VARIABLE};
use crate::devd::{DEVD, DevdBus, Priority};
use crate::device::{Device, DeviceCore, Options};
use crate::policy::{Fallback, OnLost};
use crate::reactor::Reactor;
use crate::runtime::{Inner, Runtime};
use crate::session::DroppedSessions;
use crate::sys::cpus;
use crate::sys::fork_mark::ForkMark;
use crate::uacce::UacceBus;
use crate::vfio::VfioBus;
use crate::{Error, Report};

/// More queues than threads would know how to use: places are set aside for them.
const MOST_QUEUES: usize = 1024;

/// The name of the CPU as a device.
pub(crate) const SOFTWARE: &str = uaccel_drivers::software::DEVICE;

/// Options for a [`Runtime`]. Every one has a default.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    drivers: Vec<Arc<dyn Driver>>,
    buses: Vec<Arc<dyn Bus>>,
    root: Option<PathBuf>,
    devd: Option<PathBuf>,
    priority: Priority,
    device: Option<String>,
    depth: usize,
    queues: usize,
    deadline: Duration,
    fallback: Fallback,
    on_lost: OnLost,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            drivers: vec![
                Arc::new(WarpDriver),
                Arc::new(HisiZipDriver),
                Arc::new(EduDriver),
                Arc::new(VirtioCryptoDriver),
                Arc::new(SoftwareDriver),
                Arc::new(NullDriver),
            ],
            buses: vec![
                Arc::new(LocalBus),
                #[cfg(feature = "sim")]
                Arc::new(crate::SimulatorBus::default()),
                #[cfg(feature = "sim")]
                Arc::new(crate::SimulatorBus::hisi_zip(Default::default(), Default::default(), Default::default())),
            ],
            root: None,
            devd: None,
            priority: Priority::default(),
            device: None,
            depth: 128,
            queues: cpus::usable().max(4),
            deadline: Duration::from_secs(10),
            fallback: Fallback::default(),
            on_lost: OnLost::default(),
        }
    }

    /// Registers a driver. Those registered here are asked before the built-in ones.
    pub fn driver(mut self, driver: Arc<dyn Driver>) -> Self {
        self.drivers.insert(0, driver);
        self
    }

    /// Registers a place where devices are found.
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.buses.insert(0, bus);
        self
    }

    /// Looks for the machine's devices in `sys` and `dev` in this folder. Without it the environment variable
    /// [`UACCEL_ROOT`](crate::uacce::ROOT_VARIABLE) is asked, then it is `/`.
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Looks for devices of the `uaccel-devd` with this socket as well, see [`devd`](crate::devd). Without it the environment variable
    /// [`UACCEL_DEVD`](crate::devd::SOCKET_VARIABLE) is asked; without that too, a daemon is looked for at the usual places, and only if the device named is
    /// `devd` or begins with `devd:`.
    pub fn devd(mut self, socket: impl Into<PathBuf>) -> Self {
        self.devd = Some(socket.into());
        self
    }

    /// Whether this process's jobs on a `uaccel-devd` come before or after those of others; neither unless said otherwise.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Names the device to use, or a bus, and then it is the best device of that. Without it the environment variable `UACCEL_DEVICE` is asked, then the best device is taken; simulated
    /// devices are only used by name.
    pub fn device(mut self, name: impl Into<String>) -> Self {
        self.device = Some(name.into());
        self
    }

    /// How many jobs can be in flight on one queue, 1 to 4096; 128 unless said otherwise. Devices may answer faster if it is at most 8.
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth.clamp(1, MAX_DEPTH);
        self
    }

    /// How many queues of the device are opened at most, 1 to 1024; as many as processors, and at least 4, unless said otherwise. A thread that needs
    /// one when all are in use waits.
    pub fn queues(mut self, queues: usize) -> Self {
        self.queues = queues.clamp(1, MOST_QUEUES);
        self
    }

    /// How long a job may take before it is taken back; 10 seconds unless said otherwise.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// When the CPU may take the device's place; [`Fallback::OnError`] unless said otherwise.
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// What a call that has lent memory does when the device neither finishes nor stops; [`OnLost::Park`] unless said otherwise.
    pub fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.on_lost = on_lost;
        self
    }

    /// What [`build`](Self::build) would choose, without opening anything.
    #[must_use]
    pub fn report(&self) -> Report {
        let (candidates, mut report) = self.choose();
        if let Some(best) = candidates.first() {
            report.choose(best);
        }
        report
    }

    /// Chooses a device and opens it. One that was not named and does not open is passed over for the next best, and the report says why.
    ///
    /// # Errors
    /// [`Error::NoDevice`] with a report, [`Error::Open`], [`Error::System`].
    pub fn build(self) -> Result<Runtime, Error> {
        let (candidates, mut report) = self.choose();
        if candidates.is_empty() {
            return Err(Error::NoDevice(Box::new(report)));
        }
        let fork = ForkMark::new().map_err(|source| Error::System { call: "mmap of the fork mark", source })?;
        let reactor = Reactor::new(fork.clone()).map_err(|source| Error::System { call: "eventfd", source })?;
        let reactor = Arc::new(reactor);
        let dropped = Arc::new(DroppedSessions::default());
        let open = |candidate: choice::Candidate| {
            let options = Options { deadline: self.deadline, on_lost: self.on_lost, queues: self.queues };
            let advertised = candidate.driver.advertised(&candidate.info);
            let request = QueueRequest::new(self.depth).with_algorithms(advertised.algorithms);
            Device::open(DeviceCore::new(candidate, request, options, dropped.clone(), fork.clone(), reactor.clone()))
        };
        let mut candidates = candidates.into_iter();
        let (chosen, device) = loop {
            let Some(candidate) = candidates.next() else { return Err(Error::NoDevice(Box::new(report))) };
            match open(candidate.clone()) {
                Ok(device) => break (candidate, device),
                Err(error) if candidates.len() == 0 => return Err(error),
                Err(error) => {
                    tracing::warn!(device = candidate.info.name, %error, "device does not open; trying the next");
                    report.rule_out(&candidate, &error);
                }
            }
        };
        report.choose(&chosen);
        // The null device does nothing, so nothing may be compared with it or stand in for it.
        let effective = device.granted.effective;
        let software = if chosen.info.name == SOFTWARE || !effective || self.fallback == Fallback::Never {
            None
        } else {
            let (software, _) = choice::choose(&self.buses, &self.drivers, Some(SOFTWARE));
            software.into_iter().next().map(open).transpose()?
        };
        tracing::info!(device = device.name(), "runtime ready");
        Ok(Runtime { inner: Arc::new(Inner { device, software, fallback: self.fallback, report, dropped, fork }) })
    }

    fn choose(&self) -> (Vec<choice::Candidate>, Report) {
        let from_environment = || std::env::var(DEVICE_VARIABLE).ok().filter(|name| !name.is_empty());
        let named = self.device.clone().or_else(from_environment);
        let machine = self.root.as_ref().map_or_else(UacceBus::new, UacceBus::at);
        let mut buses: Vec<Arc<dyn Bus>> = self.buses.clone();
        buses.push(Arc::new(machine));
        // Unless the program has brought one along, with its own rules.
        if !buses.iter().any(|bus| bus.name() == VfioBus::NAME) {
            buses.push(Arc::new(self.root.as_ref().map_or_else(VfioBus::new, VfioBus::at)));
        }
        buses.extend(self.daemon(named.as_deref()));
        choice::choose(&buses, &self.drivers, named.as_deref())
    }

    /// The devices of a daemon, if anybody asks for them, and the program has not brought them along.
    fn daemon(&self, named: Option<&str>) -> Option<Arc<dyn Bus>> {
        let is_named =
            |name: &str| name.strip_prefix(DEVD).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        let socket = self.devd.clone().or_else(named_socket);
        let socket = socket.or_else(|| named.is_some_and(is_named).then(default_socket))?;
        let there = self.buses.iter().any(|bus| bus.name() == DEVD);
        (!there).then(|| Arc::new(DevdBus::at(socket).with_priority(self.priority)) as Arc<dyn Bus>)
    }
}
