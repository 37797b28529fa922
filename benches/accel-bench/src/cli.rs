//! The command line.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{ArgPredicate, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};
use uaccel_cli::daemon::with_devices;
use uaccel_cli::inventory;
use uaccel_cli::listing::Listing;
use uaccel_cli::reason::with_sources;
use uaccel_cli::style::Color;
use uaccel_runtime::Runtime;

use crate::exit::{self, Failure};
use crate::report::Report;
use crate::size::{ByteSize, NoSize};
use crate::verify::Verify;
use crate::workload::{Directions, Workload};
use crate::{Interrupt, demo, own_daemon, processes, promises, published, raw, run};

/// Measures accelerators beside the CPU, verifies every result with other libraries, and tests the framework's promises.
///
/// Without a command: a short, complete demonstration on real data.
#[derive(Debug, Parser)]
#[command(name = "accel-bench", version, max_term_width = 100, after_long_help = EXIT_CODES, after_help = "Exit codes and examples: --help")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// When to use colours; NO_COLOR and CLICOLOR_FORCE are obeyed.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,

    /// Show no progress bar (there is one on terminals only).
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the devices there are, and why each is usable or not.
    List(ListArguments),
    /// Measure algorithms at several sizes, devices side by side, every result verified.
    Run(RunArguments),
    /// Measure what the machine can do at best, with no framework in the way, and the framework beside it.
    Raw(RawArguments),
    /// Show what was published of hardware beside what the simulator makes of its profile, point by point.
    Published(PublishedArguments),
    /// One of the processes of `run --processes`: does what it is told on standard input.
    #[command(hide = true)]
    Worker,
    /// The daemon of `raw --beside`: serves until standard input ends.
    #[command(hide = true)]
    Daemon(DaemonArguments),
    /// The other process of a limit between two.
    #[command(hide = true)]
    RawPartner,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done, and every verified result was right
  1    a job failed, or a result was wrong
  2    the command line is wrong, or a file cannot be read
  3    a device that was asked for cannot be used
  4    a promise was missed (raw --fail-if-missed)
  130  stopped with Ctrl-C; what was measured until then was printed

Examples:
  accel-bench                                          the demonstration
  accel-bench list                                     devices, and reasons
  accel-bench run --algorithms gzip --sizes 4k,64k,1m  one algorithm, three sizes
  accel-bench run --file /var/log/syslog --json        your own data, for a program
  accel-bench raw --beside                             every promise beside its limit";

/// `list`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,

    /// Look for accelerators below this directory instead of /sys.
    #[arg(long, value_name = "DIR", hide = true)]
    pub sysfs: Option<PathBuf>,
}

const RUN_EXAMPLES: &str = "\
Examples:
  accel-bench run                                            all algorithms, about a minute
  accel-bench run -a gzip,zstd -s 4k,64k,1m --level 1        compression at level 1
  accel-bench run -a aes-128-gcm --depth 32 --devices sim    one device, 32 jobs in flight
  accel-bench run -a zlib --profile hisilicon-zip            simulated times of published hardware
  accel-bench run --file data.bin --seconds 1 --json         your own data, for a program
  accel-bench run -a copy --processes 4 -d devd              what four processes get of one device

A row is one algorithm at one size on one device. MB/s count the text: what goes into a compressor, what comes
out of a decompressor. Latency is from before the doorbell to after the answer was seen. CPU is that of the
submitting threads, and of the whole process, where a simulated engine's work is part of it.

With --processes all processes work within the same stretch of time. Verified are the jobs just before it and the
last ones within, because verification in between would leave the device to the others.";

/// `run`
#[derive(Clone, Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArguments {
    /// Algorithms, separated by commas; all if not given.
    #[arg(short, long, value_delimiter = ',', value_name = "NAME", value_parser = PossibleValuesParser::new(Workload::names()))]
    pub algorithms: Vec<String>,

    /// Directions to measure, of algorithms that have two.
    #[arg(long, value_enum, default_value_t)]
    pub directions: Directions,

    /// Job sizes in bytes of text, separated by commas, with suffix k, m or g.
    #[arg(short, long, value_delimiter = ',', value_name = "SIZE", default_value = "4k,64k")]
    pub sizes: Vec<ByteSize>,

    /// Devices, separated by commas; see `accel-bench list`.
    #[arg(
        short,
        long,
        value_delimiter = ',',
        value_name = "NAME",
        default_value = "sim,software,null",
        default_value_if("processes", ArgPredicate::IsPresent, "software")
    )]
    pub devices: Vec<String>,

    /// Jobs each thread keeps in flight, up to 4096.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub depth: u16,

    /// Threads, each with a queue of its own.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,

    /// Processes that share each device, each with threads and a runtime of its own, beside one of them alone.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), conflicts_with = "profile")]
    pub processes: Option<u16>,

    /// Seconds to measure each row.
    #[arg(long, value_name = "TIME", default_value = "0.2", value_parser = seconds)]
    pub seconds: f64,

    /// Stop a row after so many jobs, if that is earlier.
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,

    /// How many results to verify: none, the first round and a sample after it, or all.
    #[arg(long, value_enum, default_value_t)]
    pub verify: Verify,

    /// Compression level; each format takes its nearest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=22))]
    pub level: Option<u8>,

    /// How far back deflate, zlib and gzip may refer when they compress, from 512 to 32k.
    #[arg(long, value_name = "SIZE", value_parser = window)]
    pub window: Option<ByteSize>,

    /// Files to work on instead of generated data; may be given several times.
    #[arg(short, long, value_name = "PATH", num_args = 1..)]
    pub file: Vec<PathBuf>,

    /// Where chance begins: in generated data, keys and nonces.
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,

    /// How long jobs take on the simulator: a built-in profile (hisilicon-zip) or a file; without it, as long as the work takes.
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,

    /// Print one JSON object instead of a table; its shape is in report.schema.json.
    #[arg(long)]
    pub json: bool,

    /// Flip one bit of one result before it is verified, to see that verification notices.
    #[arg(long, hide = true)]
    pub corrupt_a_result: bool,
}

