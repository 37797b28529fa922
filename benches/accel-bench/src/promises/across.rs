//! Several processes and one device: `uaccel-devd` beside what two processes can do at best.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use accel_bench_raw::{BetweenProcesses, Errand, Launcher, PAUSE, Pairs, RawError, Spread, after_pauses, pin};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use uaccel_devd::reach::Reach;
use uaccel_runtime::{Lease, Runtime};

use super::pages::Pages;
use super::{Bench, Bound, Promise, PromiseError, Ratio, SHALLOW, all_good, nothing};
use crate::Interrupt;
use crate::device::{Device, DeviceOptions};
use crate::own_daemon::OwnDaemon;
use crate::processes::{OpenOrder, Team};
use crate::random::Random;

/// What is promised of several processes.
pub(super) fn promises() -> Vec<Promise> {
    const ONE: &str = "uaccel-devd on the other CPU, one client / what two processes can do at best";
    const MANY: &str = "uaccel-devd, several clients on one CPU, jobs that do nothing, depth 128";
    const LIFE: &str = "uaccel-devd, life and death";
    let one = |name, what, bound, measure| Promise { name, group: ONE, what, bound, two_cpus: true, measure };
    let many = |name, what, bound, measure| Promise { name, group: MANY, what, bound, two_cpus: true, measure };
    let life = |name, what, bound, measure| Promise { name, group: LIFE, what, bound, two_cpus: false, measure };
    vec![
        one("devd-round-trip", "round trip / mailbox", Bound::TimeAtMost(1.5), Bench::devd_round_trip),
        one("devd-copy-4k", "copy of 4 KiB / mailbox, read, write", Bound::TimeAtMost(1.25), |bench| {
            bench.devd_copy(4 << 10)
        }),
        one("devd-copy-64k", "copy of 64 KiB / mailbox, read, write", Bound::TimeAtMost(1.25), |bench| {
            bench.devd_copy(64 << 10)
        }),
        one("devd-burst-16", "16 copies of 256 B / 16 alone", Bound::TimeAtMost(0.5), Bench::devd_burst),
        one("devd-window-4k", "window, 4 KiB / mailbox, copy", Bound::TimeAtMost(1.3), Bench::devd_window),
        one("devd-wake", "sleeping round trip / futex", Bound::TimeAtMost(1.15), Bench::devd_wake),
        many("devd-clients-2", "jobs/s, 2 clients / one", Bound::RateAtLeast(0.9), |bench| bench.devd_clients(2)),
        many("devd-clients-4", "jobs/s, 4 clients / one", Bound::RateAtLeast(0.9), |bench| bench.devd_clients(4)),
        many("devd-clients-8", "jobs/s, 8 clients / one", Bound::RateAtLeast(0.9), |bench| bench.devd_clients(8)),
        many("devd-share-2", "smallest / largest share of 2", Bound::RateAtLeast(0.7), |bench| bench.devd_share(2)),
        many("devd-share-4", "smallest / largest share of 4", Bound::RateAtLeast(0.7), |bench| bench.devd_share(4)),
        many("devd-share-8", "smallest / largest share of 8", Bound::RateAtLeast(0.7), |bench| bench.devd_share(8)),
        life("devd-idle", "CPU of daemon and 2 clients / time", Bound::TimeAtMost(0.0), Bench::devd_idle),
        life("devd-reclaim", "queues back after kill, p99 / 100 ms", Bound::TimeAtMost(1.0), Bench::devd_reclaim),
    ]
}

/// Operations per repetition of a round trip, as for the engine on a thread.
const ROUND_TRIPS: u64 = 10_000;
/// Bytes of a small job.
const SMALL: usize = 256;
/// Small jobs of a burst.
const BURST: usize = 16;
/// Time of a repetition with several clients: many turns of the system's scheduler, which shares the clients' CPU out in slices of some
/// milliseconds. That the last slice falls to one of them counts in the shares.
const STRETCH: Duration = Duration::from_millis(300);
const SHARE_STRETCH: Duration = Duration::from_millis(600);
/// Such repetitions are long, and there are no more of them than this, however many pairs are wanted.
const MOST_STRETCHES: usize = 15;
/// Jobs in flight of each of several clients.
const DEEP: usize = 128;
/// Jobs per doorbell.
const PER_DOORBELL: usize = 32;
/// What reclaiming is held against.
const RECLAIM: f64 = 100e6;
/// How long to wait for queues that do not come back.
const RECLAIM_PATIENCE: Duration = Duration::from_secs(30);

