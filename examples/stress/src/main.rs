//! The program `stress`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use clap::Parser as _;
use uaccel_stress::cli::{Cli, Command, Options};
use uaccel_stress::plan::Plan;
use uaccel_stress::record::{Verdict, Way};
use uaccel_stress::report::Report;
use uaccel_stress::run::run;
use uaccel_stress::{hand, worker};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Worker(orders)) => match worker::work(&orders) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                hand::complain(&format!("process {} ({})", orders.process, orders.role), &error);
                ExitCode::FAILURE
            }
        },
        None => conduct(&cli.options),
    }
}

fn conduct(options: &Options) -> ExitCode {
    let plan = options.plan();
    println!(
        "seed {}: {} processes of {} threads{} on '{}' for {:?}",
        plan.seed,
        plan.processes,
        plan.threads,
        if plan.odd { ", three odd ones" } else { "" },
        plan.device,
        plan.length
    );
    let folder = match folder() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("a folder for the run: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match run(&plan, &folder) {
        Ok(report) => {
            tell(&plan, &report);
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    };
    if options.keep || code != ExitCode::SUCCESS {
        println!("what is left of the run: {}", folder.display());
    } else if let Err(error) = fs::remove_dir_all(&folder) {
        eprintln!("{}: {error}", folder.display());
    }
    code
}

/// A folder that nobody had before.
fn folder() -> io::Result<PathBuf> {
    let base = env::temp_dir();
    for number in 0.. {
        let folder = base.join(format!("uaccel-stress-{}-{number}", std::process::id()));
        match create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| folder),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn create(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    // What clients work on may be files of the user's.
    fs::DirBuilder::new().mode(0o700).create(folder)
}

fn tell(plan: &Plan, report: &Report) {
    let tally = &report.tally;
    println!("{} jobs, {} MiB read, {} lives of clients", tally.submitted, tally.bytes >> 20, report.lives);
    let ways: Vec<_> = Way::ALL.iter().map(|way| format!("{way:?} {}", tally.by(*way))).collect();
    println!("  by way:  {}", ways.join(", "));
    let verdicts: Vec<_> = Verdict::ALL
        .iter()
        .filter(|verdict| tally.with(**verdict) != 0)
        .map(|verdict| format!("{verdict:?} {}", tally.with(*verdict)))
        .collect();
    println!("  answers: {}", verdicts.join(", "));
    println!(
        "  not answered: {} abandoned, {} died with their process; {} late without a cause but a busy machine",
        tally.abandoned, tally.cut, tally.slow
    );
    let events: Vec<_> = report.events.iter().map(|(what, count)| format!("{what} {count}")).collect();
    println!("  done to them: {}", if events.is_empty() { "nothing".to_owned() } else { events.join(", ") });
    for finding in &report.findings {
        println!("BROKEN: {finding}");
    }
    let kept = report.findings.len() as u64;
    if tally.findings > kept {
        println!("BROKEN: {} more", tally.findings - kept);
    }
    for problem in &report.problems {
        println!("WRONG: {problem}");
    }
    if report.is_good() {
        println!("every job accounted for, every byte right");
    } else {
        println!("the same again: --seed {}", plan.seed);
    }
}
