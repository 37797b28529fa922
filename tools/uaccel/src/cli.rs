//! The command line.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use uaccel_runtime::{Builder, Runtime};

use crate::Interrupt;
use crate::daemon;
use crate::exit::{self, Failure};
use crate::info::DeviceInfo;
use crate::inventory;
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

    /// Look for the machine's devices in `sys`, `dev` and `proc` in this folder instead of /.
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
    /// Who uses accelerators: the clients of uaccel-devd with what they get done, and who holds queues of hardware.
    Top(TopArguments),
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something failed on the way
  2    the command line is wrong
  3    the device cannot be used, or no daemon answers

Examples:
  uaccel list             devices, and reasons
  uaccel info software    what the CPU does, and up to which size
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
        Command::List(arguments) => {
            let sysfs = cli.root.as_ref().map_or_else(inventory::sysfs, |root| root.join("sys"));
            let listing = Listing::collect(&cli.runtime(), &sysfs);
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
fn json(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
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
