//! The program: command line in, exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use accel_bench::{Cli, Interrupt, execute};
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    ExitCode::from(execute(&cli, &Interrupt::on_signal()))
}
