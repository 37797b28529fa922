//! The framework beside the physical limits: every promise about speed as a ratio, both sides timed in turn in one run.
//!
//! What is called *framework* here goes through the public interface, with sessions, validation and counters on. What is called *limit* is a
//! hand-written protocol of [`accel_bench_raw`], or the library under the CPU path called directly. What is promised of several processes is measured
//! on a `uaccel-devd` that is started for it, on a socket of its own.

mod across;
mod pages;
mod software;

use std::collections::BTreeMap;
use std::time::Instant;

use accel_bench_raw::{
    DynQueue, Limit, Mailbox, PairReport, Pairs, Placement, RawError, RingShape, Rings, Spread, pin,
};
use serde::Serialize;
use uaccel_cli::daemon::DaemonError;
use uaccel_cli::reason::with_sources;
use uaccel_runtime::{Error, Lease, OwnedWork, Runtime};

use crate::Interrupt;
use crate::device::{Device, DeviceOptions};
use crate::exit::Failure;

pub(crate) use across::launcher;

/// Something that is promised about speed.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// The name in reports.
    pub name: &'static str,
    group: &'static str,
    what: &'static str,
    bound: Bound,
    two_cpus: bool,
    measure: fn(&Bench) -> Result<Ratio, PromiseError>,
}

/// What is promised of a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// Time of the framework by time of the limit is at most this.
    TimeAtMost(f64),
    /// Throughput of the framework by that of the limit is at least this.
    RateAtLeast(f64),
    /// Nothing; the ratio of times is shown beside the others.
    Time,
    /// Nothing; the ratio of throughputs is shown beside the others.
    Rate,
}

/// A promise, judged.
#[derive(Clone, Debug, Serialize)]
pub struct PromiseReport {
    /// Its name.
    pub name: &'static str,
    /// What kind it is of.
    pub group: &'static str,
    /// What is compared.
    pub what: &'static str,
    /// Nanoseconds per operation of the framework, median.
    pub framework_ns: Option<f64>,
    /// Nanoseconds per operation of the limit, median.
    pub limit_ns: Option<f64>,
    /// The median of the pair ratios: of times against the raw protocols, of rates where `at_least` is promised.
    pub ratio: Option<f64>,
    /// The smallest ratio.
    pub ratio_min: Option<f64>,
    /// The largest ratio.
    pub ratio_max: Option<f64>,
    /// The ratio promised at most.
    pub at_most: Option<f64>,
    /// The ratio promised at least.
    pub at_least: Option<f64>,
    /// Whether it is kept.
    pub verdict: Verdict,
    /// What else was found, by name.
    pub figures: BTreeMap<&'static str, f64>,
    /// Why it cannot be measured on this machine.
    pub unavailable: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Whether a promise is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is.
    Kept,
    /// It is not.
    Missed,
    /// Nothing is promised, or nothing could be measured.
    None,
}

