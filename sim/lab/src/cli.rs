//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::driver::Driver;
use crate::edition::Edition;
use crate::initramfs::Extra;
use crate::kernel;

/// Runs any program in a guest with real shared virtual addressing: a stock QEMU and a stock Debian kernel, fetched into
/// a cache of yours. Nothing on the system is touched, and no root is needed.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// The lab's folder [default: $XDG_CACHE_HOME/sva-lab, else ~/.cache/sva-lab]
    #[arg(long, global = true, value_name = "DIR", env = "SVA_LAB_CACHE")]
    pub(crate) cache: Option<PathBuf>,
    /// The pair of QEMU and kernel
    #[arg(long, global = true, value_enum, default_value_t, value_name = "KIT", env = "SVA_LAB_KIT")]
    pub(crate) kit: Edition,
    /// Say nothing but errors
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) action: Action,
}

const EXIT_CODES: &str = "\
Exit code: the program's own; 128 and its number if a signal ended it; 120 if the program succeeded, but the \
kernel complained (WARNING, BUG, a fault at the IOMMU); 124 if the time was over; 125 if the lab itself failed.";

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Bring QEMU, kernel, headers, compiler and the sources of drivers into the cache
    Fetch {
        /// Look for newer versions, though the cache is complete
        #[arg(long)]
        renew: bool,
        /// Build a kernel too: own is the lab's own, small, with iommufd and uacce built in
        #[arg(long, value_name = "own", value_parser = ["own"])]
        kernel: Option<String>,
    },
    /// Build an out-of-tree kernel module for the guest's kernel, and print the folder with the result
    BuildModule {
        /// The module's sources with their Kbuild; the kernel's uacce.c is put beside them
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Build it for the lab's own kernel
        #[arg(long, value_name = "own", value_parser = ["own"])]
        kernel: Option<String>,
    },
    /// Boot, run a program, give back its output and its exit code
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Say what is missing here, with the command that mends it
    Doctor,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The program and its arguments. With a slash it is a file of this machine, else one in the guest (busybox)
    #[arg(trailing_var_arg = true, value_name = "PROGRAM", required_unless_present_any = ["shell", "script"])]
    pub(crate) command: Vec<String>,
    /// A shell on the guest's console instead of a program
    #[arg(long, conflicts_with_all = ["command", "script"])]
    pub(crate) shell: bool,
    /// A shell script to run in the guest, in the folder with the files: several programs in one boot
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub(crate) script: Option<PathBuf>,
    /// A file or folder to take along, to the program's folder or to GUEST
    #[arg(long = "file", value_name = "HOST[=GUEST]", value_parser = Extra::parse)]
    pub(crate) files: Vec<Extra>,
    /// What the program reads as its input: a file, or - for what this process is given, up to its end [default: nothing]
    #[arg(long, value_name = "FILE", conflicts_with = "shell")]
    pub(crate) input: Option<PathBuf>,
    /// A variable for the program; without a value it is taken from here. RUST_*, CARGO_* (no tokens) and UACCEL_* are passed anyway
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) environment: Vec<String>,
    /// Processors of the guest
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) smp: u32,
    /// Memory of the guest, MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(128..))]
    pub(crate) memory: u32,
    /// Seconds until a guest that has not ended is ended [default: 600; none for a shell]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Show every address translation and page request of the engine
    #[arg(long)]
    pub(crate) trace: bool,
    /// Show the kernel's console
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Keep the guest's root, its console and a script that starts QEMU by hand in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// A complaint of the kernel that is expected: lines with this text do not count
    #[arg(long, value_name = "TEXT")]
    pub(crate) allow: Vec<String>,
    /// The machine without an IOMMU
    #[arg(long, conflicts_with = "no_svm")]
    pub(crate) no_iommu: bool,
    /// The IOMMU without page requests
    #[arg(long)]
    pub(crate) no_svm: bool,
    /// A machine without the engine and its kernel module [with --kit bookworm there is none]
    #[arg(long, conflicts_with = "plugin")]
    pub(crate) no_engine: bool,
    /// The engine, or a device of your own, as a shared object for QEMU [default: the project's, with warp and hisi-zip]
    #[arg(long, value_name = "FILE")]
    pub(crate) plugin: Option<PathBuf>,
    /// An option for that shared object
    #[arg(long = "plugin-option", value_name = "NAME=VALUE")]
    pub(crate) plugin_options: Vec<String>,
    /// Devices, in QEMU's words: warp, hisi-zip, one of QEMU's own [default: warp, unless there is no engine]
    #[arg(long = "device", value_name = "DEVICE")]
    pub(crate) devices: Vec<String>,
    /// A kernel driver to build and load, and the machine as it needs it [default: those of the devices, warp if there is none of theirs]
    #[arg(long = "driver", value_enum, value_name = "DRIVER")]
    pub(crate) drivers: Vec<Driver>,
    /// Sources of a kernel module of your own, instead of a driver's
    #[arg(long = "module", value_name = "DIR")]
    pub(crate) module: Option<PathBuf>,
    /// The engine without its kernel module: for VFIO, or a driver that --modules brings
    #[arg(long, conflicts_with = "module")]
    pub(crate) no_module: bool,
    /// Firmware without the method that hisi-zip's driver resets its device with: one that fails stays isolated
    #[arg(long)]
    pub(crate) no_reset_method: bool,
    /// own: the lab's own kernel, small, with uacce, iommufd and VFIO built in; or a kernel of your own (bzImage)
    #[arg(long, value_name = "own|FILE", value_parser = kernel::Choice::parse)]
    pub(crate) kernel: Option<kernel::Choice>,
    /// A module of the kernel to load, with those that it needs, before all others; nothing if it is built in (vfio-pci)
    #[arg(long = "load", value_name = "NAME")]
    pub(crate) load: Vec<String>,
    /// Built modules to load, all of a folder [with a --kernel of your own the default is none]
    #[arg(long, value_name = "DIR", conflicts_with = "module")]
    pub(crate) modules: Option<PathBuf>,
    /// A parameter for the kernel
    #[arg(long = "append", value_name = "PARAMETER")]
    pub(crate) parameters: Vec<String>,
    /// A QEMU of your own: a folder with qemu-system-x86_64 in itself, in bin or in build
    #[arg(long, value_name = "DIR")]
    pub(crate) qemu: Option<PathBuf>,
    /// A word for QEMU's command line
    #[arg(long = "qemu-arg", value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) qemu_words: Vec<String>,
}

