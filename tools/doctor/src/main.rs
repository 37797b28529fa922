//! The program: command line in, exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use uaccel_doctor::{AFTER_HELP, Arguments, run};

/// Looks at this machine and says what keeps a process from using accelerators, with the command that mends it.
///
/// Needs no rights, and changes nothing.
#[derive(Debug, Parser)]
#[command(name = "uaccel-doctor", version, max_term_width = 100, after_long_help = AFTER_HELP, after_help = "Exit codes and examples: --help")]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    ExitCode::from(run(&Cli::parse().arguments, &mut anstream::stdout()))
}
