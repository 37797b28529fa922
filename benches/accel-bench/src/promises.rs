//! The framework beside the physical limits: every promise about speed as a ratio, both sides timed in turn in one run.
//!
//! What is called *framework* here goes through the public interface, with sessions, validation and counters on. What is called *limit* is a
//! hand-written protocol of [`accel_bench_raw`], or the library under the CPU path called directly.

use std::hint::black_box;
use std::time::Instant;

use accel_bench_raw::{DynQueue, Limit, Mailbox, Pairs, Placement, RawError, RingShape, Rings, pin};
use serde::Serialize;
use uaccel_cli::reason::with_sources;
use uaccel_runtime::{Algorithm, Direction, Error, Lease, OwnedWork, Runtime, SessionSpec, Work};

use crate::device::{Device, DeviceOptions};
use crate::exit::Failure;
use crate::random::Random;

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
    /// A job did not end well, or its result is not that of the library.
    #[error("{0}")]
    Wrong(&'static str),
}

/// Medians in nanoseconds, and ratios of times.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    framework: f64,
    limit: f64,
    min: f64,
    median: f64,
    max: f64,
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
/// Bytes of a job of the CPU path.
const BLOCK: usize = 4096;

impl Promise {
    /// Measures both sides, and compares.
    #[must_use]
    pub fn judge(&self, placement: Placement, pairs: usize) -> PromiseReport {
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
            unavailable: None,
            error: None,
        };
        if self.two_cpus && placement.engine().is_none() {
            return PromiseReport {
                unavailable: Some("needs two CPUs; this process may use one".to_owned()),
                ..report
            };
        }
        let measured =
            Pairs::new(pairs).map_err(PromiseError::from).and_then(|pairs| (self.measure)(&Bench { placement, pairs }));
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
            ..report
        }
    }
}

/// Where and how often is measured.
#[derive(Clone, Copy, Debug)]
struct Bench {
    placement: Placement,
    pairs: Pairs,
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
        let report = self.pairs.run(framework, limit)?;
        Ok(Ratio {
            framework: report.a.median,
            limit: report.b.median,
            min: report.ratio.min,
            median: report.ratio.median,
            max: report.ratio.max,
        })
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
        self.against(
            ROUND_TRIPS,
            |n| {
                let mut good = 0;
                for _ in 0..n {
                    lease.scope(|scope| {
                        scope.nop()?;
                        scope.finish(|answer| good += u64::from(answer.is_ok()))
                    })??;
                }
                all_good(good, n)
            },
            &mut limit,
        )
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

