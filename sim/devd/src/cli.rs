//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use clap::{Args, Parser, Subcommand};
use uaccel_devd::{DaemonConfig, DeviceConfig, Limits, PlanError, default_socket, read_plan};
use uaccel_sim::{Plan, Profile, ProfileError};

/// Simulated accelerators for many processes: each client's jobs work on its own memory, by plain pointers.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Ask a running server for its devices and clients
    Status {
        /// As one object of JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        socket: SocketArg,
    },
}

#[derive(Args, Debug)]
pub(crate) struct SocketArg {
    /// The server's socket [default: $UACCEL_DEVD, else $XDG_RUNTIME_DIR/uaccel/devd.sock, else /run/uaccel/devd.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketArg {
    pub(crate) fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_socket)
    }
}

const SIGNALS: &str = "\
Signals: SIGTERM and SIGINT end the server: nobody is let in, jobs that were begun end, the others are dropped. A second one ends it \
at once. SIGHUP reads the file of --plan again.

Exit code: 0 if all clients could be let go; 3 if the device still used memory of one when the time of --drain was over; 1 if the server could \
not be started.";

#[derive(Args, Debug)]
#[command(after_help = SIGNALS)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArg,
    /// Who may connect, as permissions of the socket: whoever may write to it. 666 for all users
    #[arg(long, value_name = "OCTAL", default_value = "600", value_parser = octal)]
    mode: u32,
    /// A device, with settings NAME[,queues=N][,engines=N][,entries=N][,sessions=N][,max-transfer=BYTES] [default: warp0]
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<DeviceConfig>,
    /// Threads that do the work of each device [default: one less than there are CPUs, but at least one]
    #[arg(long, value_name = "N", value_parser = positive)]
    workers: Option<usize>,
    /// Threads of each device for jobs of more than about half a millisecond [default: as many as workers]
    #[arg(long, value_name = "N")]
    lanes: Option<usize>,
    /// The CPU the first worker is bound to, others to those behind it
    #[arg(long, value_name = "CPU")]
    pin: Option<usize>,
    /// Times of published hardware: hisilicon-zip, or a file
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// What the devices do slowly, or wrong: a file of JSON
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Seconds that the memory of a client may keep a thread waiting before the client is given up
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    memory_patience: Duration,
    /// Seconds that the end may take
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) drain: Duration,
    /// Clients at a time
    #[arg(long, value_name = "N", default_value_t = Limits::default().clients)]
    max_clients: usize,
    /// Clients at a time of one user
    #[arg(long, value_name = "N", default_value_t = Limits::default().clients_per_uid)]
    max_clients_per_uid: usize,
    /// Queues of one client
    #[arg(long, value_name = "N", default_value_t = Limits::default().queues_per_client)]
    max_queues_per_client: u32,
    /// Queues of each device for all clients of one user
    #[arg(long, value_name = "N", default_value_t = Limits::default().queues_per_uid)]
    max_queues_per_uid: usize,
    /// Registered windows of one client
    #[arg(long, value_name = "N", default_value_t = Limits::default().windows_per_client)]
    max_windows_per_client: u32,
    /// Bytes of all registered windows of one client
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().window_bytes_per_client)]
    max_window_bytes_per_client: u64,
    /// What is logged: error, warn, info, debug, trace, or a filter as in RUST_LOG [default: $RUST_LOG, else info]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// Why a file of the command line is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no profile", path.display())]
    Profile { path: PathBuf, source: ProfileError },
    #[error("{} is no plan", path.display())]
    Plan { path: PathBuf, source: PlanError },
}

impl ServeArgs {
    /// What the server is started with.
    pub(crate) fn config(&self) -> Result<DaemonConfig, FileError> {
        let usual = DaemonConfig::new(self.socket.path());
        let devices = if self.devices.is_empty() { usual.devices } else { self.devices.clone() };
        Ok(DaemonConfig {
            mode: self.mode,
            devices,
            workers: self.workers,
            lanes: self.lanes,
            pin: self.pin,
            plan: self.plan()?,
            memory_patience: self.memory_patience,
            limits: Limits {
                clients: self.max_clients,
                clients_per_uid: self.max_clients_per_uid,
                queues_per_client: self.max_queues_per_client,
                queues_per_uid: self.max_queues_per_uid,
                windows_per_client: self.max_windows_per_client,
                window_bytes_per_client: self.max_window_bytes_per_client,
            },
            ..usual
        })
    }

    /// What the devices do slowly, or wrong: the plan, with the times of the profile unless it has its own.
    pub(crate) fn plan(&self) -> Result<Plan, FileError> {
        let mut plan = match &self.plan {
            None => Plan::default(),
            Some(path) => read_plan(&read(path)?).map_err(|source| FileError::Plan { path: path.clone(), source })?,
        };
        if let Some(profile) = &self.profile
            && plan.timing.is_none()
        {
            plan.timing = Some(find_profile(profile)?.timing);
        }
        Ok(plan)
    }
}

fn find_profile(name: &str) -> Result<Profile, FileError> {
    if name == "hisilicon-zip" {
        return Ok(Profile::hisilicon_zip());
    }
    let path = Path::new(name);
    read(path)?.parse().map_err(|source| FileError::Profile { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(|source| FileError::Read { path: path.to_owned(), source })
}

fn octal(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "permissions are three octal digits, as in 660".to_owned())
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a number from 1 on is needed".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "seconds are a number that is not negative".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_reach_the_server() {
        let line = "uaccel-devd --socket /x/y --mode 666 --device a,queues=2 --device b --workers 3 --memory-patience 0.5 --max-clients 7";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let config = cli.serve.config().unwrap();
        assert_eq!((config.socket.to_str(), config.mode, config.workers), (Some("/x/y"), 0o666, Some(3)));
        assert_eq!(config.devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((config.devices[0].warp.queues, config.limits.clients), (2, 7));
        assert_eq!(config.memory_patience, Duration::from_millis(500));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in ["--mode 8", "--workers 0", "--device a,b=c", "--memory-patience -1", "status --workers 1"] {
            assert!(Cli::try_parse_from(format!("uaccel-devd {words}").split(' ')).is_err(), "{words}");
        }
        let cli = Cli::try_parse_from(["uaccel-devd", "--profile", "/there/is/none"]).unwrap();
        assert!(matches!(cli.serve.config(), Err(FileError::Read { .. })));
    }
}
