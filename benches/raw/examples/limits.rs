//! Prints every limit of this machine: smallest, median and largest of nine repetitions, in nanoseconds per operation.
//!
//! `cargo run --release -p accel-bench-raw --example limits [part of a name]`

use std::process::ExitCode;

use accel_bench_raw::{Entry, Launcher, Placement, RawError, Spread, catalogue, catalogue_of_processes, serve};

/// The argument with which this program is the other process of a limit.
const PARTNER: &str = "the-other-process";

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == PARTNER {
        return match serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e}");
                ExitCode::FAILURE
            }
        };
    }
    let placement = match Placement::detect() {
        Ok(placement) => placement,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::FAILURE;
        }
    };
    println!("{placement}; ns per operation, min / median / max of 9");
    let of_processes = Launcher::of_this_program([PARTNER]).map(|launcher| catalogue_of_processes(&launcher));
    let entries = catalogue().into_iter().chain(of_processes.into_iter().flatten());
    for entry in entries.filter(|entry| entry.name().contains(&wanted)) {
        match row(&entry, placement) {
            Ok(row) => println!("{row}"),
            Err(e) => println!("{:<32} {e}", entry.name()),
        }
    }
    ExitCode::SUCCESS
}

fn row(entry: &Entry, placement: Placement) -> Result<String, RawError> {
    let mut limit = entry.open(placement)?;
    let operations = limit.suggested_operations();
    let mut figures = [0.0; 9];
    for figure in &mut figures {
        *figure = limit.measure(operations)?;
    }
    let spread = Spread::of(&mut figures).map(|spread| spread.to_string()).unwrap_or_default();
    Ok(format!("{:<32} {spread:>32}   {}", entry.name(), limit.explanation()))
}