    fn aes_gcm(&self) -> Result<Ratio, PromiseError> {
        use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        const OPERATIONS: u64 = 5_000;
        let refused = |_| PromiseError::Wrong("AWS-LC refuses the key");
        let (key, nonce) = ([7; 16], [1; 12]);
        let direct = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(refused)?);
        let (runtime, mut lease) = self.open("software", 1)?;
        let session = runtime
            .session(SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Forward, &key).map_err(Error::from)?)?;
        let mut memory = Pages::new(&[BLOCK, BLOCK + 16]);
        memory.fill_first();
        let (text, sealed) = memory.two();
        let mut expected = vec![0; BLOCK + 16];
        let mut failed = false;
        let seal_directly = |room: &mut [u8]| {
            let (room, tag) = room.split_at_mut(BLOCK);
            let nonce = Nonce::assume_unique_for_key(nonce);
            direct.seal_out_of_place_scatter(nonce, Aad::empty(), black_box(text), room, &[], tag).is_ok()
        };
        if !seal_directly(&mut expected) {
            return Err(PromiseError::Wrong("AWS-LC refuses the text"));
        }
        // Both write to the same buffer, in turn.
        let room = std::cell::RefCell::new(sealed);
        let ratio = self.against_library(
            OPERATIONS,
            || {
                let mut room = room.borrow_mut();
                failed |=
                    lease.run(Work::session(&session, black_box(text), &mut room[..]).with_nonce(nonce, &[])).is_err();
            },
            || {
                black_box(seal_directly(&mut room.borrow_mut()[..]));
            },
        )?;
        room.borrow_mut().fill(0);
        let result = lease.run(Work::session(&session, text, &mut room.borrow_mut()[..]).with_nonce(nonce, &[]));
        if failed || result.is_err() || room.borrow()[..] != expected[..] {
            return Err(PromiseError::Wrong("the framework's ciphertext is not that of the library"));
        }
        Ok(ratio)
    }

    fn deflate(&self) -> Result<Ratio, PromiseError> {
        const OPERATIONS: u64 = 200;
        let mut direct = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let (runtime, mut lease) = self.open("software", 1)?;
        let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, Some(6)).map_err(Error::from)?;
        let session = runtime.session(spec)?;
        let mut memory = Pages::new(&[BLOCK, 2 * BLOCK]);
        memory.fill_first();
        let (text, packed) = memory.two();
        let room = std::cell::RefCell::new(packed);
        let (mut of_framework, mut of_library) = (0, 0);
        let ratio = self.against_library(
            OPERATIONS,
            || {
                let mut room = room.borrow_mut();
                of_framework = lease
                    .run(Work::session(&session, black_box(text), &mut room[..]))
                    .map_or(0, |outcome| outcome.produced);
            },
            || {
                of_library =
                    direct.deflate_compress(black_box(text), &mut room.borrow_mut()[..]).map_or(0, |len| len as u64);
            },
        )?;
        if of_framework == 0 || of_framework != of_library {
            return Err(PromiseError::Wrong("the framework's stream is not that of the library"));
        }
        Ok(ratio)
    }

    /// The cheapest way to the CPU path: jobs built in place in one scope.
    fn crc32c(&self) -> Result<Ratio, PromiseError> {
        let (_runtime, mut lease) = self.open("software", 1)?;
        self.crc32c_by(|text, n| {
            lease.scope(|scope| {
                let mut found = None;
                for _ in 0..n {
                    scope.crc32c(black_box(text), 0)?;
                    scope.submit()?;
                    scope.poll(|answer| found = answer.outcome().ok().map(|outcome| outcome.checksum));
                }
                Ok::<_, Error>(found)
            })?
        })
    }

    /// The same job by job, each in a call of its own.
    fn crc32c_run(&self) -> Result<Ratio, PromiseError> {
        let (_runtime, mut lease) = self.open("software", 1)?;
        self.crc32c_by(|text, n| {
            let mut found = None;
            for _ in 0..n {
                found = Some(lease.run(Work::crc32c(black_box(text), 0))?.checksum);
            }
            Ok(found)
        })
    }

    fn crc32c_by(
        &self,
        mut framework: impl FnMut(&[u8], u64) -> Result<Option<u32>, Error>,
    ) -> Result<Ratio, PromiseError> {
        const OPERATIONS: u64 = 20_000;
        let mut memory = Pages::new(&[BLOCK, 0]);
        memory.fill_first();
        let (text, _) = memory.two();
        let expected = crc_fast::crc32_iscsi(text);
        let right = |found: Option<u32>| {
            if found == Some(expected) {
                Ok(())
            } else {
                Err(PromiseError::Wrong("the framework's checksum is not that of the library"))
            }
        };
        self.pair(
            || self.timed(OPERATIONS, &mut |n| right(framework(text, n)?)),
            || {
                self.timed(OPERATIONS, &mut |n| {
                    (0..n).for_each(|_| {
                        black_box(crc_fast::crc32_iscsi(black_box(text)));
                    });
                    Ok(())
                })
            },
        )
    }
}

fn all_good(good: u64, of: u64) -> Result<(), PromiseError> {
    if good == of { Ok(()) } else { Err(PromiseError::Wrong("a job did not end well")) }
}

/// Two buffers that begin on pages, so that neither side is lucky with alignment.
#[derive(Debug)]
struct Pages {
    memory: Vec<u8>,
    first: (usize, usize),
    second: (usize, usize),
}

const PAGE: usize = 4096;

impl Pages {
    fn new(lens: &[usize; 2]) -> Self {
        let rounded = lens[0].next_multiple_of(PAGE);
        let memory = vec![0; rounded + lens[1] + PAGE];
        let start = memory.as_ptr().addr().next_multiple_of(PAGE) - memory.as_ptr().addr();
        Self { first: (start, lens[0]), second: (start + rounded, lens[1]), memory }
    }

    /// Text that compresses: words out of a few, in random order.
    fn fill_first(&mut self) {
        const WORDS: [&[u8]; 8] =
            [b"the ", b"queue ", b"of an ", b"engine ", b"completes ", b"when ", b"memory ", b"is written, "];
        let mut random = Random::new(1);
        let (start, len) = self.first;
        let text = std::iter::repeat_with(|| WORDS[random.below(8)]).flatten();
        self.memory[start..start + len].iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    }

    fn two(&mut self) -> (&[u8], &mut [u8]) {
        let (first, second) = self.memory.split_at_mut(self.second.0);
        (&first[self.first.0..][..self.first.1], &mut second[..self.second.1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_on_pages() {
        let mut memory = Pages::new(&[100, 5000]);
        memory.fill_first();
        let (first, second) = memory.two();
        assert_eq!((first.len(), second.len()), (100, 5000));
        assert_eq!((first.as_ptr().addr() % PAGE, second.as_ptr().addr() % PAGE), (0, 0));
        assert!(first.starts_with(b"") && first.iter().all(|byte| *byte != 0));
    }

    #[test]
    fn names_are_unique_and_what_needs_two_cpus_says_so() {
        let promises = all();
        for (index, promise) in promises.iter().enumerate() {
            assert!(promises[..index].iter().all(|other| other.name != promise.name));
        }
        let judged = promises[0].judge(Placement::on_one_cpu(0), 9);
        assert_eq!(judged.verdict, Verdict::None);
        assert!(judged.unavailable.is_some_and(|reason| reason.contains("two CPUs")));
    }
}
