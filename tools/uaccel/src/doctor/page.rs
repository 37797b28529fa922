//! A report for people: first what it comes to and what to mend, then the rest by subject matter.

use std::io::{self, Write};

use anstyle::Style;
use uaccel_doctor::{Finding, Report, Status};

use crate::style::{BAD, DIM, GOOD, HEAD, NOTE};

/// Where text begins: behind status and name.
const INDENT: usize = 32;
/// So many things that nobody misses are not explained one by one.
const MANY: usize = 3;

/// Writes it in so many columns. With `all`, what nobody misses is explained as well.
///
/// # Errors
/// Those of `out`.
pub(super) fn write(report: &Report, columns: usize, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let width = columns.saturating_sub(INDENT);
    writeln!(out, "{HEAD}{}{HEAD:#}", harmless(&verdict(report)))?;
    writeln!(out, "{DIM}{}{DIM:#}", counts(report))?;
    let (failures, others): (Vec<_>, Vec<_>) =
        report.findings.iter().partition(|finding| finding.status == Status::Fail);
    if !failures.is_empty() {
        writeln!(out, "\n{HEAD}in the way, to be mended in this order{HEAD:#}")?;
    }
    for finding in failures {
        write_finding(finding, finding.check, width, out)?;
    }
    let mut rest = others.as_slice();
    while let Some(first) = rest.first() {
        let (matter, _) = parts(first);
        let end = rest.iter().position(|finding| parts(finding).0 != matter).unwrap_or(rest.len());
        writeln!(out, "\n{HEAD}{}{HEAD:#}", heading(matter))?;
        write_matter(&rest[..end], all, width, out)?;
        rest = &rest[end..];
    }
    writeln!(out, "\n{HEAD}ways to a device{HEAD:#}")?;
    for road in &report.roads {
        if road.devices.is_empty() {
            writeln!(out, "  {:<14}{DIM}none{DIM:#}", road.road)?;
            continue;
        }
        let devices = harmless(&road.devices.join(", "));
        writeln!(out, "  {:<14}{devices}  {DIM}addresses {}{DIM:#}", road.road, road.address_mode)?;
    }
    writeln!(out, "  {:<14}always  {DIM}addresses shared{DIM:#}", "CPU")
}

/// What it comes to.
fn verdict(report: &Report) -> String {
    match report.best_road() {
        Some(road) => {
            let are = if road.devices.len() == 1 { "is" } else { "are" };
            format!("{} {are} open to you ({}, addresses {})", road.devices.join(", "), road.road, road.address_mode)
        }
        None if !report.has_accelerators() => {
            "the CPU does all work: this machine has no accelerator that is known here".to_owned()
        }
        None if report.count(Status::Fail) > 0 => {
            "the CPU does all work: no accelerator here can be used, and something is in the way".to_owned()
        }
        None => {
            "the CPU does all work: no accelerator here can be used, and nothing is known to be in the way".to_owned()
        }
    }
}

fn counts(report: &Report) -> String {
    format!(
        "{} in the way, {} to know about, {} not to be told from here",
        report.count(Status::Fail),
        report.count(Status::Warn),
        report.count(Status::Unknown)
    )
}

/// Subject matter and name of a check.
fn parts(finding: &Finding) -> (&'static str, &'static str) {
    finding.check.split_once('.').unwrap_or((finding.check, ""))
}

fn heading(matter: &str) -> &str {
    match matter {
        "accelerator" => "accelerators",
        "devd" => "uaccel-devd",
        "group" => "IOMMU groups",
        "hisilicon" => "HiSilicon",
        "idxd" => "DSA and IAA",
        "iommu" => "IOMMU",
        "qat" => "QAT",
        "vfio" => "VFIO",
        other => other,
    }
}

fn write_matter(findings: &[&Finding], all: bool, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let is_idle = |finding: &&&Finding| finding.status == Status::Absent && finding.subject.is_none();
    let idle: Vec<_> = findings.iter().filter(is_idle).map(|finding| parts(finding).1).collect();
    let folds = !all && idle.len() >= MANY;
    for finding in findings.iter().filter(|finding| !(folds && is_idle(finding))) {
        write_finding(finding, parts(finding).1, width, out)?;
    }
    if folds {
        let text = format!("{}: nothing on this machine needs them; --all says more", idle.join(", "));
        write_line(Status::Absent, "not there", &text, width, out)?;
    }
    Ok(())
}

fn write_finding(finding: &Finding, name: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let about = finding.subject.as_ref().map_or_else(String::new, |subject| format!("{subject}: "));
    write_line(finding.status, name, &format!("{about}{}", finding.why), width, out)?;
    if matches!(finding.status, Status::Absent) {
        // Nobody misses it.
        return Ok(());
    }
    if let Some(advice) = &finding.advice {
        write!(out, "{:INDENT$}", "")?;
        write_wrapped(&format!("→ {advice}"), width, out)?;
    }
    for command in &finding.commands {
        // Whole, so that it can be copied.
        writeln!(out, "{:INDENT$}$ {}", "", harmless(command))?;
    }
    Ok(())
}

fn write_line(status: Status, name: &str, text: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let (word, style): (_, Style) = match status {
        Status::Pass => ("ok", GOOD),
        Status::Fail => ("FAIL", BAD),
        Status::Warn => ("warn", NOTE),
        Status::Absent => ("-", DIM),
        Status::Unknown => ("?", HEAD),
    };
    write!(out, "  {style}{word:<6}{style:#}{name:<22}  ")?;
    write_wrapped(text, width, out)
}

/// Writes words, the first line where the cursor is, the others below it.
fn write_wrapped(text: &str, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut column = 0;
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if column > 0 && column + 1 + letters > width {
            write!(out, "\n{:INDENT$}", "")?;
            column = 0;
        }
        if column > 0 {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{}", harmless(word))?;
        column += letters;
    }
    writeln!(out)
}

/// A text that does nothing to a terminal, whoever wrote it: recordings come from other people.
fn harmless(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