/// `published`
#[derive(Clone, Debug, Args)]
pub struct PublishedArguments {
    /// A built-in profile (hisilicon-zip), or a file with points.
    #[arg(long, value_name = "NAME|FILE", default_value = "hisilicon-zip")]
    pub profile: String,

    /// How many times as long everything takes as on the hardware: the work itself is done here.
    #[arg(long, value_name = "N", default_value = "2000", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub stretch: u16,

    /// Seconds to measure each point.
    #[arg(long, value_name = "TIME", default_value = "3", value_parser = seconds)]
    pub seconds: f64,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// `daemon`
#[derive(Clone, Debug, Args)]
pub struct DaemonArguments {
    /// Where it listens.
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,

    /// Where its one worker stays.
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<usize>,
}

const RAW_EXAMPLES: &str = "\
Examples:
  accel-bench raw                                   the limits of this machine
  accel-bench raw --beside                          the framework beside them, as ratios
  accel-bench raw --beside --fail-if-missed --json  for continuous integration

Ratios are medians over pairs: framework and limit are timed in turn, on the same two CPUs. Times alone change
from run to run on shared machines; the ratios are what counts.

For what is promised of several processes, --beside starts a uaccel-devd of its own, on a private socket, and ends it.";

/// `raw`
#[derive(Clone, Debug, Args)]
#[command(after_help = RAW_EXAMPLES)]
pub struct RawArguments {
    /// Measure the framework beside its limits, and say which promises it keeps.
    #[arg(long)]
    pub beside: bool,

    /// End with exit code 4 if a promise was missed.
    #[arg(long, requires = "beside")]
    pub fail_if_missed: bool,

    /// Promises to measure, separated by commas; all if not given.
    #[arg(long, requires = "beside", value_delimiter = ',', value_name = "NAME", value_parser = promise_names())]
    pub only: Vec<String>,

    /// Pairs of each comparison, at least 9.
    #[arg(long, value_name = "N", default_value = "31", value_parser = clap::value_parser!(u16).range(9..=999))]
    pub pairs: u16,

    /// Clients that are killed to see how long their queues take to come back.
    #[arg(long, requires = "beside", value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub kills: u32,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

fn promise_names() -> PossibleValuesParser {
    PossibleValuesParser::new(promises::all().iter().map(|promise| promise.name))
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text
        .trim_end_matches('s')
        .parse::<f64>()
        .map_err(|_| "not a number of seconds, such as 0.5 or 2s".to_owned())?;
    if (0.001..=3600.0).contains(&number) { Ok(number) } else { Err("from 0.001 to 3600 seconds".to_owned()) }
}

fn window(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: NoSize| error.to_string())?;
    if (512..=32 << 10).contains(&size.0) { Ok(size) } else { Err("windows are from 512 to 32k".to_owned()) }
}

/// Does what the command line says, and returns the exit code.
#[must_use]
pub fn execute(cli: &Cli, interrupt: &Interrupt) -> u8 {
    let mut out = cli.color.stdout();
    let progress = !cli.no_progress;
    let result = match &cli.command {
        None => demo::demo(&mut out, interrupt, progress),
        Some(Command::List(arguments)) => list(arguments, &mut out).map(|()| exit::DONE).map_err(Failure::from),
        Some(Command::Run(arguments)) => run::run(arguments, &mut out, interrupt, progress),
        Some(Command::Worker) => processes::work(interrupt),
        Some(Command::Daemon(arguments)) => own_daemon::serve(&arguments.socket, arguments.cpu),
        Some(Command::RawPartner) => {
            accel_bench_raw::serve().map(|()| exit::DONE).map_err(|error| Failure::Failed(with_sources(&error)))
        }
        Some(Command::Published(arguments)) => published::published(arguments, &mut out, interrupt, progress),
        Some(Command::Raw(arguments)) => raw::raw(arguments, &mut out, interrupt, progress),
    };
    exit::end(result, &mut out)
}

fn list(arguments: &ListArguments, out: &mut dyn Write) -> io::Result<()> {
    let listing = Listing::collect(
        &with_devices(Runtime::builder(), None),
        &arguments.sysfs.clone().unwrap_or_else(inventory::sysfs),
    );
    if arguments.json { Report::of_listing(listing).write(out) } else { listing.write(out) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_and_suffixes_are_understood() {
        let cli = Cli::try_parse_from(["accel-bench", "run", "-a", "gzip,copy", "-s", "4k,1m", "--seconds", "2s"])
            .expect("valid");
        let Some(Command::Run(run)) = cli.command else { panic!("another command") };
        assert_eq!(
            (run.algorithms, run.sizes, run.seconds),
            (vec!["gzip".into(), "copy".into()], vec![ByteSize(4096), ByteSize(1 << 20)], 2.0)
        );
        for wrong in [
            &["-a", "gzib"][..],
            &["-s", "4x"],
            &["--seconds", "0"],
            &["--depth", "0"],
            &["--threads", "65"],
            &["--seconds", "NaN"],
        ] {
            assert!(Cli::try_parse_from(["accel-bench", "run"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }
}
