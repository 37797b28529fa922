//! How much happens in a second, from two looks at counters.

use serde::Serialize;
use uaccel_devd::{ClientStatus, DeviceStatus};

use crate::view::View;

/// What a client did in the time between two looks; if there was only one, since it connected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientRates {
    /// The number of its address space.
    pub pasid: u32,
    /// Its process.
    pub pid: i32,
    /// Jobs per second.
    pub jobs_per_second: f64,
    /// Bytes read and written per second.
    pub bytes_per_second: f64,
    /// Jobs per second that met an address that is not there.
    pub faults_per_second: f64,
    /// How long a job waited for a worker, on average.
    pub wait_ns_per_job: f64,
    /// How long a worker spent on a job, on average.
    pub service_ns_per_job: f64,
    /// Workers kept busy, on average.
    pub workers: f64,
}

/// What a device did in the time between two looks; if there was only one, since the daemon started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceRates {
    /// Its name.
    pub name: String,
    /// Jobs per second.
    pub jobs_per_second: f64,
    /// Bytes read and written per second.
    pub bytes_per_second: f64,
    /// Jobs per second that met an address that is not there.
    pub faults_per_second: f64,
    /// Wake-ups of clients per second.
    pub signals_per_second: f64,
}

/// The rates of everybody, in the order of the later status.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Of each device.
    pub devices: Vec<DeviceRates>,
    /// Of each client.
    pub clients: Vec<ClientRates>,
}

impl Rates {
    /// What happened between an earlier look and this one. What was not there earlier is counted from its beginning.
    #[must_use]
    pub fn between(before: Option<&View>, now: &View) -> Self {
        // Another daemon at the same place counts from zero.
        let before = before.filter(|before| before.pid == now.pid && before.uptime_ns < now.uptime_ns);
        let devices = now.devices.iter().map(|device| {
            let same = before.and_then(|before| before.devices.iter().find(|other| other.name == device.name));
            let elapsed = now.uptime_ns - same.and(before).map_or(0, |before| before.uptime_ns);
            device_rates(same, device, seconds(elapsed))
        });
        let clients = now.clients.iter().map(|client| {
            let same = before.and_then(|before| {
                before.clients.iter().find(|other| {
                    // A number of an address space is used again.
                    (other.pasid, other.pid) == (client.pasid, client.pid) && other.connected_ns < client.connected_ns
                })
            });
            let elapsed = client.connected_ns - same.map_or(0, |same| same.connected_ns);
            client_rates(same, client, seconds(elapsed))
        });
        Self { devices: devices.collect(), clients: clients.collect() }
    }
}

fn device_rates(earlier: Option<&DeviceStatus>, now: &DeviceStatus, seconds: f64) -> DeviceRates {
    let rate = |of: fn(&DeviceStatus) -> u64| per(of(now).saturating_sub(earlier.map_or(0, of)), seconds);
    DeviceRates {
        name: now.name.clone(),
        jobs_per_second: rate(|device| device.jobs),
        bytes_per_second: rate(|device| device.bytes),
        faults_per_second: rate(|device| device.faults),
        signals_per_second: rate(|device| device.signals),
    }
}

fn client_rates(earlier: Option<&ClientStatus>, now: &ClientStatus, seconds: f64) -> ClientRates {
    let added = |of: fn(&ClientStatus) -> u64| of(now).saturating_sub(earlier.map_or(0, of));
    let jobs = added(|client| client.jobs) as f64;
    ClientRates {
        pasid: now.pasid,
        pid: now.pid,
        jobs_per_second: per(added(|client| client.jobs), seconds),
        bytes_per_second: per(added(|client| client.bytes), seconds),
        faults_per_second: per(added(|client| client.faults), seconds),
        wait_ns_per_job: per(added(|client| client.wait_ns), jobs),
        service_ns_per_job: per(added(|client| client.service_ns), jobs),
        workers: per(added(|client| client.service_ns), seconds) / 1e9,
    }
}

fn per(what: u64, unit: f64) -> f64 {
    if unit > 0.0 { what as f64 / unit } else { 0.0 }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A status as a daemon says it, with other figures.
    fn status(uptime: u64, connected: u64, jobs: u64) -> View {
        let mut status: View = serde_json::from_str(include_str!("../tests/status.json")).expect("a status");
        status.uptime_ns = uptime * SECOND;
        status.devices[0].jobs = 2 * jobs;
        let client = &mut status.clients[0];
        (client.connected_ns, client.jobs, client.bytes) = (connected * SECOND, jobs, 4096 * jobs);
        (client.wait_ns, client.service_ns) = (100 * jobs, 2000 * jobs);
        status
    }

    #[test]
    fn a_rate_is_what_was_added_by_the_time_between() {
        let rates = Rates::between(Some(&status(100, 50, 1000)), &status(102, 52, 5000));
        let client = &rates.clients[0];
        assert_eq!((client.jobs_per_second, client.bytes_per_second), (2000.0, 2000.0 * 4096.0));
        assert_eq!((client.wait_ns_per_job, client.service_ns_per_job, client.workers), (100.0, 2000.0, 0.004));
        assert_eq!(rates.devices[0].jobs_per_second, 4000.0);
    }

    #[test]
    fn one_look_alone_gives_averages_since_the_beginning() {
        let rates = Rates::between(None, &status(100, 10, 1000));
        assert_eq!((rates.clients[0].jobs_per_second, rates.devices[0].jobs_per_second), (100.0, 20.0));
    }

    #[test]
    fn another_client_with_the_same_number_is_not_the_same_client() {
        // It has been connected for less time than the one before.
        let rates = Rates::between(Some(&status(100, 50, 1000)), &status(101, 1, 30));
        assert_eq!(rates.clients[0].jobs_per_second, 30.0);
        // Nor is a daemon that was started anew the same daemon.
        let rates = Rates::between(Some(&status(100, 50, 1000)), &status(2, 60, 40));
        assert_eq!(rates.devices[0].jobs_per_second, 40.0);
    }
}
