//! How long a job takes.

use std::time::Duration;

/// How long a job takes: a fixed part, a part per byte, what missing pages cost, and what it costs not to be alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Taken by every job.
    pub base: Duration,
    /// Nanoseconds for each byte, of source or destination, whichever is longer.
    pub ns_per_byte: f64,
    /// Jobs in service at a time; `None` takes the model's number.
    pub engines: Option<usize>,
    /// What a job takes at least, from being taken to being answered, if others are not answered when it is taken. It keeps no engine for that: hardware that has many jobs
    /// answers more of them, but each one later.
    pub accompanied: Duration,
    /// What one missing page costs.
    pub page_fault: Duration,
    /// How often a page a job touches is missing: 0 never, 1 always.
    pub page_fault_rate: f64,
    /// Pages that every job misses besides.
    pub missing: u32,
}

/// The longest that anything takes, a century: what can be added to the time of day many times, whatever a profile says.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Timing {
    /// A time that is the same for all jobs.
    #[must_use]
    pub const fn fixed(base: Duration) -> Self {
        Self {
            base,
            ns_per_byte: 0.0,
            engines: None,
            accompanied: Duration::ZERO,
            page_fault: Duration::ZERO,
            page_fault_rate: 0.0,
            missing: 0,
        }
    }

    /// The same with a number of engines.
    #[must_use]
    pub const fn on(self, engines: usize) -> Self {
        Self { engines: Some(engines), ..self }
    }

    /// The same with so many pages missing in every job.
    #[must_use]
    pub const fn missing(self, pages: u32) -> Self {
        Self { missing: pages, ..self }
    }

    /// The same, everything taking so many times as long: for a machine on which the work itself takes longer than on the hardware.
    #[must_use]
    pub fn stretched(self, times: u32) -> Self {
        Self {
            base: self.base.saturating_mul(times),
            ns_per_byte: self.ns_per_byte * f64::from(times),
            accompanied: self.accompanied.saturating_mul(times),
            page_fault: self.page_fault.saturating_mul(times),
            ..self
        }
    }

    /// The service time of a job of `bytes` that meets `missing` pages.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a simulated time needs no more than 53 bits")]
    pub fn service(&self, bytes: u64, missing: u32) -> Duration {
        let bytes = Duration::try_from_secs_f64(self.ns_per_byte * bytes as f64 * 1e-9).unwrap_or_default();
        self.base.saturating_add(bytes).saturating_add(self.page_fault.saturating_mul(missing)).min(LONGEST)
    }

    /// What a job takes at least that is not alone.
    pub(crate) fn company(&self) -> Duration {
        self.accompanied.min(LONGEST)
    }
}