/// A client in this process.
struct Client {
    // Dropped in this order: the queue goes before the daemon.
    lease: Lease,
    runtime: Runtime,
    daemon: OwnDaemon,
}

impl Bench {
    /// A daemon of our own with one worker on the engine's CPU, if there is one.
    fn daemon(&self) -> Result<OwnDaemon, PromiseError> {
        Ok(OwnDaemon::start(self.placement.engine())?)
    }

    fn client(&self, depth: usize) -> Result<Client, PromiseError> {
        let daemon = self.daemon()?;
        let options = DeviceOptions { depth, socket: Some(daemon.socket().to_owned()), ..DeviceOptions::default() };
        let runtime = Device::open(OwnDaemon::DEVICE, &options)?.runtime;
        let lease = runtime.lease()?;
        Ok(Client { lease, runtime, daemon })
    }

    fn limit(&self, errand: Errand, bytes: usize) -> Result<BetweenProcesses, RawError> {
        BetweenProcesses::new(self.placement, &launcher()?, errand, bytes)
    }

    fn devd_round_trip(&self) -> Result<Ratio, PromiseError> {
        let mut client = self.client(SHALLOW)?;
        let mut limit = self.limit(Errand::Answer, 1)?;
        self.against(ROUND_TRIPS, |n| nothing(&mut client.lease, n), &mut limit)
    }

    fn devd_copy(&self, bytes: usize) -> Result<Ratio, PromiseError> {
        let mut client = self.client(SHALLOW)?;
        let errand = if bytes > Reach::FEW { client.errand()? } else { Errand::CopyByFile };
        let mut limit = self.limit(errand, bytes)?;
        let mut memory = Pages::new(&[bytes, bytes]);
        memory.fill_first();
        let operations = if bytes > 16 << 10 { 500 } else { 2_000 };
        let (source, destination) = memory.two();
        let ratio = self.against(
            operations,
            |n| {
                let mut good = 0;
                for _ in 0..n {
                    client.lease.scope(|scope| {
                        scope.copy(source, destination)?;
                        scope.finish(|answer| good += u64::from(answer.is_ok()))
                    })??;
                }
                all_good(good, n)
            },
            &mut limit,
        )?;
        if source == destination { Ok(ratio) } else { Err(PromiseError::Wrong("the copy is not what it is a copy of")) }
    }

    fn devd_burst(&self) -> Result<Ratio, PromiseError> {
        let mut client = self.client(BURST)?;
        let errand = client.errand()?;
        let mut limit = self.limit(errand, SMALL)?;
        let mut memory = Pages::new(&[BURST * SMALL, BURST * SMALL]);
        memory.fill_first();
        let (source, destination) = memory.two();
        let ratio = self.against(
            // Whole bursts, also of the eighth that comes before the clock.
            (BURST * 8 * 32) as u64,
            |n| {
                let bursts = n.div_ceil(BURST as u64);
                let mut good = 0;
                for _ in 0..bursts {
                    client.lease.scope(|scope| {
                        for (from, to) in source.chunks(SMALL).zip(destination.chunks_mut(SMALL)) {
                            scope.copy(from, to)?;
                        }
                        scope.finish(|answer| good += u64::from(answer.is_ok()))
                    })??;
                }
                all_good(good, bursts * BURST as u64)
            },
            &mut limit,
        )?;
        if source == destination { Ok(ratio) } else { Err(PromiseError::Wrong("the copy is not what it is a copy of")) }
    }

    fn devd_window(&self) -> Result<Ratio, PromiseError> {
        const BYTES: usize = 4 << 10;
        let mut client = self.client(SHALLOW)?;
        let mut source = client.runtime.shared_buffer(BYTES);
        let mut destination = client.runtime.shared_buffer(BYTES);
        if !source.is_registered() || !destination.is_registered() {
            return Err(PromiseError::Wrong("the daemon registers no window"));
        }
        let mut limit = self.limit(Errand::CopyInPlace, BYTES)?;
        let mut serial = 0_u8;
        let ratio = self.against(
            5_000,
            |n| {
                let mut good = 0;
                for _ in 0..n {
                    serial = serial.wrapping_add(1);
                    // As the limit does: what is copied was just written, on this CPU.
                    source.fill(serial);
                    client.lease.scope(|scope| {
                        scope.copy(&source, &mut destination)?;
                        scope.finish(|answer| good += u64::from(answer.is_ok()))
                    })??;
                }
                all_good(good, n)
            },
            &mut limit,
        )?;
        let right = source[..] == destination[..] && source[0] == serial;
        if right { Ok(ratio) } else { Err(PromiseError::Wrong("the copy is not what it is a copy of")) }
    }

