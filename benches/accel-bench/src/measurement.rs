//! What comes out of a measurement.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::verify::Mismatch;

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Jobs that ended well within timed rounds.
    pub jobs: u64,
    /// Bytes of text those jobs stood for: what was compressed, or what came out of a decompression.
    pub text_bytes: u64,
    /// Bytes they read.
    pub read_bytes: u64,
    /// Bytes they wrote.
    pub written_bytes: u64,
    /// The timed rounds together.
    pub elapsed: Duration,
    /// From before the doorbell to after the answer was seen, in nanoseconds.
    #[serde(with = "counts")]
    pub latency: Histogram<u64>,
    /// Processor time of the submitting threads within timed rounds.
    pub caller_cpu: Duration,
    /// Processor time of all threads within timed rounds, the simulator's included.
    pub process_cpu: Duration,
    /// Results verified.
    pub checked: u64,
    /// Results that were not what they should be.
    pub wrong: u64,
    /// The first few of them in words.
    pub mismatches: Vec<Mismatch>,
    /// Jobs that did not end well.
    pub failed: u64,
    /// Why the first of them did not.
    pub first_failure: Option<String>,
    /// Jobs that the CPU did in the device's place, because they are larger than it takes.
    pub fallbacks: u64,
}

impl Measurement {
    /// A measurement of nothing so far.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            jobs: 0,
            text_bytes: 0,
            read_bytes: 0,
            written_bytes: 0,
            elapsed: Duration::ZERO,
            latency: histogram(),
            caller_cpu: Duration::ZERO,
            process_cpu: Duration::ZERO,
            checked: 0,
            wrong: 0,
            mismatches: Vec::new(),
            failed: 0,
            first_failure: None,
            fallbacks: 0,
        }
    }

    /// A measurement that could not begin.
    #[must_use]
    pub fn failed(reason: String) -> Self {
        Self { failed: 1, first_failure: Some(reason), ..Self::empty() }
    }

    /// Jobs per second.
    #[must_use]
    pub fn jobs_per_second(&self) -> f64 {
        per(self.jobs as f64, self.elapsed.as_secs_f64())
    }

    /// Megabytes (of 10⁶ bytes) of text per second.
    #[must_use]
    pub fn megabytes_per_second(&self) -> f64 {
        per(self.text_bytes as f64 / 1e6, self.elapsed.as_secs_f64())
    }

    /// Bytes read for each byte written.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        per(self.read_bytes as f64, self.written_bytes as f64)
    }

    /// A percentile of the latency in microseconds.
    #[must_use]
    pub fn latency_us(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }

    /// Nanoseconds of `cpu` for each KiB of text; for jobs without text, for each job.
    #[must_use]
    pub fn cpu_ns(&self, cpu: Duration) -> f64 {
        let units = if self.text_bytes == 0 { self.jobs as f64 } else { self.text_bytes as f64 / 1024.0 };
        per(cpu.as_secs_f64() * 1e9, units)
    }

    /// Counts another one, taken at the same time by somebody else, as part of this one. Times of processors add up; the time on the
    /// wall is the longer of the two.
    pub fn join(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.text_bytes += other.text_bytes;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.elapsed = self.elapsed.max(other.elapsed);
        // Both have the same bounds and digits, so this cannot fail.
        let _ = self.latency.add(&other.latency);
        self.caller_cpu += other.caller_cpu;
        self.process_cpu += other.process_cpu;
        self.checked += other.checked;
        self.wrong += other.wrong;
        self.mismatches.extend_from_slice(&other.mismatches);
        self.failed += other.failed;
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
        self.fallbacks += other.fallbacks;
    }

    /// Whether every job ended well and every verified result was right.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.wrong == 0
    }
}

fn per(what: f64, unit: f64) -> f64 {
    if unit > 0.0 { what / unit } else { 0.0 }
}

/// Three significant digits, from a nanosecond to ten minutes, which is more than a job may take.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("bounds and digits are within what a histogram can have")
}

/// A histogram as a list of values and how often each was seen.
mod counts {
    use hdrhistogram::Histogram;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(histogram: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs: Vec<(u64, u64)> =
            histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        pairs.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram<u64>, D::Error> {
        let mut histogram = super::histogram();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            histogram.saturating_record_n(value, count);
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_wrote_down_is_read_back_whole() {
        let mut found = Measurement { jobs: 1003, elapsed: Duration::from_millis(7), ..Measurement::empty() };
        [(210, 1000), (90_000, 2), (7_000_000, 1)]
            .into_iter()
            .for_each(|(ns, n)| found.latency.saturating_record_n(ns, n));
        let text = serde_json::to_string(&found).expect("JSON");
        let read: Measurement = serde_json::from_str(&text).expect("the same shape");
        assert_eq!((read.jobs, read.elapsed, read.latency.len()), (1003, found.elapsed, 1003));
        for percentile in [0.0, 50.0, 99.9, 100.0] {
            assert_eq!(read.latency_us(percentile), found.latency_us(percentile), "{percentile}");
        }
    }

    #[test]
    fn two_that_ran_side_by_side_add_up() {
        let part = |jobs, ms| {
            let mut part = Measurement { jobs, elapsed: Duration::from_millis(ms), ..Measurement::empty() };
            part.latency.saturating_record_n(1000 * jobs, jobs);
            part
        };
        let mut both = part(10, 100);
        both.join(&part(30, 110));
        assert_eq!((both.jobs, both.elapsed, both.latency.len()), (40, Duration::from_millis(110), 40));
        assert_eq!(both.latency.max() / 1000, 30);
    }
}
