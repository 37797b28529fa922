//! `uaccel top`: who uses accelerators at the moment, and how much.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use uaccel_devd::{ClientStatus, DeviceStatus};
use uaccel_runtime::Builder;

use crate::Interrupt;
use crate::daemon::Daemon;
use crate::exit::Failure;
use crate::figures;
use crate::holders::{Holders, Node};
use crate::rates::Rates;
use crate::screen::Screen;
use crate::style;
use crate::view::View;

/// What to show, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// The daemon's socket; the usual place if there is none.
    pub socket: Option<PathBuf>,
    /// Where `dev` and `proc` are.
    pub root: PathBuf,
    /// Whether to look once and end.
    pub once: bool,
    /// Whether to write JSON, an object a line, instead of text.
    pub json: bool,
    /// Time between two looks.
    pub interval: Duration,
}

/// Everything that one look found out.
#[derive(Clone, Debug, Serialize)]
pub struct Look {
    /// The daemon's status as it said it; null if none answers.
    pub daemon: Option<serde_json::Value>,
    /// Why there is no status.
    pub daemon_error: Option<String>,
    /// How much happened since the look before; without one, since the beginning.
    pub rates: Option<Rates>,
    /// Who holds queues of hardware.
    pub hardware: Holders,
    #[serde(skip)]
    status: Option<View>,
}

/// Shows what there is until Ctrl-C, or once.
///
/// # Errors
/// [`Failure::NoDevice`] if no daemon answers at the first look and nobody holds a queue of hardware, [`Failure::Output`].
pub fn top(options: &Options, runtime: &Builder, out: &mut dyn Write, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut daemon = Daemon::at(options.socket.clone());
    let nodes = nodes(runtime, options);
    let mut before: Option<View> = None;
    let mut screen = None;
    loop {
        let begun = Instant::now();
        let look = Look::take(&mut daemon, before.as_ref(), &options.root, &nodes);
        // Once there was something to see, a daemon that goes is only one more thing to see.
        if let (Some(error), None, true) = (&look.daemon_error, &before, look.hardware.holders.is_empty())
            && screen.is_none()
        {
            return Err(Failure::NoDevice(error.clone()));
        }
        if options.json {
            if options.once {
                serde_json::to_writer_pretty(&mut *out, &look)
            } else {
                serde_json::to_writer(&mut *out, &look)
            }
            .map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            let live = !options.once && io::stdout().is_terminal();
            let frame = look.frame(before.is_some());
            if live {
                screen.get_or_insert_with(Screen::open).show(&frame, out)?;
            } else {
                out.write_all(frame.as_bytes())?;
                if !options.once {
                    writeln!(out)?;
                }
            }
        }
        out.flush()?;
        before = look.status.or(before);
        if options.once {
            return Ok(());
        }
        if !sleep(options.interval.saturating_sub(begun.elapsed()), interrupt) {
            return Ok(());
        }
    }
}

/// Sleeps; `false` if somebody wants the end before.
fn sleep(time: Duration, interrupt: &Interrupt) -> bool {
    /// How long Ctrl-C may go unnoticed.
    const STEP: Duration = Duration::from_millis(50);
    let until = Instant::now() + time;
    while !interrupt.is_set() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(STEP));
    }
    false
}

/// The nodes of the machine's devices.
fn nodes(runtime: &Builder, options: &Options) -> Vec<Node> {
    let report = runtime.report();
    let hardware = report.entries().iter().filter(|entry| entry.bus == "uacce");
    let node = |name: &str| Node { device: name.to_owned(), path: options.root.join("dev").join(name) };
    hardware.map(|entry| node(&entry.info.name)).collect()
}

