//! What the process that measures and those that work for it say to each other: one JSON object a line, over pipes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::measure::Window;
use crate::measurement::Measurement;
use crate::size::ByteSize;
use crate::verify::Verify;

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// First of all, and once: opens the device. Answered with [`Reply::Ready`].
    Open(OpenOrder),
    /// Makes inputs, warms up, answers [`Reply::Ready`], waits for [`Order::Begin`] or [`Order::Skip`], and answers [`Reply::Found`].
    Case(CaseOrder),
    /// The same with jobs that do nothing, `burst` of them built before each doorbell. Nothing is noted but how many there were:
    /// answered with [`Reply::Counted`].
    Nothing {
        /// Jobs per doorbell.
        burst: usize,
    },
    /// When to measure.
    Begin(Stretch),
    /// That nothing is measured after all.
    Skip,
}

/// How a worker opens its device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenOrder {
    pub(crate) device: String,
    pub(crate) depth: usize,
    pub(crate) threads: usize,
    /// The socket of `uaccel-devd`.
    pub(crate) socket: Option<PathBuf>,
    /// Where the worker's first thread stays once the device is open.
    pub(crate) cpu: Option<usize>,
    /// What inputs are cut from; generated data if there is no file.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) seed: u64,
    /// Whether one bit of one result is flipped before it is verified.
    pub(crate) corrupt: bool,
}

/// What a worker measures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CaseOrder {
    /// The workload's name in keys.
    pub(crate) workload: String,
    pub(crate) size: ByteSize,
    pub(crate) level: Option<u8>,
    pub(crate) window: Option<ByteSize>,
    pub(crate) verify: Verify,
    pub(crate) jobs: Option<u64>,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The device is open, or everything is warm.
    Ready,
    /// The device does not offer it, or the algorithm does not take that size.
    Unsupported(String),
    /// It cannot be done.
    Failed(String),
    /// What was measured.
    Found(Box<Measurement>),
    /// Jobs within the stretch, and how long they took.
    Counted {
        /// Jobs that ended well.
        jobs: u64,
        /// From the beginning of the stretch to the end of the last job.
        elapsed: Duration,
    },
}

/// A stretch of time, the same for all processes: nanoseconds of `CLOCK_MONOTONIC`, which all of them share.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Stretch {
    begins: Duration,
    ends: Duration,
}

impl Stretch {
    /// Begins in `lead`, and takes `time`.
    pub(crate) fn after(lead: Duration, time: Duration) -> Self {
        let begins = now() + lead;
        Self { begins, ends: begins + time }
    }

    /// The same as this process's clock has it.
    pub(crate) fn window(self) -> Window {
        let (here, now) = (Instant::now(), now());
        // The clock of `Instant` is the same one; only its zero cannot be named.
        let at = |time: Duration| match time.checked_sub(now) {
            Some(ahead) => here + ahead,
            None => here.checked_sub(now.saturating_sub(time)).unwrap_or(here),
        };
        Window { begins: at(self.begins), ends: at(self.ends) }
    }
}

fn now() -> Duration {
    // The clock exists on every Linux.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_the_same_in_either_clock() {
        let (before, stretch) = (Instant::now(), Stretch::after(Duration::from_millis(50), Duration::from_millis(200)));
        let (window, after) = (stretch.window(), Instant::now());
        assert_eq!(window.ends - window.begins, Duration::from_millis(200));
        let lead = Duration::from_millis(50);
        assert!(window.begins >= before + lead && window.begins <= after + lead);
    }

    #[test]
    fn a_stretch_that_has_begun_keeps_its_beginning() {
        let stretch = Stretch::after(Duration::ZERO, Duration::from_secs(1));
        let early = stretch.window();
        std::thread::sleep(Duration::from_millis(5));
        let late = stretch.window();
        let moved = late.begins.max(early.begins) - late.begins.min(early.begins);
        assert!(moved < Duration::from_millis(4), "{moved:?}");
    }
}