    fn devd_wake(&self) -> Result<Ratio, PromiseError> {
        const OPERATIONS: u64 = 30;
        let mut client = self.client(SHALLOW)?;
        let mut limit = self.limit(Errand::Wake, 1)?;
        self.pair(
            || {
                let _pin = pin(self.placement.caller())?;
                after_pauses(OPERATIONS, PAUSE, || nothing(&mut client.lease, 1))
            },
            || Ok(accel_bench_raw::Limit::measure(&mut limit, OPERATIONS)?),
        )
    }

    /// So many processes with a queue each, all on the caller's CPU.
    fn team(&self, daemon: &OwnDaemon, size: usize, cpu: Option<usize>) -> Result<Team, PromiseError> {
        let open = OpenOrder {
            device: OwnDaemon::DEVICE.to_owned(),
            depth: DEEP,
            threads: 1,
            socket: Some(daemon.socket().to_owned()),
            cpu,
            files: Vec::new(),
            seed: 1,
            corrupt: false,
        };
        Ok(Team::start(size, &open, &Interrupt::default())?)
    }

    /// Nanoseconds per job: of all clients together, and of one while the others sleep.
    fn devd_clients(&self, count: usize) -> Result<Ratio, PromiseError> {
        let daemon = self.daemon()?;
        let team = std::cell::RefCell::new(self.team(&daemon, count, Some(self.placement.caller()))?);
        let together = |count| -> Result<f64, PromiseError> {
            Ok(1e9 / team.borrow_mut().count(PER_DOORBELL, count, STRETCH)?.iter().sum::<f64>())
        };
        let pairs = Pairs::new(self.pairs.count().min(MOST_STRETCHES))?;
        Ok(Ratio::of_pairs(pairs.run(|| together(count), || together(1))?))
    }

