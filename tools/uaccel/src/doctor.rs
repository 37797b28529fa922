//! `uaccel doctor`: what keeps a process from accelerators here, and what mends it.

mod page;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use terminal_size::{Width, terminal_size};
use uaccel_doctor::{Disk, Manner, Recorder, Recording, Report, Status};

use crate::cli::DoctorArguments;
use crate::exit::{DONE, FAILED, Failure};

/// Columns of a page that goes to no terminal.
const COLUMNS: usize = 110;

/// Exit codes and examples, for the end of the help.
pub(crate) const HELP: &str = "\
Exit codes:
  0    nothing is in the way
  1    something is in the way: at least one line says FAIL
  2    the command line is wrong, or names a file that cannot be read or written

Examples:
  uaccel doctor                             what keeps you from accelerators here, and what mends it
  uaccel doctor --open                      for certain: nodes are opened, a daemon is asked
  uaccel doctor --device 0000:03:00.0       what it takes to use this device through VFIO
  uaccel doctor --json                      for a program
  uaccel doctor --record machine.json       everything that was looked at, for a bug report
  uaccel doctor --from machine.json         another machine's recording";

/// Examines what the arguments name, below `root` if they name nothing else, and writes what was found. Gives the exit code.
///
/// # Errors
/// If a file cannot be read or written, or nothing can be written to `out`.
pub(crate) fn doctor(
    arguments: &DoctorArguments,
    root: &Path,
    socket: Option<&Path>,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let report = examine(arguments, root, socket)?;
    if arguments.json {
        crate::cli::json(&report, out)?;
    } else {
        let columns = terminal_size().map_or(COLUMNS, |(Width(columns), _)| usize::from(columns).clamp(60, COLUMNS));
        page::write(&report, columns, arguments.all, out)?;
    }
    Ok(if report.count(Status::Fail) == 0 { DONE } else { FAILED })
}

/// With `--record`, what was asked and answered is written into that file.
fn examine(arguments: &DoctorArguments, root: &Path, socket: Option<&Path>) -> Result<Report, Failure> {
    let manner = Manner { open: arguments.open, all: arguments.all, devices: arguments.device.clone() };
    if let Some(path) = &arguments.from {
        let text = fs::read_to_string(path).map_err(file(path))?;
        let recording =
            Recording::parse(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        return Ok(Report::of(&recording, &manner));
    }
    // A folder that is not there would be a machine with nothing in it.
    fs::read_dir(root).map_err(file(root))?;
    let disk = Disk::at(root);
    let disk = match socket {
        Some(socket) => disk.with_daemon(socket),
        None => disk,
    };
    let Some(path) = &arguments.record else { return Ok(Report::of(&disk, &manner)) };
    let recorder = Recorder::new(disk, concat!("recorded by uaccel doctor ", env!("CARGO_PKG_VERSION")).to_owned());
    let report = Report::of(&recorder, &manner);
    let mut text = serde_json::to_string_pretty(&recorder.into_recording()).map_err(io::Error::from)?;
    text.push('\n');
    fs::write(path, text).map_err(file(path))?;
    Ok(report)
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path: PathBuf = path.to_owned();
    move |source| Failure::File { path, source }
}
