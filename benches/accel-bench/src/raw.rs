//! `accel-bench raw`: what the machine can do at best, and the framework beside it.

use std::io::{self, Write};

use accel_bench_raw::{Placement, RawError, Spread, catalogue, catalogue_of_processes};
use serde::Serialize;

use uaccel_cli::reason::with_sources;
use uaccel_cli::{figures, style};

use crate::cli::RawArguments;
use crate::exit::{self, Failure};
use crate::promises::{self, Promise, PromiseReport, Verdict};
use crate::report::Report;
use crate::{Interrupt, Progress};

/// A limit, measured.
#[derive(Clone, Debug, Serialize)]
pub struct LimitReport {
    /// Its name; the part before the slash is its group.
    pub name: String,
    /// What one operation is.
    pub explanation: String,
    /// Nanoseconds per operation, the fastest repetition.
    pub min_ns: Option<f64>,
    /// The middle one.
    pub median_ns: Option<f64>,
    /// The slowest one.
    pub max_ns: Option<f64>,
    /// Why there is no figure.
    pub unavailable: Option<String>,
}

/// Repetitions of each limit.
const REPETITIONS: usize = 5;

/// Runs what the arguments say.
///
/// # Errors
/// See [`Failure`].
pub fn raw(
    arguments: &RawArguments,
    out: &mut dyn Write,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<u8, Failure> {
    let failed = |error: RawError| Failure::Failed(with_sources(&error));
    let placement = Placement::detect().map_err(failed)?;
    let options = serde_json::json!({ "beside": arguments.beside, "only": arguments.only, "pairs": arguments.pairs, "kills": arguments.kills });
    let mut report = Report::new("raw", options);
    if !arguments.json {
        writeln!(out, "{}", report.environment.line())?;
        writeln!(out, "{placement}")?;
    }
    if arguments.beside {
        beside(arguments, placement, &mut report, out, interrupt, progress)?;
    } else {
        limits(arguments, placement, &mut report, out, interrupt, progress)?;
    }
    if placement.engine().is_none() {
        report.notes.push("one usable CPU: nothing between two CPUs can be measured here".to_owned());
    }
    report.interrupted = interrupt.is_set();
    if arguments.json {
        report.write(out)?;
    } else {
        crate::table::notes(&report.notes, out)?;
    }
    let missed = report.promises.iter().any(|promise| promise.verdict == Verdict::Missed);
    Ok(match (report.interrupted, report.ok) {
        (true, _) => exit::INTERRUPTED,
        (_, false) => exit::FAILED,
        _ if missed && arguments.fail_if_missed => exit::MISSED,
        _ => exit::DONE,
    })
}

fn limits(
    arguments: &RawArguments,
    placement: Placement,
    report: &mut Report,
    out: &mut dyn Write,
    interrupt: &Interrupt,
    progress: bool,
) -> io::Result<()> {
    let mut entries = catalogue();
    // Without a path to this program there are none.
    entries.extend(promises::launcher().iter().flat_map(catalogue_of_processes));
    let progress = Progress::new(entries.len(), progress);
    if !arguments.json {
        let dim = style::DIM;
        progress.aside(|| {
            writeln!(out, "\n{dim}{:<32}{:>10} {:>10} {:>10}  a second{dim:#}", "limit", "fastest", "median", "slowest")
        })?;
    }
    let mut group = String::new();
    for entry in entries {
        if interrupt.is_set() {
            break;
        }
        progress.begin(entry.name().to_owned());
        let measured = entry.open(placement).and_then(|mut limit| {
            let operations = limit.suggested_operations() / 4;
            let mut figures =
                (0..REPETITIONS).map(|_| limit.measure(operations.max(1))).collect::<Result<Vec<_>, _>>()?;
            Ok((limit.explanation().to_owned(), Spread::of(&mut figures)))
        });
        let limit = match measured {
            Ok((explanation, spread)) => LimitReport {
                name: entry.name().to_owned(),
                explanation,
                min_ns: spread.map(|spread| spread.min),
                median_ns: spread.map(|spread| spread.median),
                max_ns: spread.map(|spread| spread.max),
                unavailable: None,
            },
            Err(error) => LimitReport {
                name: entry.name().to_owned(),
                explanation: String::new(),
                min_ns: None,
                median_ns: None,
                max_ns: None,
                unavailable: Some(with_sources(&error)),
            },
        };
        if let Some(median) = limit.median_ns {
            report.metrics.insert(format!("{}.median_ns", limit.name), median);
        }
        if !arguments.json {
            progress.aside(|| write_limit(&limit, &mut group, out))?;
        }
        report.limits.push(limit);
        progress.step();
    }
    Ok(())
}

fn write_limit(limit: &LimitReport, explained: &mut String, out: &mut dyn Write) -> io::Result<()> {
    let dim = style::DIM;
    if limit.explanation != *explained && !limit.explanation.is_empty() {
        writeln!(out, "{dim}{}{dim:#}", limit.explanation)?;
        explained.clone_from(&limit.explanation);
    }
    match (limit.min_ns, limit.median_ns, limit.max_ns, &limit.unavailable) {
        (Some(min), Some(median), Some(max), _) => {
            let [least, middle, most] = [min, median, max].map(figures::time);
            writeln!(out, "  {:<30}{least:>10} {middle:>10} {most:>10}  {:>8}", limit.name, figures::rate(1e9 / median))
        }
        (.., Some(reason)) => writeln!(out, "  {:<30}  {reason}", limit.name),
        _ => Ok(()),
    }
}

fn beside(
    arguments: &RawArguments,
    placement: Placement,
    report: &mut Report,
    out: &mut dyn Write,
    interrupt: &Interrupt,
    progress: bool,
) -> Result<(), Failure> {
    let mut all = promises::all();
    all.retain(|promise| arguments.only.is_empty() || arguments.only.iter().any(|name| name == promise.name));
    let progress = Progress::new(all.len(), progress);
    if !arguments.json {
        let dim = style::DIM;
        progress.aside(|| {
            writeln!(
                out,
                "{} pairs each, framework and limit in turn; ratio: median of the pair ratios\n",
                arguments.pairs
            )?;
            writeln!(
                out,
                "{dim}{:<38}{:>10} {:>10} {:>7}  {:<15} promised{dim:#}",
                "promise", "framework", "limit", "ratio", "spread"
            )
        })?;
    }
    if all.iter().any(|promise| !promise.needs_a_daemon()) {
        report.notes.push(
            "the engine is the simulator on the other CPU; the limits are hand-written protocols without a framework"
                .to_owned(),
        );
    }
    if all.iter().any(Promise::needs_a_daemon) {
        report.notes.push(
            "for several processes a uaccel-devd of this program's own was started, on a private socket, and ended"
                .to_owned(),
        );
    }
    let mut group = "";
    for promise in all {
        if interrupt.is_set() {
            break;
        }
        progress.begin(promise.name.to_owned());
        let judged = promise.judge(
            placement,
            usize::from(arguments.pairs),
            usize::try_from(arguments.kills).unwrap_or(usize::MAX),
            interrupt,
        );
        if !arguments.json {
            progress.aside(|| write_promise(&judged, &mut group, out))?;
        }
        if let Some(ratio) = judged.ratio {
            report.metrics.insert(format!("promise.{}.ratio", judged.name), ratio);
        }
        for (name, figure) in &judged.figures {
            report.metrics.insert(format!("promise.{}.{name}", judged.name), *figure);
        }
        report.ok &= judged.error.is_none();
        report.promises.push(judged);
        progress.step();
    }
    Ok(())
}

fn write_promise(judged: &PromiseReport, group: &mut &str, out: &mut dyn Write) -> io::Result<()> {
    let (head, good, bad, dim) = (style::HEAD, style::GOOD, style::BAD, style::DIM);
    if *group != judged.group {
        writeln!(out, "{head}{}{head:#}", judged.group)?;
        *group = judged.group;
    }
    if let Some(reason) = judged.unavailable.as_ref().or(judged.error.as_ref()) {
        return writeln!(out, "  {:<36}  {reason}", judged.what);
    }
    let or_dash = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), figures::time);
    let ratio = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"));
    let spread = format!("{} to {}", ratio(judged.ratio_min), ratio(judged.ratio_max));
    let promised = match (judged.at_most, judged.at_least, judged.verdict) {
        (Some(most), _, Verdict::Kept) => format!("{good}<= {most} kept{good:#}"),
        (Some(most), ..) => format!("{bad}<= {most} missed{bad:#}"),
        (_, Some(least), Verdict::Kept) => format!("{good}>= {least} kept{good:#}"),
        (_, Some(least), _) => format!("{bad}>= {least} missed{bad:#}"),
        (None, None, _) => format!("{dim}for information{dim:#}"),
    };
    writeln!(
        out,
        "  {:<36}{:>10} {:>10} {:>7}  {spread:<15} {promised}",
        judged.what,
        or_dash(judged.framework_ns),
        or_dash(judged.limit_ns),
        ratio(judged.ratio),
    )
}