    /// Nanoseconds per job: of the client that gets least, and of the one that gets most.
    fn devd_share(&self, count: usize) -> Result<Ratio, PromiseError> {
        let daemon = self.daemon()?;
        let mut team = self.team(&daemon, count, Some(self.placement.caller()))?;
        let (mut least, mut most, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.pairs.count().min(MOST_STRETCHES) {
            if self.interrupt.is_set() && !ratios.is_empty() {
                break;
            }
            let mut times: Vec<f64> =
                team.count(PER_DOORBELL, count, SHARE_STRETCH)?.iter().map(|rate| 1e9 / rate).collect();
            let spread = spread(&mut times)?;
            ratios.push(spread.max / spread.min);
            least.push(spread.max);
            most.push(spread.min);
        }
        Ok(Ratio::of(spread(&mut ratios)?, spread(&mut least)?.median, spread(&mut most)?.median))
    }

    /// Nanoseconds of CPU in a second in which nobody has anything to do.
    fn devd_idle(&self) -> Result<Ratio, PromiseError> {
        const SECOND: Duration = Duration::from_secs(1);
        const LOOKS: usize = 3;
        let daemon = self.daemon()?;
        let mut team = self.team(&daemon, 2, None)?;
        // They have done something, and then nothing more.
        team.count(PER_DOORBELL, 2, Duration::from_millis(20))?;
        let clocks = [daemon.pid()].into_iter().chain(team.pids()).map(cpu_clock).collect::<Result<Vec<_>, _>>()?;
        let used = || clocks.iter().map(|clock| cpu_time(*clock)).sum::<Result<Duration, _>>();
        // Who spins for a while before it sleeps has come to sleep after this.
        std::thread::sleep(SECOND / 2);
        let mut shares = Vec::new();
        for _ in 0..LOOKS {
            let (begun, before) = (Instant::now(), used()?);
            std::thread::sleep(SECOND);
            let cpu = used()?.saturating_sub(before);
            shares.push(cpu.as_secs_f64() / begun.elapsed().as_secs_f64());
        }
        let share = spread(&mut shares)?;
        Ok(Ratio::of(share, share.median * 1e9, 1e9))
    }

    /// Nanoseconds from a `kill -9` until the daemon has the client's queues back.
    fn devd_reclaim(&self) -> Result<Ratio, PromiseError> {
        let daemon = self.daemon()?;
        let mut watch = uaccel_cli::daemon::Daemon::at(Some(daemon.socket().to_owned()));
        let mut random = Random::new(1);
        let mut times = Vec::with_capacity(self.kills);
        for _ in 0..self.kills {
            if self.interrupt.is_set() && !times.is_empty() {
                break;
            }
            let mut team = self.team(&daemon, 1, None)?;
            team.keep_busy(PER_DOORBELL)?;
            std::thread::sleep(Duration::from_micros(random.below(2_000) as u64));
            let busy = queues_open(&watch.status()?)?;
            if busy == 0 {
                return Err(PromiseError::Wrong("the client that is to be killed has no queue"));
            }
            let begun = Instant::now();
            let ended = team.kill_all()?;
            while queues_open(&watch.status()?)? != 0 {
                if begun.elapsed() > RECLAIM_PATIENCE {
                    return Err(PromiseError::Wrong("queues of a killed client did not come back within 30 seconds"));
                }
            }
            times.push(begun.elapsed().as_secs_f64() * 1e9);
            if ended.iter().any(|status| status.signal() != Some(9)) {
                return Err(PromiseError::Wrong("the client had ended before it was killed"));
            }
        }
        times.sort_by(f64::total_cmp);
        let p99 = percentile(&times, 99.0);
        let spread = spread(&mut times.clone())?;
        let figures = [
            ("kills", times.len() as f64),
            ("p50_ns", percentile(&times, 50.0)),
            ("p90_ns", percentile(&times, 90.0)),
            ("p99_ns", p99),
            ("max_ns", spread.max),
        ];
        let ratio = Spread { min: spread.min / RECLAIM, median: p99 / RECLAIM, max: spread.max / RECLAIM };
        Ok(Ratio { figures: figures.into_iter().collect(), ..Ratio::of(ratio, p99, RECLAIM) })
    }
}

impl Client {
    /// What the daemon does for a copy of this client's memory.
    fn errand(&mut self) -> Result<Errand, PromiseError> {
        let status = uaccel_cli::daemon::Daemon::at(Some(self.daemon.socket().to_owned())).status()?;
        match status["clients"][0]["access"].as_str() {
            Some("vectored") => Ok(Errand::CopyByCall),
            Some("mem") => Ok(Errand::CopyByFile),
            _ => Err(PromiseError::Wrong("the daemon does not say how it reaches this process's memory")),
        }
    }
}

/// This program as the other process of a limit.
pub(crate) fn launcher() -> Result<Launcher, RawError> {
    Launcher::of_this_program(["raw-partner"])
}

fn queues_open(status: &serde_json::Value) -> Result<u64, PromiseError> {
    let devices = status["devices"].as_array().ok_or(PromiseError::Wrong("the daemon's status has no devices"))?;
    let open = devices.iter().map(|device| device["queues_open"].as_u64());
    let open = open.sum::<Option<u64>>().ok_or(PromiseError::Wrong("the daemon's status has no queues_open"))?;
    // A client whose queues are back is still a client until its address space is.
    Ok(open + status["clients"].as_array().map_or(0, Vec::len) as u64)
}

fn spread(figures: &mut [f64]) -> Result<Spread, PromiseError> {
    Spread::of(figures).ok_or(PromiseError::Wrong("nothing was measured"))
}

/// The smallest of sorted figures that so many percent are not above.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the number of figures")]
fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

fn cpu_clock(pid: u32) -> Result<ClockId, PromiseError> {
    let system = |source: std::io::Error| PromiseError::System { call: "clock_getcpuclockid", source };
    let pid = i32::try_from(pid).map_err(|_| system(std::io::ErrorKind::NotFound.into()))?;
    clock_getcpuclockid(Pid::from_raw(pid)).map_err(|errno| system(errno.into()))
}

fn cpu_time(clock: ClockId) -> Result<Duration, PromiseError> {
    let system = |errno: nix::Error| PromiseError::System { call: "clock_gettime", source: errno.into() };
    clock_gettime(clock).map(Duration::from).map_err(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_figures_that_were_measured() {
        let figures: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!([50.0, 99.0, 100.0].map(|percent| percentile(&figures, percent)), [500.0, 990.0, 1000.0]);
        assert_eq!((percentile(&[7.0], 99.0), percentile(&[], 99.0)), (7.0, 0.0));
    }
}
