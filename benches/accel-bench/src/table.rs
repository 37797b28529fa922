//! Results for people: a heading per workload, a line per size and device, at most a hundred columns.

use std::io::{self, Write};

use uaccel_cli::{figures, style};

use crate::break_even::{BreakEven, Place};
use crate::processes::Sharing;
use crate::report::{Row, Skipped};
use crate::size::ByteSize;
use crate::verify::Verify;
use crate::workload::Workload;

/// Writes rows as they come.
#[derive(Debug, Default)]
pub struct Table {
    workload: Option<String>,
    size: Option<ByteSize>,
}

impl Table {
    /// A table with nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes the names of the columns.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let dim = style::DIM;
        writeln!(out, "{dim}{:45}{:>19}  {:>18}{dim:#}", "", "latency", "CPU ns per KiB")?;
        writeln!(
            out,
            "{dim}{:>6}  {:<15}{:>8} {:>8} {:>5} {:>9} {:>9}  {:>8} {:>9}  verified{dim:#}",
            "size", "device", "jobs/s", "MB/s", "ratio", "p50", "p99", "caller", "process"
        )
    }

    /// Writes a row, and what must be said about it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn row(&mut self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        let title = match row.operation {
            Some(operation) => format!("{} {operation}", row.algorithm),
            None => row.algorithm.to_owned(),
        };
        let mut size = self.place(&title, row.size, out)?;
        if row.algorithm == Workload::Nop.algorithm() {
            // An empty job has no size.
            size.clear();
        }
        let or_dash = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), figures::plain);
        let dim = style::DIM;
        writeln!(
            out,
            "{size:>6}  {:<15}{:>8} {:>8} {:>5} {:>9} {:>9}  {:>8} {:>9}  {}",
            row.device_label(),
            figures::rate(row.jobs_per_second),
            or_dash(row.mb_per_second),
            or_dash(row.ratio),
            figures::time(row.latency_us.p50 * 1e3),
            figures::time(row.latency_us.p99 * 1e3),
            or_dash(row.caller_cpu_ns_per_kib),
            or_dash(row.process_cpu_ns_per_kib),
            verified(row),
        )?;
        if row.fallbacks > 0 {
            writeln!(
                out,
                "{:8}{dim}{} larger than the device takes: done by the CPU{dim:#}",
                "",
                figures::count(row.fallbacks, "job")
            )?;
        }
        trouble(row, out)
    }

    /// Writes the names of the columns of what several processes get.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn sharing_head(&self, out: &mut dyn Write) -> io::Result<()> {
        let dim = style::DIM;
        writeln!(
            out,
            "{dim}{:>6}  {:<14}{:>8} {:>8} {:>6} {:>9} {:>9} {:>9}  verified{dim:#}",
            "size", "device", "jobs/s", "MB/s", "share", "p50", "p99", "p99.9"
        )
    }

    /// Writes what several processes got: one alone, all together, and each.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn sharing(&mut self, sharing: &Sharing, out: &mut dyn Write) -> io::Result<()> {
        let dim = style::DIM;
        let title = match sharing.operation {
            Some(operation) => format!("{} {operation}", sharing.algorithm),
            None => sharing.algorithm.to_owned(),
        };
        let mut size = self.place(&title, sharing.size, out)?;
        if sharing.algorithm == Workload::Nop.algorithm() {
            // An empty job has no size.
            size.clear();
        }
        writeln!(out, "{size:>6}  {}", sharing.together.device_label())?;
        let mut line = |who: String, share: String, row: &Row| {
            let or_dash = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), figures::plain);
            writeln!(
                out,
                "{:8}  {who:<12}{:>8} {:>8} {share:>6} {:>9} {:>9} {:>9}  {}",
                "",
                figures::rate(row.jobs_per_second),
                or_dash(row.mb_per_second),
                figures::time(row.latency_us.p50 * 1e3),
                figures::time(row.latency_us.p99 * 1e3),
                figures::time(row.latency_us.p999 * 1e3),
                verified(row),
            )?;
            trouble(row, out)
        };
        line("alone".to_owned(), String::new(), &sharing.alone)?;
        for (index, row) in sharing.each.iter().enumerate() {
            let share = format!("{:.1}%", 100.0 * sharing.share(row));
            line(format!("process {}", index + 1), share, row)?;
        }
        line("together".to_owned(), String::new(), &sharing.together)?;
        writeln!(
            out,
            "{:8}{dim}{} together / one alone {:.2}, smallest / largest share {:.2}, Jain's index {:.3}{dim:#}",
            "",
            figures::count(sharing.processes as u64, "process"),
            sharing.of_one,
            sharing.smallest_by_largest_share,
            sharing.jain_index,
        )
    }

    /// Writes that a device does not offer something.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn skipped(&mut self, skipped: &Skipped, out: &mut dyn Write) -> io::Result<()> {
        let title = match skipped.operation {
            Some(operation) => format!("{} {operation}", skipped.algorithm),
            None => skipped.algorithm.to_owned(),
        };
        let size = self.place(&title, skipped.size, out)?;
        writeln!(out, "{size:>6}  {:<15}  {}", skipped.device, skipped.reason)
    }

    /// Writes the heading, if the workload is a new one; says what to put in the column of the size.
    fn place(&mut self, title: &str, size: ByteSize, out: &mut dyn Write) -> io::Result<String> {
        if self.workload.as_deref() != Some(title) {
            let head = style::HEAD;
            writeln!(out, "{head}{title}{head:#}")?;
            self.workload = Some(title.to_owned());
            self.size = None;
        }
        let shown = if self.size == Some(size) { String::new() } else { size.to_string() };
        self.size = Some(size);
        Ok(shown)
    }
}

