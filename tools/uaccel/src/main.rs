//! The program: command line in, exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use uaccel_cli::{Cli, Interrupt, execute};

fn main() -> ExitCode {
    let cli = Cli::parse();
    ExitCode::from(execute(&cli, &Interrupt::on_signal()))
}
