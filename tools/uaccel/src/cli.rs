//! The command line.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use uaccel_runtime::{Builder, Runtime};

use crate::Interrupt;
use crate::exit::{self, Failure};
use crate::info::DeviceInfo;
use crate::inventory;
use crate::listing::Listing;
use crate::style::Color;

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
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    something failed on the way
  2    the command line is wrong
  3    the device cannot be used

Examples:
  uaccel list             devices, and reasons
  uaccel info software    what the CPU does, and up to which size";

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

impl Cli {
    fn runtime(&self) -> Builder {
        let builder = Runtime::builder();
        match &self.root {
            Some(root) => builder.root(root),
            None => builder,
        }
    }
}

/// Does what the command line says, and returns the exit code.
#[must_use]
pub fn execute(cli: &Cli, _interrupt: &Interrupt) -> u8 {
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
