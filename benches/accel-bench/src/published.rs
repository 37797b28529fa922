//! `accel-bench published`: what was published of hardware beside what the simulator makes of its profile, point by point.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use uaccel_cli::reason::with_sources;
use uaccel_cli::{figures, style};
use uaccel_runtime::{Algorithm, Direction, HISI_ZIP_SIMULATOR};
use uaccel_sim::{Point, Profile};

use crate::case::Case;
use crate::cli::PublishedArguments;
use crate::corpus::Corpus;
use crate::device::{Device, DeviceOptions};
use crate::exit::{self, Failure};
use crate::measure::{Method, measure};
use crate::measurement::Measurement;
use crate::report::Report;
use crate::run::profile;
use crate::size::ByteSize;
use crate::verify::Verify;
use crate::workload::Workload;
use crate::{Interrupt, Progress};

/// What was measured.
const WORKLOAD: Workload = Workload::Session(Algorithm::Deflate, Direction::Forward);

/// How far simulated figures may be from published ones.
const TOLERANCE: f64 = 0.15;

/// A published figure beside the simulated one.
#[derive(Clone, Debug, Serialize)]
pub struct PointReport {
    /// Jobs in flight.
    pub depth: u16,
    /// Bytes of a job's text.
    pub bytes: u64,
    /// Pages that each job misses.
    pub missing_pages: u32,
    /// What was published, in MB/s of text.
    pub published_mb_per_second: f64,
    /// What the simulator makes of it.
    pub simulated_mb_per_second: f64,
    /// The second by the first.
    pub ratio: f64,
    /// Whether they are as close as they should be.
    pub close: bool,
    /// Jobs that did not end well.
    pub failed: u64,
    /// Why the first of them did not.
    pub first_failure: Option<String>,
    /// Results verified.
    pub checked: u64,
    /// Results that were not what they should be.
    pub wrong: u64,
}

impl PointReport {
    #[allow(clippy::cast_precision_loss, reason = "a job has at most 2^30 bytes")]
    fn new(point: &Point, found: &Measurement, stretch: u32) -> Self {
        // As many bytes as are in flight, each time that a job takes (Little's law). The jobs of a measurement by its time would be fewer: it comes in rounds, and at the end of
        // each there are ever less in flight.
        let in_flight = f64::from(point.depth) * point.bytes as f64;
        let simulated = in_flight / found.latency.mean() * 1e3 * f64::from(stretch);
        let ratio = simulated / point.megabytes_per_second;
        Self {
            depth: point.depth,
            bytes: point.bytes,
            missing_pages: point.missing,
            published_mb_per_second: point.megabytes_per_second,
            simulated_mb_per_second: simulated,
            ratio,
            close: (1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio),
            failed: found.failed,
            first_failure: found.first_failure.clone(),
            checked: found.checked,
            wrong: found.wrong,
        }
    }

    /// Whether every job ended well and every verified result was right.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.wrong == 0
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>6} {:>8} {:>8} {:>11} {:>11} {:>7.2}{}",
            self.depth,
            self.bytes,
            self.missing_pages,
            figures::plain(self.published_mb_per_second),
            figures::plain(self.simulated_mb_per_second),
            self.ratio,
            match (self.is_good(), self.close) {
                (false, _) => "  WRONG",
                (true, true) => "",
                (true, false) => "  not close",
            },
        )?;
        match &self.first_failure {
            Some(reason) => writeln!(out, "{:8}{} failed: {reason}", "", figures::count(self.failed, "job")),
            None => Ok(()),
        }
    }
}

/// Runs what the arguments say, writes table or JSON to `out`, and returns the exit code.
///
/// # Errors
/// See [`Failure`].
pub fn published(
    arguments: &PublishedArguments,
    out: &mut dyn Write,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<u8, Failure> {
    let profile = profile(&arguments.profile)?;
    if profile.points.is_empty() {
        return Err(Failure::Usage(format!("profile '{}' has no published points", profile.name)));
    }
    let stretch = u32::from(arguments.stretch);
    let options = serde_json::json!({
        "profile": { "name": profile.name, "source": profile.source },
        "stretch": stretch,
        "seconds": arguments.seconds,
    });
    let mut report = Report::new("published", options);
    report.notes.extend([
        format!(
            "all times are {stretch} times as long as on the hardware, and figures are scaled back: the work itself is done \
             here, by {HISI_ZIP_SIMULATOR}"
        ),
        format!("published figures: {}; simulated figures are a model, not a measurement of hardware", profile.source),
    ]);
    if !arguments.json {
        let dim = style::DIM;
        writeln!(out, "{}", report.environment.line())?;
        writeln!(out, "profile {}: {}\n", profile.name, WORKLOAD)?;
        writeln!(
            out,
            "{dim}{:>6} {:>8} {:>8} {:>11} {:>11} {:>7}{dim:#}",
            "depth", "bytes", "missing", "published", "simulated", "ratio"
        )?;
    }
    let bar = Progress::new(profile.points.len(), progress);
    let corpus = Corpus::generated(1);
    for point in &profile.points {
        if interrupt.is_set() {
            break;
        }
        bar.begin(format!("{} in flight, {} bytes", point.depth, point.bytes));
        let found = simulate(&profile, point, stretch, arguments, &corpus, interrupt)?;
        // One that was cut short says nothing.
        if interrupt.is_set() {
            break;
        }
        let row = PointReport::new(point, &found, stretch);
        if !arguments.json {
            bar.aside(|| row.write(out))?;
        }
        report.push_point(row);
        bar.step();
    }
    drop(bar);
    report.interrupted = interrupt.is_set();
    if arguments.json {
        report.write(out)?;
    } else {
        let close = report.points.iter().filter(|point| point.close).count();
        writeln!(out, "\n{close} of {} points within {:.0} %", report.points.len(), TOLERANCE * 100.0)?;
        crate::table::notes(&report.notes, out)?;
    }
    Ok(match (report.interrupted, report.ok) {
        (true, _) => exit::INTERRUPTED,
        (_, false) => exit::FAILED,
        _ => exit::DONE,
    })
}

/// Measures one point on a simulator of its own.
#[allow(clippy::cast_precision_loss, reason = "a job has at most 2^30 bytes")]
fn simulate(
    profile: &Profile,
    point: &Point,
    stretch: u32,
    arguments: &PublishedArguments,
    corpus: &Corpus,
    interrupt: &Interrupt,
) -> Result<Measurement, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Failed(error.to_string());
    let depth = usize::from(point.depth);
    let size = usize::try_from(point.bytes).map_err(|error| failed(&error))?;
    // The fastest level: the time is the profile's.
    let case = Case::new(WORKLOAD, ByteSize(size), Some(1), corpus, 1).map_err(|error| failed(&error))?;
    let mut timing = profile.timing.missing(point.missing).stretched(stretch);
    // The simulator counts the room for a result where that is more than the text; what was published counts the text.
    timing.ns_per_byte *= size as f64 / case.room.max(size) as f64;
    let options =
        DeviceOptions { depth, profile: Some(Profile { timing, ..profile.clone() }), ..DeviceOptions::default() };
    let device = Device::open(HISI_ZIP_SIMULATOR, &options)?;
    let method = Method {
        depth,
        time: Duration::from_secs_f64(arguments.seconds),
        verify: Verify::Sample,
        interrupt: interrupt.clone(),
        ..Method::default()
    };
    measure(&device, &case, &method).map_err(|error| Failure::Failed(with_sources(&error)))
}
