//! A report for people: a heading per subject matter, a line per finding, and under it what mends it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::finding::{Finding, Status};
use crate::report::Report;

/// Headings.
const HEAD: Style = Style::new().bold();
/// What explains.
const DIM: Style = Style::new().dimmed();

/// Columns to write in.
const WIDTH: usize = 110;
/// Where text begins: behind status and name.
const INDENT: usize = 31;

/// Writes it.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut subject_matter = "";
    for finding in &report.findings {
        let (matter, name) = finding.check.split_once('.').unwrap_or((finding.check, ""));
        if matter != subject_matter {
            let gap = if subject_matter.is_empty() { "" } else { "\n" };
            writeln!(out, "{gap}{HEAD}{}{HEAD:#}", heading(matter))?;
            subject_matter = matter;
        }
        write_finding(finding, name, out)?;
    }
    writeln!(out, "\n{HEAD}ways to a device{HEAD:#}")?;
    for road in &report.roads {
        if road.devices.is_empty() {
            writeln!(out, "  {:<14}{DIM}none{DIM:#}", road.road)?;
            continue;
        }
        let devices = road.devices.join(", ");
        writeln!(out, "  {:<14}{devices}  {DIM}addresses {}{DIM:#}", road.road, road.address_mode)?;
    }
    writeln!(out, "  {:<14}always  {DIM}addresses shared{DIM:#}", "CPU")?;
    let (failures, warnings) = (report.count(Status::Fail), report.count(Status::Warn));
    let best = report.best_road().map_or("the CPU does all work", |_| "an accelerator can be used");
    writeln!(
        out,
        "\n{HEAD}{best}{HEAD:#}; {failures} in the way, {warnings} to know about, {} not to be told from here",
        report.count(Status::Unknown)
    )
}

fn heading(matter: &str) -> &str {
    match matter {
        "accelerator" => "accelerators",
        "group" => "IOMMU groups",
        "hisilicon" => "HiSilicon",
        "idxd" => "DSA and IAA",
        "iommu" => "IOMMU",
        "qat" => "QAT",
        "vfio" => "VFIO",
        other => other,
    }
}

fn write_finding(finding: &Finding, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let (word, style) = match finding.status {
        Status::Pass => ("ok", AnsiColor::Green.on_default()),
        Status::Fail => ("FAIL", AnsiColor::Red.on_default().bold()),
        Status::Warn => ("warn", AnsiColor::Yellow.on_default().bold()),
        Status::Absent => ("-", DIM),
        Status::Unknown => ("?", AnsiColor::Cyan.on_default()),
    };
    let about = finding.subject.as_ref().map_or_else(String::new, |subject| format!("{subject}: "));
    write!(out, "  {style}{word:<6}{style:#}{name:<20}   ")?;
    write_wrapped(&format!("{about}{}", finding.why), out)?;
    if finding.status == Status::Absent {
        // Nobody misses it.
        return Ok(());
    }
    if let Some(advice) = &finding.advice {
        write!(out, "{:INDENT$}", "")?;
        write_wrapped(&format!("→ {advice}"), out)?;
    }
    for command in &finding.commands {
        // Whole, so that it can be copied.
        writeln!(out, "{:INDENT$}$ {command}", "")?;
    }
    Ok(())
}

/// Writes words, the first line where the cursor is, the others below it.
fn write_wrapped(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH - INDENT {
            write!(out, "\n{:INDENT$}", "")?;
            column = 0;
        }
        if column > 0 {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{word}")?;
        column += width;
    }
    writeln!(out)
}
