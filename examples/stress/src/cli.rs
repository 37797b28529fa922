//! The command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};

use crate::plan::Plan;
use crate::worker::Orders;

/// Many processes on one accelerator, killed, stopped and lied to; every byte verified, every job accounted for.
#[derive(Clone, Debug, Parser)]
#[command(name = "stress", version)]
pub struct Cli {
    /// For the program's own clients.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What to run.
    #[command(flatten)]
    pub options: Options,
}

/// What the program is when it is not the one that the user called.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// A client of a run.
    #[command(hide = true)]
    Worker(Orders),
}

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Ordinary client processes; one that forks, one that execs and one that never polls come on top
    #[arg(long, default_value_t = 4)]
    pub processes: u32,
    /// Threads of each ordinary process
    #[arg(long, default_value_t = 2)]
    pub threads: u32,
    /// The device: "devd" is one that a daemon of the run's own hosts; "sim" and "software" need none
    #[arg(long, default_value = "devd")]
    pub device: String,
    /// Where chance begins; another one each time if it is not given
    #[arg(long)]
    pub seed: Option<u64>,
    /// Length in seconds
    #[arg(long, default_value_t = 50, conflicts_with = "minutes")]
    pub seconds: u64,
    /// Length in minutes; memory, descriptors, address spaces and queues are printed each minute, and may not grow
    #[arg(long)]
    pub minutes: Option<u64>,
    /// How long a job may take, in milliseconds
    #[arg(long, default_value_t = 1500)]
    pub deadline_ms: u64,
    /// Cases that a process draws its jobs from
    #[arg(long, default_value_t = 60)]
    pub cases: usize,
    /// Nobody is killed or stopped, and the device does nothing wrong
    #[arg(long)]
    pub no_kill: bool,
    /// No processes that fork, exec or never poll
    #[arg(long)]
    pub no_odd: bool,
    /// Says what is done to whom
    #[arg(long, short)]
    pub verbose: bool,
    /// Keeps the run's folder, also if all is well
    #[arg(long)]
    pub keep: bool,
    /// Files to work on; generated text, records and noise if none is named
    pub files: Vec<PathBuf>,
}

impl Options {
    /// The run that was asked for.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are what changes")]
    pub fn plan(&self) -> Plan {
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64 >> 10);
        Plan {
            seed: self.seed.unwrap_or_else(clock),
            length: Duration::from_secs(self.minutes.map_or(self.seconds, |minutes| minutes * 60)),
            processes: self.processes,
            threads: self.threads,
            device: self.device.clone(),
            deadline: Duration::from_millis(self.deadline_ms),
            cases: self.cases.clamp(1, usize::from(u16::MAX)),
            events: !self.no_kill,
            odd: !self.no_odd,
            // A little less, so that the last of a minute counts.
            telling: Duration::from_secs(if self.minutes.is_some() { 55 } else { 15 }),
            soak: self.minutes.is_some(),
            files: self.files.clone(),
            verbose: self.verbose,
        }
    }
}
