//! The JSON report: one object, whose shape `report.schema.json` in this folder states.

use std::collections::BTreeMap;

use serde::Serialize;
use uaccel_cli::inventory::Accelerator;
use uaccel_cli::listing::{ListedDevice, Listing};

use crate::break_even::BreakEven;
use crate::device::Identity;
use crate::environment::Environment;
use crate::measurement::Measurement;
use crate::processes::Sharing;
use crate::promises::PromiseReport;
use crate::published::PointReport;
use crate::raw::LimitReport;
use crate::size::ByteSize;
use crate::verify::{Mismatch, Verify};
use crate::workload::Workload;

/// Raised when a field changes its meaning or goes. New fields do not raise it.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything one command found out. Parts a command has nothing to do with are absent.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command.
    pub command: &'static str,
    /// Machine and program.
    pub environment: Environment,
    /// The options in force, defaults included.
    pub options: serde_json::Value,
    /// Devices: those measured, or all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<ListedDevice>,
    /// Accelerators of this machine that this version has no driver for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undriven: Vec<Accelerator>,
    /// One entry per workload, size and device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Row>,
    /// What a device does not offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// One entry per workload, size and device that several processes shared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sharing: Vec<Sharing>,
    /// From which size on a device is faster than the CPU.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub break_even: Vec<BreakEven>,
    /// Physical limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitReport>,
    /// The framework beside the limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promises: Vec<PromiseReport>,
    /// Published figures beside simulated ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<PointReport>,
    /// The same figures by flat name, for scripts: `gzip.compress.64k.sim.mb_per_second`.
    pub metrics: BTreeMap<String, f64>,
    /// What to bear in mind.
    pub notes: Vec<String>,
    /// Whether it was stopped before it was done.
    pub interrupted: bool,
    /// Whether every job ended well and every verified result was right.
    pub ok: bool,
}

impl Report {
    /// A report of nothing so far.
    #[must_use]
    pub fn new(command: &'static str, options: serde_json::Value) -> Self {
        let environment = Environment::of_this_machine();
        Self {
            schema_version: SCHEMA_VERSION,
            command,
            notes: environment.warnings(),
            environment,
            options,
            devices: Vec::new(),
            undriven: Vec::new(),
            rows: Vec::new(),
            skipped: Vec::new(),
            sharing: Vec::new(),
            break_even: Vec::new(),
            limits: Vec::new(),
            promises: Vec::new(),
            points: Vec::new(),
            metrics: BTreeMap::new(),
            interrupted: false,
            ok: true,
        }
    }

    /// The report of `accel-bench list`.
    #[must_use]
    pub fn of_listing(listing: Listing) -> Self {
        let report = Self::new("list", serde_json::json!({}));
        // What makes figures worth less has no place where there are none.
        Self { devices: listing.devices, undriven: listing.undriven, notes: Vec::new(), ..report }
    }

    /// Adds a row, and its figures to the flat ones.
    pub fn push(&mut self, row: Row) {
        self.ok &= row.is_good();
        let name = format!("{}.{}.{}", row.key, row.size, row.device);
        let mut metric = |what: &str, value: f64| self.metrics.insert(format!("{name}.{what}"), value);
        metric("jobs_per_second", row.jobs_per_second);
        metric("p50_us", row.latency_us.p50);
        metric("p99_us", row.latency_us.p99);
        if let Some(value) = row.mb_per_second {
            metric("mb_per_second", value);
        }
        if let Some(value) = row.ratio {
            metric("ratio", value);
        }
        if let Some(value) = row.caller_cpu_ns_per_kib {
            metric("caller_cpu_ns_per_kib", value);
        }
        self.rows.push(row);
    }

    /// Adds what several processes got, and its figures to the flat ones.
    pub fn push_sharing(&mut self, sharing: Sharing) {
        self.ok &= sharing.is_good();
        let together = &sharing.together;
        let name = format!("{}.{}.{}.{}-processes", together.key, together.size, together.device, sharing.processes);
        for (what, value) in [
            ("jobs_per_second", together.jobs_per_second),
            ("of_one", sharing.of_one),
            ("smallest_by_largest_share", sharing.smallest_by_largest_share),
            ("jain_index", sharing.jain_index),
            ("p99_us", together.latency_us.p99),
        ] {
            self.metrics.insert(format!("{name}.{what}"), value);
        }
        self.sharing.push(sharing);
    }

    /// Adds a published figure beside the simulated one, and both to the flat ones.
    pub fn push_point(&mut self, point: PointReport) {
        self.ok &= point.is_good();
        let name = format!("published.{}-in-flight.{}.{}-missing", point.depth, point.bytes, point.missing_pages);
        for (what, value) in [
            ("published_mb_per_second", point.published_mb_per_second),
            ("simulated_mb_per_second", point.simulated_mb_per_second),
            ("ratio", point.ratio),
        ] {
            self.metrics.insert(format!("{name}.{what}"), value);
        }
        self.points.push(point);
    }

