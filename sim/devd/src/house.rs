//! What all sessions of a server have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use uaccel_sim::DeviceModel as _;

use crate::alert::Alert;
use crate::client::{Client, priority_name};
use crate::device::{self, Device};
use crate::limits::{Census, Limits};
use crate::pasid::Pasids;
use crate::status::{ClientStatus, DeviceStatus, Status};

/// What all sessions of a server have in common.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) devices: Vec<Device>,
    pub(crate) limits: Limits,
    pub(crate) census: Arc<Census>,
    pub(crate) pasids: Arc<Pasids>,
    pub(crate) greeting: Duration,
    /// The user whose server this is.
    pub(crate) uid: u32,
    socket: PathBuf,
    started: Instant,
    guests: Mutex<Guests>,
    /// Told whenever a session ends.
    left: Condvar,
}

#[derive(Debug, Default)]
struct Guests {
    last: u64,
    closing: bool,
    here: BTreeMap<u64, Guest>,
}

/// One session, as others know it.
#[derive(Debug)]
struct Guest {
    alert: Arc<Alert>,
    client: Option<Arc<Client>>,
}

/// A session's entry, which ends with it.
#[derive(Debug)]
pub(crate) struct Entry {
    number: u64,
    house: Arc<House>,
}

impl House {
    pub(crate) fn new(devices: Vec<Device>, limits: Limits, greeting: Duration, socket: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            devices,
            limits,
            census: Census::new(limits),
            pasids: Arc::default(),
            greeting,
            uid: geteuid().as_raw(),
            socket,
            started: Instant::now(),
            guests: Mutex::default(),
            left: Condvar::new(),
        })
    }

    /// Lets a session in; `None` if the server ends.
    pub(crate) fn enter(self: &Arc<Self>, alert: Arc<Alert>) -> Option<Entry> {
        let mut guests = self.guests();
        if guests.closing {
            return None;
        }
        guests.last += 1;
        let number = guests.last;
        guests.here.insert(number, Guest { alert, client: None });
        Some(Entry { number, house: self.clone() })
    }

    /// Tells all sessions to end, and lets nobody in any more.
    pub(crate) fn close(&self) {
        let mut guests = self.guests();
        guests.closing = true;
        guests.here.values().for_each(|guest| guest.alert.drain());
    }

    /// Waits until all sessions have ended. How many have not after `within`.
    pub(crate) fn await_empty(&self, within: Duration) -> usize {
        let guests = self.guests();
        let waited = self.left.wait_timeout_while(guests, within, |guests| !guests.here.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.here.len()
    }

    /// Whether workers fence for all clients that have registered for it.
    pub(crate) fn fences(&self) -> bool {
        self.devices.iter().all(Device::fences_for_all)
    }

    /// What the server tells a user of itself.
    pub(crate) fn status(&self, viewer: u32) -> Status {
        let sees_all = viewer == 0 || viewer == self.uid;
        let clients: Vec<Arc<Client>> = self.guests().here.values().filter_map(|guest| guest.client.clone()).collect();
        let mut clients: Vec<ClientStatus> = clients
            .iter()
            .filter(|client| sees_all || client.uid == viewer)
            .map(|client| client_status(client))
            .collect();
        clients.sort_by_key(|client| client.pasid);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uid: self.uid,
            socket: self.socket.clone(),
            uptime_ns: nanos(self.started.elapsed()),
            devices: self.devices.iter().map(device_status).collect(),
            clients,
            limits: self.limits,
        }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The session has become a client's.
    pub(crate) fn introduce(&self, client: &Arc<Client>) {
        if let Some(guest) = self.house.guests().here.get_mut(&self.number) {
            guest.client = Some(client.clone());
        }
    }

    /// The client is no longer one; its address space is free.
    pub(crate) fn bid_farewell(&self) {
        let client = self.house.guests().here.get_mut(&self.number).and_then(|guest| guest.client.take());
        // Dropped without the lock.
        drop(client);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let guest = self.house.guests().here.remove(&self.number);
        drop(guest);
        self.house.left.notify_all();
    }
}

fn device_status(device: &Device) -> DeviceStatus {
    let stats = device.stats();
    DeviceStatus {
        name: device.name().to_owned(),
        interface: device.model().interface().to_owned(),
        queues: device::queues(device).0,
        queues_open: device.open_queues(),
        engines: device.model().engines(),
        workers: device.workers(),
        lanes: device.lanes(),
        leaked_queues: stats.leaked_queues,
        jobs: stats.total.jobs,
        bytes: stats.total.bytes,
        faults: stats.total.faults,
        page_requests: stats.total.page_requests,
        signals: stats.total.signals,
    }
}

fn client_status(client: &Client) -> ClientStatus {
    let stats = client.stats();
    ClientStatus {
        pasid: client.pasid.number(),
        pid: client.pid.unwrap_or(0),
        uid: client.uid,
        command: client.command.clone(),
        priority: priority_name(client.priority).to_owned(),
        queues: client.queues.load(core::sync::atomic::Ordering::Relaxed),
        windows: client.memory.windows().len(),
        access: client.memory.reach().name().to_owned(),
        connected_ns: nanos(client.connected.elapsed()),
        jobs: stats.jobs,
        bytes: stats.bytes,
        faults: stats.faults,
        wait_ns: nanos(stats.wait),
        service_ns: nanos(stats.service),
        blocked: stats.blocked,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
