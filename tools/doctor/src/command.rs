//! The command `doctor`: from arguments to an exit code.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::disk::Disk;
use crate::finding::Status;
use crate::function::is_address;
use crate::machine::Manner;
use crate::page;
use crate::recording::{Recorder, Recording, RecordingError};
use crate::report::Report;

/// Nothing is in the way.
pub const DONE: u8 = 0;
/// Something is in the way: at least one line fails.
pub const FAILED: u8 = 1;
/// The command line is wrong, or names a file that cannot be read or written.
pub const USAGE: u8 = 2;

/// What `doctor` takes.
#[derive(Clone, Debug, Default, Args)]
pub struct Arguments {
    /// Look at this PCI function for VFIO, whatever it is; may be given several times.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub device: Vec<String>,

    /// Open nodes for a moment: the only way to know for certain, and it takes a queue while it lasts.
    #[arg(long)]
    pub open: bool,

    /// Show all IOMMU groups, and not only those with accelerators.
    #[arg(long)]
    pub all: bool,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,

    /// Look for sys, proc, dev and etc in this folder instead of /.
    #[arg(long, value_name = "DIR", default_value = "/", conflicts_with = "from")]
    pub root: PathBuf,

    /// Look at a recording instead of this machine.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,

    /// Write down everything that is looked at, for a bug report or a test.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub record: Option<PathBuf>,
}

/// Exit codes and examples, for the end of a command's help.
pub const AFTER_HELP: &str = "\
Exit codes:
  0    nothing is in the way
  1    something is in the way: at least one line fails
  2    the command line is wrong, or names a file that cannot be read or written

Examples:
  uaccel doctor                             what keeps you from accelerators here, and what mends it
  uaccel doctor --open                      for certain: nodes are opened for a moment
  uaccel doctor --device 0000:03:00.0       what it takes to give this device to a process through VFIO
  uaccel doctor --json                      for a program
  uaccel doctor --record machine.json       everything that was looked at, for a bug report
  uaccel doctor --from machine.json         another machine's recording";

/// Why nothing was examined, or nobody was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoctorError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no recording.
    #[error("{}: {source}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RecordingError,
    },
    /// The report cannot be written.
    #[error("the report cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Examines what the arguments name. With `--record`, what was asked and answered is written into that file.
///
/// # Errors
/// If a file cannot be read or written.
pub fn examine(arguments: &Arguments) -> Result<Report, DoctorError> {
    let manner = Manner { open: arguments.open, all: arguments.all, devices: arguments.device.clone() };
    let file = |path: &PathBuf| {
        let path = path.clone();
        move |source| DoctorError::File { path, source }
    };
    if let Some(path) = &arguments.from {
        let text = fs::read_to_string(path).map_err(file(path))?;
        let recording =
            Recording::parse(&text).map_err(|source| DoctorError::Recording { path: path.clone(), source })?;
        return Ok(Report::of(&recording, &manner));
    }
    // A folder that is not there would be a machine with nothing in it.
    fs::read_dir(&arguments.root).map_err(file(&arguments.root))?;
    let disk = Disk::at(&arguments.root);
    let Some(path) = &arguments.record else { return Ok(Report::of(&disk, &manner)) };
    let recorder = Recorder::new(disk, concat!("recorded by uaccel doctor ", env!("CARGO_PKG_VERSION")).to_owned());
    let report = Report::of(&recorder, &manner);
    let mut text = serde_json::to_string_pretty(&recorder.into_recording()).map_err(io::Error::from)?;
    text.push('\n');
    fs::write(path, text).map_err(file(path))?;
    Ok(report)
}

/// Does what the arguments say, and returns the exit code. What goes wrong is said on standard error; text has colours in it, which
/// `out` drops where they are not wanted.
#[must_use]
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> u8 {
    let written = examine(arguments).and_then(|report| {
        if arguments.json {
            serde_json::to_writer_pretty(&mut *out, &report).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            page::write(&report, out)?;
        }
        out.flush()?;
        Ok(if report.count(Status::Fail) == 0 { DONE } else { FAILED })
    });
    match written {
        Ok(code) => code,
        // Whoever reads the report has seen enough.
        Err(DoctorError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            // If nobody can be told, the exit code still can.
            let _ = writeln!(anstream::stderr(), "error: {error}");
            USAGE
        }
    }
}

fn address(text: &str) -> Result<String, String> {
    // Without a domain it is the first one, as everywhere.
    let address =
        if text.matches(':').count() == 1 { format!("0000:{text}") } else { text.to_owned() }.to_ascii_lowercase();
    if is_address(&address) {
        Ok(address)
    } else {
        Err("no address of a PCI function, such as 0000:03:00.0".to_owned())
    }
}