/// What became of the verification of a row, for its last column.
fn verified(row: &Row) -> String {
    let bad = style::BAD;
    let found = &row.verification;
    match (row.effective, found.mode) {
        (false, _) => "-".to_owned(),
        (true, Some(Verify::None) | None) => "no".to_owned(),
        (true, _) if found.wrong > 0 => format!("{bad}{} WRONG{bad:#}", found.wrong),
        (true, _) if found.checked < row.jobs => format!("{} of {}", found.checked, figures::rate(row.jobs as f64)),
        (true, _) => format!("all {}", figures::rate(row.jobs as f64)),
    }
}

/// Writes what went wrong in a row, if anything did.
fn trouble(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let (bad, found) = (style::BAD, &row.verification);
    if let Some(failure) = &row.first_failure {
        writeln!(out, "{:8}{bad}{} failed{bad:#}; the first: {failure}", "", figures::count(row.failed, "job"))?;
    }
    if let Some(mismatch) = found.mismatches.first() {
        writeln!(out, "{:8}{bad}wrong{bad:#}, by {}: input {}: {}", "", found.with, mismatch.input, mismatch.reason)?;
    }
    Ok(())
}

/// Writes from which size on devices are faster than the CPU.
///
/// # Errors
/// Those of `out`.
pub fn break_even(found: &[BreakEven], out: &mut dyn Write) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let (head, dim) = (style::HEAD, style::DIM);
    writeln!(
        out,
        "\n{head}break-even: the job size from which the device does more jobs per second than the CPU{head:#}"
    )?;
    for one in found {
        let place = match one.place {
            Place::AtMost(size) => format!("{size} or less"),
            Place::About(size) => format!("about {size}"),
            Place::Beyond(size) => format!("none up to {size}"),
        };
        let device = if one.simulated { format!("{}, simulated", one.device) } else { one.device.clone() };
        let ratio = figures::plain(one.ratio_at_largest);
        writeln!(
            out,
            "  {:<28} {device:<15} {place:<16} {dim}{ratio} times the CPU at {}{dim:#}",
            one.workload.replace('.', " "),
            one.largest
        )?;
    }
    Ok(())
}

/// Writes how many results were verified, and what came of it.
///
/// # Errors
/// Those of `out`.
pub fn verdict(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let (good, bad) = (style::GOOD, style::BAD);
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    let (checked, wrong, failed) =
        (sum(|row| row.verification.checked), sum(|row| row.verification.wrong), sum(|row| row.failed));
    writeln!(out)?;
    if wrong + failed > 0 {
        return writeln!(
            out,
            "{bad}{wrong} of {} wrong, {} failed{bad:#}",
            figures::count(checked, "verified result"),
            figures::count(failed, "job")
        );
    }
    match checked {
        0 => writeln!(out, "nothing was verified"),
        _ => writeln!(out, "{good}verified:{good:#} {}, all right", figures::count(checked, "result")),
    }
}

/// Writes notes, one a line.
///
/// # Errors
/// Those of `out`.
pub fn notes(notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    let dim = style::DIM;
    if !notes.is_empty() {
        writeln!(out)?;
    }
    notes.iter().try_for_each(|note| writeln!(out, "{dim}note: {note}{dim:#}"))
}
