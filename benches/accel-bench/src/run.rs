//! `accel-bench run`: algorithms by sizes by devices.

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uaccel_cli::reason::with_sources;
use uaccel_runtime::Error;
use uaccel_sim::Profile;

use crate::break_even;
use crate::case::{Case, CaseError};
use crate::cli::RunArguments;
use crate::corpus::Corpus;
use crate::device::{Device, DeviceOptions, Identity};
use crate::exit::{self, Failure};
use crate::measure::{Method, measure};
use crate::measurement::Measurement;
use crate::report::{Report, Row, Skipped};
use crate::size::ByteSize;
use crate::table::{self, Table};
use crate::workload::Workload;
use crate::{Interrupt, Progress, processes};
use uaccel_cli::listing::ListedDevice;

/// Runs what the arguments say, writes table or JSON to `out`, and returns the exit code.
///
/// # Errors
/// See [`Failure`].
pub fn run(
    arguments: &RunArguments,
    out: &mut dyn Write,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<u8, Failure> {
    if let Some(count) = arguments.processes {
        return processes::run(arguments, usize::from(count), out, interrupt, progress);
    }
    let profile = arguments.profile.as_deref().map(profile).transpose()?;
    let workloads = workloads(arguments);
    let options = DeviceOptions {
        depth: usize::from(arguments.depth),
        queues: usize::from(arguments.threads),
        profile: profile.clone(),
        ..DeviceOptions::default()
    };
    // All of them before anything is measured: a name that is wrong should not cost a minute.
    let devices = arguments.devices.iter().map(|name| Device::open(name, &options)).collect::<Result<Vec<_>, _>>()?;
    let corpus = if arguments.file.is_empty() {
        Corpus::generated(arguments.seed)
    } else {
        Corpus::of_files(&arguments.file).map_err(|(path, source)| Failure::File { path, source })?
    };
    let method = Method {
        depth: options.depth,
        threads: options.queues,
        time: Duration::from_secs_f64(arguments.seconds),
        jobs: arguments.jobs.map(|jobs| NonZeroUsize::get(jobs) as u64),
        verify: arguments.verify,
        interrupt: interrupt.clone(),
        tamper: arguments.corrupt_a_result.then(flip_one_bit),
        gate: None,
    };

    let mut report = Report::new("run", described(arguments, profile.as_ref()));
    report.devices = devices.iter().filter_map(listed).collect();
    let identities: Vec<_> = devices.iter().map(|device| device.identity.clone()).collect();
    report.notes.extend(notes(arguments, &corpus, &identities, profile.as_ref()));
    let progress = Progress::new(workloads.len() * arguments.sizes.len() * devices.len(), progress);
    let mut table = Table::new();
    if !arguments.json {
        progress.aside(|| {
            writeln!(out, "{}", report.environment.line())?;
            writeln!(out, "{}\n", summary(arguments, &corpus))?;
            table.head(out)
        })?;
    }
    'all: for workload in workloads {
        // An empty job has no size.
        let sizes = if workload == Workload::Nop { &arguments.sizes[..1] } else { &arguments.sizes[..] };
        for size in sizes {
            if interrupt.is_set() {
                break 'all;
            }
            progress.begin(format!("{workload} {size}: inputs"));
            let case = Case::new(workload, *size, arguments.level, &corpus, arguments.seed);
            let case = case.and_then(|case| case.with_window(arguments.window));
            let case = match case {
                Ok(case) => Ok(case),
                Err(error @ CaseError::TextLength { .. }) => Err(error.to_string()),
                Err(CaseError::Spec(error)) => return Err(Failure::Usage(error.to_string())),
                Err(error) => return Err(Failure::Failed(error.to_string())),
            };
            for device in &devices {
                progress.begin(format!("{workload} {size} on {}", device.identity.name));
                let line = match &case {
                    Ok(case) => {
                        let found = measure(device, case, &method);
                        // A row that was cut short before its first job ended says nothing.
                        if interrupt.is_set() && found.as_ref().is_ok_and(|found| found.jobs == 0) {
                            break 'all;
                        }
                        Line::new(case, device, &method, found)
                    }
                    Err(reason) => Line::skipped(workload, *size, device, reason.clone()),
                };
                if !arguments.json {
                    progress.aside(|| match &line {
                        Line::Row(row) => table.row(row, out),
                        Line::Skipped(skipped) => table.skipped(skipped, out),
                    })?;
                }
                match line {
                    Line::Row(row) => report.push(*row),
                    Line::Skipped(skipped) => report.skipped.push(skipped),
                }
                progress.step();
            }
        }
    }
    drop(progress);
    report.break_even = break_even::find(&report.rows);
    report.interrupted = interrupt.is_set();
    if report.interrupted {
        report.notes.push("stopped early: only what was measured until then is shown".to_owned());
    }
    if arguments.json {
        report.write(out)?;
    } else {
        table::break_even(&report.break_even, out)?;
        table::verdict(&report.rows, out)?;
        table::notes(&report.notes, out)?;
    }
    Ok(match (report.interrupted, report.ok) {
        (true, _) => exit::INTERRUPTED,
        (_, false) => exit::FAILED,
        _ => exit::DONE,
    })
}

