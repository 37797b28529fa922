//! A `uaccel-devd` of this program's own, in a process of its own.
//!
//! A runtime never starts a daemon by itself; this program does, for the promises about several processes, on a socket that nobody else knows.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use uaccel_cli::reason::with_sources;
use uaccel_devd::{Daemon, DaemonConfig, DeviceConfig};

use crate::exit::{self, Failure};

/// The daemon, as this process sees it. It ends when its value goes.
#[derive(Debug)]
pub(crate) struct OwnDaemon {
    child: Child,
    /// Its end is the daemon's end, however this process ends.
    _until: ChildStdin,
    folder: PathBuf,
    socket: PathBuf,
}

/// What the daemon says when clients may come.
const READY: &str = "ready\n";
/// How long the daemon may take to let go of its clients.
const DRAIN: Duration = Duration::from_secs(5);

impl OwnDaemon {
    /// The device that clients name.
    pub(crate) const DEVICE: &str = "devd:warp0";

    /// Starts it, with one worker on `cpu`; without one with as many workers as it thinks fit, anywhere.
    ///
    /// # Errors
    /// [`Failure::Failed`].
    pub(crate) fn start(cpu: Option<usize>) -> Result<Self, Failure> {
        /// Tells the daemons of this process apart.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let failed = |error: io::Error| Failure::Failed(format!("a daemon of our own does not start: {error}"));
        // Relaxed: only that no number comes twice counts.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("accel-bench-devd-{}-{number}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
        let socket = folder.join("devd.sock");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("daemon").arg("--socket").arg(&socket);
        if let Some(cpu) = cpu {
            command.arg("--cpu").arg(cpu.to_string());
        }
        // Ctrl-C is for this process, which ends the daemon when it is done.
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn();
        let mut child = spawned.inspect_err(|_| drop(std::fs::remove_dir(&folder))).map_err(failed)?;
        let (until, answer) = match (child.stdin.take(), child.stdout.take()) {
            (Some(until), Some(answer)) => (until, answer),
            _ => return Err(Failure::Failed("a daemon of our own has no pipes".to_owned())),
        };
        let daemon = Self { child, _until: until, folder, socket };
        let mut line = String::new();
        BufReader::new(answer).read_line(&mut line).map_err(failed)?;
        if line == READY { Ok(daemon) } else { Err(Failure::Failed("a daemon of our own does not start".to_owned())) }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for OwnDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The daemon's process: serves until standard input ends.
///
/// # Errors
/// [`Failure::Failed`] if it cannot start.
pub(crate) fn serve(socket: &Path, cpu: Option<usize>) -> Result<u8, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::Failed(with_sources(error));
    let mut config = DaemonConfig::new(socket);
    config.devices = vec![DeviceConfig::new("warp0")];
    config.workers = cpu.map(|_| 1);
    config.pin = cpu;
    let daemon = Daemon::start(config).map_err(|error| failed(&error))?;
    let mut out = io::stdout().lock();
    out.write_all(READY.as_bytes()).and_then(|()| out.flush())?;
    drop(out);
    // Nobody says anything; the end is what counts.
    let _ = io::stdin().lock().read_to_end(&mut Vec::new());
    let left = daemon.shutdown(DRAIN);
    // If whoever made the folder was killed, nobody else takes it away. It holds nothing but the lock that goes with a socket, unless it was
    // not made for this, and then it stays.
    let _ = std::fs::remove_file(socket.with_added_extension("lock"));
    let _ = socket.parent().map(std::fs::remove_dir);
    Ok(if left == 0 { exit::DONE } else { exit::FAILED })
}