impl Look {
    fn take(daemon: &mut Daemon, before: Option<&View>, root: &std::path::Path, nodes: &[Node]) -> Self {
        let hardware = Holders::find(&root.join("proc"), nodes);
        let (value, error) = match daemon.status() {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let (status, error) = match value.clone().map(serde_json::from_value::<View>) {
            Some(Ok(status)) => (Some(status), error),
            Some(Err(wrong)) => {
                let text = format!("the status of the daemon at {} makes no sense: {wrong}", daemon.socket().display());
                return Self { daemon: None, daemon_error: Some(text), rates: None, hardware, status: None };
            }
            None => (None, error),
        };
        let rates = status.as_ref().map(|status| Rates::between(before, status));
        Self { daemon: value, daemon_error: error, rates, hardware, status }
    }

    /// The view for people, at most a hundred columns.
    fn frame(&self, has_before: bool) -> String {
        let (head, bad, dim) = (style::HEAD, style::BAD, style::DIM);
        let mut lines = Vec::new();
        if let (Some(status), Some(rates)) = (&self.status, &self.rates) {
            lines.push(format!(
                "{head}uaccel-devd{head:#} {}, process {}, up {}, {}",
                printable(&status.version),
                status.pid,
                duration(status.uptime_ns),
                printable(&status.socket.to_string_lossy())
            ));
            let since = if has_before { "" } else { " (no earlier look: averages since the beginning)" };
            lines.push(format!("{dim}figures a second{since}{dim:#}"));
            lines.push(String::new());
            lines.push(format!(
                "{dim}{:<16}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{dim:#}",
                "device", "queues", "engines", "workers", "jobs", "MB", "faults", "wake-ups"
            ));
            for (device, rate) in status.devices.iter().zip(&rates.devices) {
                lines.push(device_line(device, rate));
                if device.leaked_queues > 0 {
                    let leaked = figures::count(device.leaked_queues, "queue");
                    lines.push(format!("  {bad}{leaked} given up because not proven quiet{bad:#}"));
                }
            }
            lines.push(String::new());
            lines.push(format!(
                "{dim}{:>5}{:>8}{:>7} {:<15}{:<7}{:>6}{:>8}{:>7}{:>9}{:>9}{:>8}{:>9}{dim:#}",
                "PASID", "pid", "uid", "command", "prio", "queues", "jobs", "MB", "wait", "service", "faults", "busy"
            ));
            for (client, rate) in status.clients.iter().zip(&rates.clients) {
                lines.push(client_line(client, rate));
            }
            if status.clients.is_empty() {
                lines.push("  no client that you may see".to_owned());
            }
        }
        if let Some(error) = &self.daemon_error {
            lines.push(format!("{bad}{}{bad:#}", printable(error)));
        }
        if !self.hardware.holders.is_empty() {
            lines.push(String::new());
            lines.push(format!(
                "{dim}{:<16}{:>8}{:>7} {:<15}{:>7}{dim:#}",
                "hardware", "pid", "uid", "command", "queues"
            ));
        }
        for holder in &self.hardware.holders {
            lines.push(format!(
                "{:<16}{:>8}{:>7} {:<15}{:>7}",
                printable(&holder.device),
                holder.pid,
                holder.uid,
                cut(&holder.command, 14),
                holder.queues
            ));
        }
        if self.hardware.hidden > 0 {
            let hidden = figures::count(self.hardware.hidden as u64, "process");
            lines.push(format!("{dim}{hidden} of other users not looked into; root sees them{dim:#}"));
        }
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

fn device_line(device: &DeviceStatus, rate: &crate::rates::DeviceRates) -> String {
    format!(
        "{:<16}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        cut(&device.name, 15),
        format!("{}/{}", device.queues_open, device.queues),
        device.engines,
        device.workers,
        figures::rate(rate.jobs_per_second),
        figures::plain(rate.bytes_per_second / 1e6),
        figures::rate(rate.faults_per_second),
        figures::rate(rate.signals_per_second),
    )
}

fn client_line(client: &ClientStatus, rate: &crate::rates::ClientRates) -> String {
    let bad = style::BAD;
    let busy = if client.blocked {
        format!("{bad}{:>9}{bad:#}", "blocked")
    } else {
        format!("{:>9}", format!("{:.0}%", 100.0 * rate.workers))
    };
    format!(
        "{:>5}{:>8}{:>7} {:<15}{:<7}{:>6}{:>8}{:>7}{:>9}{:>9}{:>8}{busy}",
        client.pasid,
        if client.pid == 0 { "-".to_owned() } else { client.pid.to_string() },
        client.uid,
        cut(&client.command, 14),
        cut(&client.priority, 6),
        client.queues,
        figures::rate(rate.jobs_per_second),
        figures::plain(rate.bytes_per_second / 1e6),
        figures::time(rate.wait_ns_per_job),
        figures::time(rate.service_ns_per_job),
        figures::rate(rate.faults_per_second),
    )
}

/// A name that somebody else chose, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

/// The same, and not longer than a column.
fn cut(text: &str, most: usize) -> String {
    printable(text).chars().take(most).collect()
}

/// A long time, roughly.
fn duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_move_no_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a?[2Jb?c");
        assert_eq!(cut("abcdef", 3), "abc");
    }

    #[test]
    fn long_times_are_short() {
        let times = [5, 65, 3_700, 90_000].map(|seconds: u64| duration(seconds * 1_000_000_000));
        assert_eq!(times, ["5 s", "1m05s", "1h01m", "1d01h"]);
    }
}