/// Why a promise could not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromiseError {
    /// The limit could not be measured.
    #[error(transparent)]
    Limit(#[from] RawError),
    /// The framework could not be measured.
    #[error(transparent)]
    Framework(#[from] Error),
    /// A device could not be opened.
    #[error(transparent)]
    Device(#[from] Failure),
    /// The daemon does not say what is asked of it.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The system did not do what was asked of it.
    #[error("{call} failed")]
    System {
        /// The call.
        call: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A job did not end well, or its result is not what it should be.
    #[error("{0}")]
    Wrong(&'static str),
}

/// Medians in nanoseconds, and ratios of times.
#[derive(Clone, Debug)]
struct Ratio {
    framework: f64,
    limit: f64,
    min: f64,
    median: f64,
    max: f64,
    /// What else there is to say, by name.
    figures: BTreeMap<&'static str, f64>,
}

impl Ratio {
    fn of(ratio: Spread, framework: f64, limit: f64) -> Self {
        let Spread { min, median, max } = ratio;
        Self { framework, limit, min, median, max, figures: BTreeMap::new() }
    }

    fn of_pairs(report: PairReport) -> Self {
        Self::of(report.ratio, report.a.median, report.b.median)
    }
}

/// Every promise, in the order in which a reader wants them.
#[must_use]
pub fn all() -> Vec<Promise> {
    const ACROSS: &str = "engine on the other CPU, job that does nothing";
    const ALONE: &str = "same thread, null device, job that does nothing / queue of pointers behind a trait object";
    const SOFTWARE: &str = "the CPU path, 4 KiB jobs / the library called directly, key and state reused";
    let across = |name, what, bound, measure| Promise { name, group: ACROSS, what, bound, two_cpus: true, measure };
    let alone = |name, what, bound, measure| Promise { name, group: ALONE, what, bound, two_cpus: false, measure };
    let software = |name, what, least, measure| Promise {
        name,
        group: SOFTWARE,
        what,
        bound: Bound::RateAtLeast(least),
        two_cpus: false,
        measure,
    };
    vec![
        across("round-trip", "round trip / mailbox of one line", Bound::TimeAtMost(1.5), |bench| {
            bench.round_trip(|placement| Mailbox::new(placement, 1))
        }),
        across("round-trip-row", "round trip / mailbox, row of 8 lines", Bound::Time, |bench| {
            bench.round_trip(|placement| Mailbox::in_row(placement, 1, SHALLOW))
        }),
        across("rate-depth-128", "jobs/s, depth 128 / raw rings", Bound::RateAtLeast(0.5), |bench| bench.deep(128)),
        across("rate-depth-256", "jobs/s, depth 256 / raw rings", Bound::RateAtLeast(0.5), |bench| bench.deep(256)),
        alone("null-burst-32", "built in place, bursts of 32", Bound::TimeAtMost(4.5), |bench| bench.null_burst(32)),
        alone("null-burst-1", "built in place, one at a time", Bound::TimeAtMost(2.5), |bench| bench.null_burst(1)),
        alone("null-owned", "owned buffers: submit, wait", Bound::TimeAtMost(10.0), Bench::null_owned),
        software("software-aes-128-gcm", "AES-128-GCM / AWS-LC", 0.95, Bench::aes_gcm),
        software("software-deflate", "deflate level 6 / libdeflate", 0.99, Bench::deflate),
        software("software-crc-32c", "CRC-32C, built in place / crc-fast", 0.75, Bench::crc32c),
        Promise {
            bound: Bound::Rate,
            ..software("software-crc-32c-run", "CRC-32C, Lease::run / crc-fast", 0.0, Bench::crc32c_run)
        },
    ]
    .into_iter()
    .chain(across::promises())
    .collect()
}

/// Depth up to which devices may answer in the job's own line.
const SHALLOW: usize = 8;
/// Operations per repetition of a round trip: short, because on shared machines the speed between two CPUs jumps from time to time, and a
/// pair should fall between two jumps.
const ROUND_TRIPS: u64 = 10_000;
/// Operations per repetition of deep queues.
const DEEP: u64 = 50_000;
/// Operations per repetition on one thread.
const ALONE: u64 = 200_000;

impl Promise {
    /// Whether it is about several processes, and so needs a daemon of this program's own.
    #[must_use]
    pub fn needs_a_daemon(&self) -> bool {
        self.name.starts_with("devd-")
    }

    /// Measures both sides, and compares.
    #[must_use]
    pub fn judge(&self, placement: Placement, pairs: usize, kills: usize, interrupt: &Interrupt) -> PromiseReport {
        let report = PromiseReport {
            name: self.name,
            group: self.group,
            what: self.what,
            framework_ns: None,
            limit_ns: None,
            ratio: None,
            ratio_min: None,
            ratio_max: None,
            at_most: if let Bound::TimeAtMost(most) = self.bound { Some(most) } else { None },
            at_least: if let Bound::RateAtLeast(least) = self.bound { Some(least) } else { None },
            verdict: Verdict::None,
            figures: BTreeMap::new(),
            unavailable: None,
            error: None,
        };
        if self.two_cpus && placement.engine().is_none() {
            return PromiseReport {
                unavailable: Some("needs two CPUs; this process may use one".to_owned()),
                ..report
            };
        }
        let measured = Pairs::new(pairs)
            .map_err(PromiseError::from)
            .and_then(|pairs| (self.measure)(&Bench { placement, pairs, kills, interrupt: interrupt.clone() }));
        let found = match measured {
            Ok(found) => found,
            Err(error) => return PromiseReport { error: Some(with_sources(&error)), ..report },
        };
        let (ratio, min, max) = match self.bound {
            Bound::RateAtLeast(_) | Bound::Rate => (1.0 / found.median, 1.0 / found.max, 1.0 / found.min),
            Bound::TimeAtMost(_) | Bound::Time => (found.median, found.min, found.max),
        };
        let verdict = match self.bound {
            Bound::TimeAtMost(most) if ratio <= most => Verdict::Kept,
            Bound::RateAtLeast(least) if ratio >= least => Verdict::Kept,
            Bound::Time | Bound::Rate => Verdict::None,
            Bound::TimeAtMost(_) | Bound::RateAtLeast(_) => Verdict::Missed,
        };
        PromiseReport {
            framework_ns: Some(found.framework),
            limit_ns: Some(found.limit),
            ratio: Some(ratio),
            ratio_min: Some(min),
            ratio_max: Some(max),
            verdict,
            figures: found.figures,
            ..report
        }
    }
}

/// Where and how often is measured.
#[derive(Clone, Debug)]
struct Bench {
    placement: Placement,
    pairs: Pairs,
    kills: usize,
    /// Ends what is long, with what was measured until then.
    interrupt: Interrupt,
}

impl Bench {
    /// A queue of the simulator, whose one worker is bound to the engine's CPU.
    fn simulator(&self, depth: usize) -> Result<(Runtime, Lease), PromiseError> {
        self.open("sim", depth)
    }

    fn open(&self, name: &str, depth: usize) -> Result<(Runtime, Lease), PromiseError> {
        let options = DeviceOptions { depth, engine_cpu: self.placement.engine(), ..DeviceOptions::default() };
        let runtime = Device::open(name, &options)?.runtime;
        let lease = runtime.lease()?;
        Ok((runtime, lease))
    }

    /// Framework against a limit of the raw crate, each so many operations at a time.
    fn against(
        &self,
        operations: u64,
        mut framework: impl FnMut(u64) -> Result<(), PromiseError>,
        limit: &mut dyn Limit,
    ) -> Result<Ratio, PromiseError> {
        self.pair(|| self.timed(operations, &mut framework), || Ok(limit.measure(operations)?))
    }

    /// Framework against a library.
    fn against_library(
        &self,
        operations: u64,
        mut framework: impl FnMut(),
        mut library: impl FnMut(),
    ) -> Result<Ratio, PromiseError> {
        let repeat = |n: u64, body: &mut dyn FnMut()| {
            (0..n).for_each(|_| body());
            Ok(())
        };
        self.pair(
            || self.timed(operations, &mut |n| repeat(n, &mut framework)),
            || self.timed(operations, &mut |n| repeat(n, &mut library)),
        )
    }

    fn pair(
        &self,
        framework: impl FnMut() -> Result<f64, PromiseError>,
        limit: impl FnMut() -> Result<f64, PromiseError>,
    ) -> Result<Ratio, PromiseError> {
        Ok(Ratio::of_pairs(self.pairs.run(framework, limit)?))
    }

    /// Nanoseconds per operation, on the caller's CPU, after an eighth as many untimed, as the limits do it.
    fn timed(
        &self,
        operations: u64,
        body: &mut impl FnMut(u64) -> Result<(), PromiseError>,
    ) -> Result<f64, PromiseError> {
        let _pin = pin(self.placement.caller())?;
        body(operations / 8 + 1)?;
        let begun = Instant::now();
        body(operations)?;
        Ok((begun.elapsed().as_secs_f64() * 1e9).max(1.0) / operations as f64)
    }

    fn round_trip(&self, limit: fn(Placement) -> Result<Mailbox, RawError>) -> Result<Ratio, PromiseError> {
        let (_runtime, mut lease) = self.simulator(SHALLOW)?;
        let mut limit = limit(self.placement)?;
        self.against(ROUND_TRIPS, |n| nothing(&mut lease, n), &mut limit)
    }

    fn deep(&self, depth: usize) -> Result<Ratio, PromiseError> {
        const BURST: usize = 32;
        let (_runtime, mut lease) = self.simulator(depth)?;
        let mut limit = Rings::new(self.placement, RingShape { depth, ..RingShape::default() })?;
        self.against(
            DEEP,
            |n| {
                let good = lease.scope(|scope| {
                    let (mut built, mut answered, mut good) = (0, 0, 0);
                    while answered < n {
                        let room = (depth as u64 - (built - answered)).min(BURST as u64).min(n - built);
                        for _ in 0..room {
                            scope.nop()?;
                        }
                        built += room;
                        scope.submit()?;
                        if scope.poll(|answer| {
                            answered += 1;
                            good += u64::from(answer.is_ok());
                        }) == 0
                        {
                            std::hint::spin_loop();
                        }
                    }
                    Ok::<_, Error>(good)
                })??;
                all_good(good, n)
            },
            &mut limit,
        )
    }

    fn null_burst(&self, burst: u64) -> Result<Ratio, PromiseError> {
        let (_runtime, mut lease) = self.open("null", 128)?;
        let mut limit = DynQueue::new(self.placement, usize::try_from(burst).unwrap_or(1))?;
        self.against(
            ALONE,
            |n| {
                let good = lease.scope(|scope| {
                    let (mut left, mut good) = (n, 0);
                    while left > 0 {
                        let burst = burst.min(left);
                        for _ in 0..burst {
                            scope.nop()?;
                        }
                        scope.submit()?;
                        scope.poll(|answer| good += u64::from(answer.is_ok()));
                        left -= burst;
                    }
                    Ok::<_, Error>(good)
                })??;
                all_good(good, n)
            },
            &mut limit,
        )
    }

    fn null_owned(&self) -> Result<Ratio, PromiseError> {
        let (runtime, lease) = self.open("null", 128)?;
        // The lease goes back: owned jobs are submitted to the runtime.
        drop(lease);
        let mut limit = DynQueue::new(self.placement, 1)?;
        self.against(
            ALONE,
            |n| {
                let mut good = 0;
                for _ in 0..n {
                    match runtime.submit(OwnedWork::nop()) {
                        Ok(job) => good += u64::from(job.wait().result.is_ok()),
                        Err(rejected) => return Err(rejected.error.into()),
                    }
                }
                all_good(good, n)
            },
            &mut limit,
        )
    }
}

/// So many jobs that do nothing, one after the other.
fn nothing(lease: &mut Lease, n: u64) -> Result<(), PromiseError> {
    let mut good = 0;
    for _ in 0..n {
        lease.scope(|scope| {
            scope.nop()?;
            scope.finish(|answer| good += u64::from(answer.is_ok()))
        })??;
    }
    all_good(good, n)
}

fn all_good(good: u64, of: u64) -> Result<(), PromiseError> {
    if good == of { Ok(()) } else { Err(PromiseError::Wrong("a job did not end well")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_what_needs_two_cpus_says_so() {
        let promises = all();
        for (index, promise) in promises.iter().enumerate() {
            assert!(promises[..index].iter().all(|other| other.name != promise.name));
        }
        let judged = promises[0].judge(Placement::on_one_cpu(0), 9, 1, &Interrupt::default());
        assert_eq!(judged.verdict, Verdict::None);
        assert!(judged.unavailable.is_some_and(|reason| reason.contains("two CPUs")));
    }
}
