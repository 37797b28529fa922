//! The daemon of a run: its own, on a socket of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

/// The name of the program.
const PROGRAM: &str = "uaccel-devd";
/// How long it may take to be there, or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    program: PathBuf,
    socket: PathBuf,
    child: Child,
    /// Whether it is stopped at the moment.
    pub stopped: bool,
}

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The program is not there and cannot be built.
    #[error("{PROGRAM} is not beside this program, and cargo does not build it: {0}")]
    Missing(String),
    /// It cannot be started, or spoken to.
    #[error("{what} {}: {source}", program.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With which program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It ended when it should not, or otherwise than it should.
    #[error("the daemon ended ({0})")]
    Ended(ExitStatus),
    /// It did not do something in time.
    #[error("the daemon did not {0} within {PATIENCE:?}")]
    Late(&'static str),
    /// It does not say how it is.
    #[error("the daemon's status: {0}")]
    Status(String),
}

/// How the daemon says it is, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Status {
    /// Its devices.
    pub devices: Vec<DeviceStatus>,
    /// Its clients.
    pub clients: Vec<ClientStatus>,
}

/// How a device is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DeviceStatus {
    /// Queues that somebody has.
    pub queues_open: u64,
    /// Queues that could not be had back.
    #[serde(default)]
    pub leaked_queues: u64,
    /// Jobs done.
    pub jobs: u64,
}

/// How a client is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ClientStatus {
    /// The number of its address space.
    pub pasid: u64,
    /// Its process.
    pub pid: i64,
}

impl Status {
    /// Queues open on all devices.
    #[must_use]
    pub fn queues(&self) -> u64 {
        self.devices.iter().map(|device| device.queues_open).sum()
    }

    /// Queues leaked on all devices.
    #[must_use]
    pub fn leaked(&self) -> u64 {
        self.devices.iter().map(|device| device.leaked_queues).sum()
    }

    /// The highest number of an address space.
    #[must_use]
    pub fn highest_pasid(&self) -> u64 {
        self.clients.iter().map(|client| client.pasid).max().unwrap_or_default()
    }
}

/// Where the program is: beside this one, or where cargo puts it.
///
/// # Errors
/// If it is not there, and cannot be built.
pub fn program() -> Result<PathBuf, DaemonError> {
    let own = std::env::current_exe().map_err(|error| DaemonError::Missing(error.to_string()))?;
    let beside = own.with_file_name(PROGRAM);
    if beside.exists() {
        return Ok(beside);
    }
    eprintln!("{PROGRAM} is not beside this program; building it");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", PROGRAM, "--bin", PROGRAM]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().map_err(|error| DaemonError::Missing(error.to_string()))?;
    if !status.success() {
        return Err(DaemonError::Missing(status.to_string()));
    }
    if beside.exists() { Ok(beside) } else { Err(DaemonError::Missing(format!("no {}", beside.display()))) }
}

impl Daemon {
    /// Starts it, and waits until it answers. `plan` is a file that says what it does wrong.
    ///
    /// # Errors
    /// If it does not start, or does not answer in time.
    pub fn start(program: &Path, socket: &Path, plan: Option<&Path>) -> Result<Self, DaemonError> {
        let mut command = Command::new(program);
        command.arg("--socket").arg(socket).stdin(Stdio::null());
        if let Some(plan) = plan {
            command.arg("--plan").arg(plan);
        }
        let child = command.spawn().map_err(|source| DaemonError::System {
            what: "starting",
            program: program.to_owned(),
            source,
        })?;
        let mut daemon = Self { program: program.to_owned(), socket: socket.to_owned(), child, stopped: false };
        let begun = Instant::now();
        while daemon.status().is_err() {
            if let Some(status) = daemon.ended()? {
                return Err(DaemonError::Ended(status));
            }
            if begun.elapsed() > PATIENCE {
                return Err(DaemonError::Late("answer"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, DaemonError> {
        let program = self.program.clone();
        self.child.try_wait().map_err(|source| DaemonError::System { what: "waiting for", program, source })
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        // It fails only if the process is gone, which is seen elsewhere.
        let _ = kill(self.pid(), signal);
        match signal {
            Signal::SIGSTOP => self.stopped = true,
            Signal::SIGCONT => self.stopped = false,
            _ => {}
        }
    }

    /// Kills it and waits for its end.
    pub fn kill(mut self) {
        self.end_now();
    }

    fn end_now(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Tells it to end, and waits until it has, and well.
    ///
    /// # Errors
    /// If it does not end in time, or not well.
    pub fn end(mut self) -> Result<(), DaemonError> {
        self.signal(Signal::SIGTERM);
        let begun = Instant::now();
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(DaemonError::Ended(status)),
                None if begun.elapsed() > PATIENCE => return Err(DaemonError::Late("end")),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// How it says it is.
    ///
    /// # Errors
    /// If it does not.
    pub fn status(&self) -> Result<Status, DaemonError> {
        let output = Command::new(&self.program)
            .args(["status", "--json", "--socket"])
            .arg(&self.socket)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| DaemonError::System { what: "asking", program: self.program.clone(), source })?;
        if !output.status.success() {
            return Err(DaemonError::Status(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| DaemonError::Status(error.to_string()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end_now();
    }
}
