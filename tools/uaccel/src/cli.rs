//! The command line.

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use uaccel_doctor::is_address;
use uaccel_runtime::uacce::ROOT_VARIABLE;
use uaccel_runtime::{Builder, Runtime};

use crate::Interrupt;
use crate::daemon;
use crate::doctor;
use crate::exit::{self, Failure};
use crate::info::DeviceInfo;
use crate::listing::Listing;
use crate::style::Color;
use crate::top;

/// Shows accelerators: which there are, what they grant, and who uses them.
#[derive(Debug, Parser)]
#[command(name = "uaccel", version, max_term_width = 100, after_long_help = EXIT_CODES, after_help = "Exit codes and examples: --help")]
pub struct Cli {
    /// What to show.
    #[command(subcommand)]
    pub command: Command,

    /// When to use colours; NO_COLOR and CLICOLOR_FORCE are obeyed.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,

    /// The socket of uaccel-devd; without it $UACCEL_DEVD, else $XDG_RUNTIME_DIR/uaccel/devd.sock, else /run/uaccel/devd.sock.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Look for the machine's devices in `sys`, `dev`, `proc` and the rest in this folder instead of /.
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    pub root: Option<PathBuf>,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every device there is, and why it is usable or not.
    List(ListArguments),
    /// What a device grants: opens a queue for a moment.
    Info(InfoArguments),
    /// What keeps you from accelerators here, with the command that mends it.
    ///
    /// Looks at kernel, IOMMU, buses, nodes, rights and uaccel-devd. Needs no rights, and changes nothing.
    #[command(after_long_help = doctor::HELP)]
    Doctor(DoctorArguments),
    /// Who uses accelerators: the clients of uaccel-devd with what they get done, and who holds queues of hardware.
    Top(TopArguments),
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something failed on the way; for doctor: something is in the way
  2    the command line is wrong
  3    the device cannot be used, or no daemon answers

Examples:
  uaccel list             devices, and reasons
  uaccel info software    what the CPU does, and up to which size
  uaccel doctor           what keeps you from accelerators, and what mends it
  uaccel top              a view of who uses what, until Ctrl-C
  uaccel top --once       the same as it is now";

/// `list`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `info`
#[derive(Debug, Args)]
pub struct InfoArguments {
    /// The device; see `uaccel list`.
    #[arg(value_name = "DEVICE")]
    pub device: String,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Look at this PCI function for VFIO, whatever it is; may be given several times.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub device: Vec<String>,

    /// Open nodes for a moment, and ask uaccel-devd: the only way to know for certain, and it takes a queue while it lasts.
    #[arg(long)]
    pub open: bool,

    /// Show everything: all IOMMU groups, and what is not there and nothing needs.
    #[arg(long)]
    pub all: bool,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,

    /// Look at a recording instead of this machine.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root", "socket"])]
    pub from: Option<PathBuf>,

    /// Write down everything that is looked at, for a bug report or a test.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub record: Option<PathBuf>,
}

/// `top`
#[derive(Debug, Args)]
pub struct TopArguments {
    /// Look once, and end.
    #[arg(long)]
    pub once: bool,

    /// Print one JSON object per look instead of text.
    #[arg(long)]
    pub json: bool,

    /// Seconds between two looks.
    #[arg(short, long, value_name = "TIME", default_value = "1", value_parser = seconds)]
    pub interval: f64,
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

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|_| "not a number of seconds, such as 0.5".to_owned())?;
    if (0.05..=3600.0).contains(&number) { Ok(number) } else { Err("from 0.05 to 3600 seconds".to_owned()) }
}

impl Cli {
    /// A runtime that knows the devices of the machine and of this process.
    fn machine(&self) -> Builder {
        let builder = Runtime::builder();
        match &self.root {
            Some(root) => builder.root(root),
            None => builder,
        }
    }

    /// Where a runtime looks for the machine's devices.
    fn folder(&self) -> PathBuf {
        let named = || env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty()).map(PathBuf::from);
        self.root.clone().or_else(named).unwrap_or_else(|| PathBuf::from("/"))
    }

    /// The same, and those of a daemon.
    fn runtime(&self) -> Builder {
        daemon::with_devices(self.machine(), self.socket.clone())
    }
}

/// Does what the command line says, and returns the exit code.
#[must_use]
pub fn execute(cli: &Cli, interrupt: &Interrupt) -> u8 {
    let mut out = cli.color.stdout();
    let result = match &cli.command {
        Command::Doctor(arguments) => {
            let examined = doctor::doctor(arguments, &cli.folder(), cli.socket.as_deref(), &mut out);
            return exit::end(examined, &mut out);
        }
        Command::List(arguments) => {
            let listing = Listing::collect(&cli.runtime(), &cli.folder().join("sys"));
            let written = if arguments.json { json(&listing, &mut out) } else { listing.write(&mut out) };
            written.map_err(Failure::from)
        }
        Command::Info(arguments) => DeviceInfo::open(cli.runtime(), &arguments.device).and_then(|info| {
            let written = if arguments.json { json(&info, &mut out) } else { info.write(&mut out) };
            written.map_err(Failure::from)
        }),
        Command::Top(arguments) => {
            let options = top::Options {
                socket: cli.socket.clone(),
                root: cli.root.clone().unwrap_or_else(|| PathBuf::from("/")),
                once: arguments.once,
                json: arguments.json,
                interval: Duration::from_secs_f64(arguments.interval),
            };
            top::top(&options, &cli.machine(), &mut out, interrupt)
        }
    };
    exit::end(result.map(|()| exit::DONE), &mut out)
}

/// Writes one object, indented, with a newline.
pub(crate) fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
