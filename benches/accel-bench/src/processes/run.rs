//! `accel-bench run --processes`: algorithms by sizes by devices, by one process alone and by several together.

use std::io::Write;
use std::time::Duration;

use uaccel_runtime::SIMULATOR;

use super::order::{CaseOrder, OpenOrder};
use super::sharing::Sharing;
use super::team::{Outcome, Team};
use crate::cli::RunArguments;
use crate::corpus::Corpus;
use crate::device::{Device, DeviceOptions, Identity};
use crate::exit::{self, Failure};
use crate::measurement::Measurement;
use crate::report::{Report, Row, Skipped};
use crate::run::{described, listed, notes, summary, workloads};
use crate::table::{self, Table};
use crate::workload::Workload;
use crate::{Interrupt, Progress};

/// Runs what the arguments say, writes table or JSON to `out`, and returns the exit code.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn run(
    arguments: &RunArguments,
    processes: usize,
    out: &mut dyn Write,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<u8, Failure> {
    let workloads = workloads(arguments);
    let mut report = Report::new("run", described(arguments, None));
    let mut teams = Vec::new();
    for name in &arguments.devices {
        let (identity, team) = open(name, processes, arguments, &mut report, interrupt)?;
        teams.push((identity, team));
    }
    let corpus = if arguments.file.is_empty() {
        Corpus::generated(arguments.seed)
    } else {
        Corpus::of_files(&arguments.file).map_err(|(path, source)| Failure::File { path, source })?
    };
    let identities: Vec<Identity> = teams.iter().map(|(identity, _)| identity.clone()).collect();
    report.notes.extend(notes(arguments, &corpus, &identities, None));
    if identities.iter().any(|identity| identity.name == "software" || !identity.effective) {
        report.notes.push("software and null are each process's own: what is shared is the machine".to_owned());
    }
    let progress = Progress::new(workloads.len() * arguments.sizes.len() * teams.len(), progress);
    let mut table = Table::new();
    if !arguments.json {
        progress.aside(|| {
            writeln!(out, "{}", report.environment.line())?;
            writeln!(out, "{}\n", summary(arguments, &corpus))?;
            table.sharing_head(out)
        })?;
    }
    'all: for workload in workloads {
        // An empty job has no size.
        let sizes = if workload == Workload::Nop { &arguments.sizes[..1] } else { &arguments.sizes[..] };
        for size in sizes {
            for (identity, team) in &mut teams {
                if interrupt.is_set() {
                    break 'all;
                }
                progress.begin(format!("{workload} {size} on {}", identity.name));
                let order = CaseOrder {
                    workload: workload.key(),
                    size: *size,
                    level: arguments.level,
                    window: arguments.window,
                    verify: arguments.verify,
                    jobs: arguments.jobs.map(|jobs| jobs.get() as u64),
                };
                let row = |found: &Measurement| Row::new(workload, *size, identity, arguments.verify, found);
                let time = Duration::from_secs_f64(arguments.seconds);
                let outcome = both(team, &order, processes, time)?;
                if interrupt.is_set() {
                    break 'all;
                }
                match outcome {
                    Ok((alone, each)) => {
                        let mut together = Measurement::empty();
                        each.iter().for_each(|part| together.join(part));
                        let sharing = Sharing::new(row(&alone), row(&together), each.iter().map(row).collect());
                        if !arguments.json {
                            progress.aside(|| table.sharing(&sharing, out))?;
                        }
                        report.push_sharing(sharing);
                    }
                    Err(Outcome::Unsupported(reason)) => {
                        let skipped = Skipped {
                            algorithm: workload.algorithm(),
                            operation: workload.operation(),
                            size: *size,
                            device: identity.name.clone(),
                            reason,
                        };
                        if !arguments.json {
                            progress.aside(|| table.skipped(&skipped, out))?;
                        }
                        report.skipped.push(skipped);
                    }
                    Err(Outcome::Failed(reason)) => {
                        return Err(Failure::Failed(format!("{workload} {size} on {}: {reason}", identity.name)));
                    }
                    Err(Outcome::Found(_)) => {}
                }
                progress.step();
            }
        }
    }
    drop(progress);
    report.interrupted = interrupt.is_set();
    if report.interrupted {
        report.notes.push("stopped early: only what was measured until then is shown".to_owned());
    }
    if arguments.json {
        report.write(out)?;
    } else {
        let rows: Vec<Row> =
            report.sharing.iter().flat_map(|sharing| sharing.each.iter().chain([&sharing.alone])).cloned().collect();
        table::verdict(&rows, out)?;
        table::notes(&report.notes, out)?;
    }
    Ok(match (report.interrupted, report.ok) {
        (true, _) => exit::INTERRUPTED,
        (_, false) => exit::FAILED,
        _ => exit::DONE,
    })
}

/// One process alone, then all.
fn both(
    team: &mut Team,
    order: &CaseOrder,
    processes: usize,
    time: Duration,
) -> Result<Result<(Measurement, Vec<Measurement>), Outcome>, Failure> {
    let alone = match team.measure(order, 1, time)? {
        Outcome::Found(found) => found.into_iter().next().unwrap_or_else(Measurement::empty),
        refusal => return Ok(Err(refusal)),
    };
    Ok(match team.measure(order, processes, time)? {
        Outcome::Found(each) => Ok((alone, each)),
        refusal => Err(refusal),
    })
}

/// Opens a device here for a moment, to see what it is, then in so many processes.
fn open(
    name: &str,
    processes: usize,
    arguments: &RunArguments,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(Identity, Team), Failure> {
    if name == SIMULATOR {
        return Err(Failure::NoDevice(format!(
            "'{SIMULATOR}' lives in the process that opens it, so processes cannot share it; start uaccel-devd, and \
             name its device: --devices devd"
        )));
    }
    let device = Device::open(name, &DeviceOptions::default())?;
    report.devices.extend(listed(&device));
    let identity = device.identity.clone();
    // Its queue goes back before the others ask for theirs.
    drop(device);
    let open = OpenOrder {
        device: name.to_owned(),
        depth: usize::from(arguments.depth),
        threads: usize::from(arguments.threads),
        socket: None,
        cpu: None,
        files: arguments.file.clone(),
        seed: arguments.seed,
        corrupt: arguments.corrupt_a_result,
    };
    Ok((identity, Team::start(processes, &open, interrupt)?))
}