    /// Writes it, indented, with a newline.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}

/// One workload at one size on one device.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The flat name of the workload.
    #[serde(skip)]
    pub key: String,
    /// The algorithm.
    pub algorithm: &'static str,
    /// What was done with it, where that is a choice.
    pub operation: Option<&'static str>,
    /// Bytes of text per job.
    pub size: ByteSize,
    /// The device.
    pub device: String,
    /// Whether it is a model: then its figures say nothing about hardware.
    pub simulated: bool,
    /// Whether its jobs take effect.
    pub effective: bool,
    /// Jobs that ended well within timed rounds.
    pub jobs: u64,
    /// Seconds timed.
    pub seconds: f64,
    /// Jobs per second.
    pub jobs_per_second: f64,
    /// Megabytes of text per second, where jobs have text and take effect.
    pub mb_per_second: Option<f64>,
    /// Text by stream, where something is compressed.
    pub ratio: Option<f64>,
    /// The latency of a job.
    pub latency_us: Latency,
    /// Processor time of the submitting threads per job.
    pub caller_cpu_ns_per_job: f64,
    /// The same per KiB of text, where jobs have text and take effect.
    pub caller_cpu_ns_per_kib: Option<f64>,
    /// Processor time of the whole process per job; a simulated engine's work is part of it.
    pub process_cpu_ns_per_job: f64,
    /// The same per KiB of text.
    pub process_cpu_ns_per_kib: Option<f64>,
    /// What became of verification.
    pub verification: Verification,
    /// Jobs that did not end well.
    pub failed: u64,
    /// Why the first of them did not.
    pub first_failure: Option<String>,
    /// Jobs that the CPU did in the device's place.
    pub fallbacks: u64,
}

/// Microseconds from before the doorbell to after the answer was seen.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "the names of percentiles say it")]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// What became of verification.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// How much was to be verified; `None` if results of the device are none.
    pub mode: Option<Verify>,
    /// What the results were compared with.
    pub with: &'static str,
    /// Results verified.
    pub checked: u64,
    /// Results that were wrong.
    pub wrong: u64,
    /// The first few of them.
    pub mismatches: Vec<Mismatch>,
}

/// Something a device does not offer.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// The algorithm.
    pub algorithm: &'static str,
    /// What was to be done with it.
    pub operation: Option<&'static str>,
    /// Bytes of text per job.
    pub size: ByteSize,
    /// The device.
    pub device: String,
    /// Why not.
    pub reason: String,
}

impl Row {
    /// The row of a measurement.
    #[must_use]
    pub fn new(workload: Workload, size: ByteSize, device: &Identity, verify: Verify, found: &Measurement) -> Self {
        let has_text = workload != Workload::Nop && device.effective;
        let per_job =
            |cpu: std::time::Duration| if found.jobs == 0 { 0.0 } else { cpu.as_secs_f64() * 1e9 / found.jobs as f64 };
        let latency = &found.latency;
        Self {
            key: workload.key(),
            algorithm: workload.algorithm(),
            operation: workload.operation(),
            size,
            device: device.name.clone(),
            simulated: device.simulated,
            effective: device.effective,
            jobs: found.jobs,
            seconds: found.elapsed.as_secs_f64(),
            jobs_per_second: found.jobs_per_second(),
            mb_per_second: has_text.then(|| found.megabytes_per_second()),
            ratio: (workload.compresses() && device.effective).then(|| found.ratio()),
            latency_us: Latency {
                min: if latency.is_empty() { 0.0 } else { latency.min() as f64 / 1e3 },
                mean: latency.mean() / 1e3,
                p50: found.latency_us(50.0),
                p90: found.latency_us(90.0),
                p95: found.latency_us(95.0),
                p99: found.latency_us(99.0),
                p999: found.latency_us(99.9),
                max: latency.max() as f64 / 1e3,
            },
            caller_cpu_ns_per_job: per_job(found.caller_cpu),
            caller_cpu_ns_per_kib: has_text.then(|| found.cpu_ns(found.caller_cpu)),
            process_cpu_ns_per_job: per_job(found.process_cpu),
            process_cpu_ns_per_kib: has_text.then(|| found.cpu_ns(found.process_cpu)),
            verification: Verification {
                mode: device.effective.then_some(verify),
                with: crate::oracle::library(workload),
                checked: found.checked,
                wrong: found.wrong,
                mismatches: found.mismatches.clone(),
            },
            failed: found.failed,
            first_failure: found.first_failure.clone(),
            fallbacks: found.fallbacks,
        }
    }

    /// Whether every job ended well and every verified result was right.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.verification.wrong == 0
    }

    /// The device with what must be said about its figures.
    #[must_use]
    pub fn device_label(&self) -> String {
        match (self.effective, self.simulated) {
            (false, _) => format!("{}, no effect", self.device),
            (true, true) => format!("{}, simulated", self.device),
            (true, false) => self.device.clone(),
        }
    }
}