/// What became of a case on a device.
enum Line {
    Row(Box<Row>),
    Skipped(Skipped),
}

impl Line {
    fn new(case: &Case, device: &Device, method: &Method, found: Result<Measurement, Error>) -> Self {
        let row = |found: &Measurement| {
            Self::Row(Box::new(Row::new(case.workload, case.size, &device.identity, method.verify, found)))
        };
        match found {
            Ok(found) => row(&found),
            Err(
                error @ (Error::UnsupportedAlgorithm { .. }
                | Error::UnsupportedWindow { .. }
                | Error::UnsupportedOperation { .. }),
            ) => Self::skipped(case.workload, case.size, device, error.to_string()),
            Err(error) => row(&Measurement::failed(with_sources(&error))),
        }
    }

    fn skipped(workload: Workload, size: ByteSize, device: &Device, reason: String) -> Self {
        let (algorithm, operation) = (workload.algorithm(), workload.operation());
        Self::Skipped(Skipped { algorithm, operation, size, device: device.identity.name.clone(), reason })
    }
}

pub(crate) fn workloads(arguments: &RunArguments) -> Vec<Workload> {
    let names = if arguments.algorithms.is_empty() {
        Workload::names()
    } else {
        arguments.algorithms.iter().map(String::as_str).collect()
    };
    let mut workloads: Vec<Workload> = Vec::new();
    for workload in names.into_iter().flat_map(|name| Workload::named(name, arguments.directions)) {
        if !workloads.contains(&workload) {
            workloads.push(workload);
        }
    }
    workloads
}

/// A built-in profile, or one from a file.
pub(crate) fn profile(name: &str) -> Result<Profile, Failure> {
    let built_in = Profile::hisilicon_zip();
    if name == built_in.name {
        return Ok(built_in);
    }
    let text = fs::read_to_string(name).map_err(|error| {
        Failure::Usage(format!(
            "'{name}' is neither a built-in profile ({}) nor a file that can be read: {error}",
            built_in.name
        ))
    })?;
    text.parse().map_err(|error| Failure::Usage(format!("{name}: {error}")))
}

/// The options in force, for the JSON report.
pub(crate) fn described(arguments: &RunArguments, profile: Option<&Profile>) -> serde_json::Value {
    serde_json::json!({
        "algorithms": arguments.algorithms,
        "sizes": arguments.sizes,
        "devices": arguments.devices,
        "depth": arguments.depth,
        "threads": arguments.threads,
        "processes": arguments.processes,
        "seconds": arguments.seconds,
        "jobs": arguments.jobs,
        "verify": arguments.verify,
        "level": arguments.level,
        "window": arguments.window,
        "files": arguments.file,
        "seed": arguments.seed,
        "profile": profile.map(|profile| serde_json::json!({ "name": profile.name, "source": profile.source })),
    })
}

/// The same in a line, for people.
pub(crate) fn summary(arguments: &RunArguments, corpus: &Corpus) -> String {
    let data = if arguments.file.is_empty() {
        format!("generated data (seed {})", arguments.seed)
    } else {
        format!(
            "{} of {}",
            crate::size::ByteSize(corpus.len()),
            uaccel_cli::figures::count(corpus.entries().len() as u64, "file")
        )
    };
    let threads = uaccel_cli::figures::count(u64::from(arguments.threads), "thread");
    let processes =
        arguments.processes.map(|count| format!("{} with ", uaccel_cli::figures::count(u64::from(count), "process")));
    format!(
        "{data}, depth {}, {}{threads}, {} s a row",
        arguments.depth,
        processes.unwrap_or_default(),
        arguments.seconds
    )
}

pub(crate) fn listed(device: &Device) -> Option<ListedDevice> {
    Some(ListedDevice::new(device.runtime.report().chosen()?, Some(device.runtime.granted())))
}

/// What to bear in mind about the results.
pub(crate) fn notes(
    arguments: &RunArguments,
    corpus: &Corpus,
    devices: &[Identity],
    profile: Option<&Profile>,
) -> Vec<String> {
    let mut notes = Vec::new();
    for device in devices.iter().filter(|device| device.simulated) {
        notes.push(match profile {
            Some(profile) => format!(
                "{} is simulated, and its times are those of the profile {} ({}): a model, not a measurement of hardware",
                device.name, profile.name, profile.source
            ),
            None => format!("{} is simulated: its figures say what the framework costs, and nothing about hardware", device.name),
        });
    }
    for device in devices.iter().filter(|device| !device.effective) {
        notes.push(format!(
            "{} does nothing: its figures are the framework's own cost, and its results are not verified",
            device.name
        ));
    }
    if let Some(largest) = arguments.sizes.iter().max().filter(|largest| largest.0 > corpus.len()) {
        notes.push(format!(
            "the inputs hold only {} bytes: jobs of {largest} repeat them, which compresses well",
            corpus.len()
        ));
    }
    notes
}

/// Flips a bit of the first result that has one, once.
pub(crate) fn flip_one_bit() -> crate::measure::Tamper {
    let done = AtomicBool::new(false);
    Arc::new(move |_, result| {
        if let Some(byte) = result.first_mut()
            // Relaxed: only that it happens once counts.
            && !done.swap(true, Ordering::Relaxed)
        {
            *byte ^= 1;
        }
    })
}