impl RunArgs {
    /// How long the guest may live.
    pub(crate) fn timeout(&self) -> Duration {
        let usual = if self.shell { Duration::MAX } else { Duration::from_secs(600) };
        self.timeout.unwrap_or(usual)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text.parse().map_err(|error| format!("{error}"))?;
    if seconds == 0 { Err("at least 1".to_owned()) } else { Ok(Duration::from_secs(seconds)) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn words(line: &str) -> Result<Vec<String>, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        match cli.action {
            Action::Run(arguments) => Ok(arguments.command),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_behind_the_program_are_the_programs() {
        assert_eq!(words("sva-lab run -- ./prog --trace -x").unwrap(), ["./prog", "--trace", "-x"]);
        assert_eq!(words("sva-lab run --smp 1 ./prog --trace -- y").unwrap(), ["./prog", "--trace", "--", "y"]);
    }

    #[test]
    fn an_option_that_there_is_not_is_refused_and_not_taken_for_a_program() {
        assert!(words("sva-lab run --no-such-option -- ./prog").unwrap_err().contains("--no-such-option"));
        assert!(words("sva-lab run --kernel  -- x").is_err() && words("sva-lab run --kit none -- x").is_err());
        assert!(words("sva-lab run").is_err() && words("sva-lab run --shell -- ./prog").is_err());
    }
}
