//! The daemon of a test: a process of its own, that does as it is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use uaccel_devd::{Daemon, DaemonConfig, Status};
use uaccel_runtime::{Builder, Fallback, Runtime};

use crate::bench::{PATIENCE, eventually};
use crate::process::{Process, Tongue};

/// A daemon, and the folder of its socket.
pub(crate) struct Server {
    process: Process,
    folder: tempfile::TempDir,
    options: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// A daemon with options: `open` lets everybody in, `impatient` gives memory that does not answer half a second.
    pub(crate) fn with(options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = serve(&folder.path().join("devd.sock"), options);
        Self { process, folder, options: options.to_owned() }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("devd.sock")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A runtime on it that never falls back.
    pub(crate) fn builder(&self) -> Builder {
        Runtime::builder().devd(self.socket()).device("devd").fallback(Fallback::Never).deadline(PATIENCE)
    }

    pub(crate) fn runtime(&self) -> Runtime {
        self.builder().build().expect("a runtime on the daemon")
    }

    /// A client process in a role.
    pub(crate) fn client(&self, role: &str, argument: &str) -> Process {
        Process::start(role, &format!("{} {argument}", self.socket().display()))
    }

    /// Jobs are taken and not begun.
    pub(crate) fn hold(&mut self) {
        self.command("hold");
    }

    pub(crate) fn release(&mut self) {
        self.command("release");
    }

    fn command(&mut self, line: &str) {
        self.process.tell(line);
        self.process.expect("ok");
    }

    pub(crate) fn status(&mut self) -> Status {
        self.process.tell("status");
        serde_json::from_str(&self.process.hear()).expect("a status")
    }

    /// Waits until there are so many clients with so many queues altogether.
    #[track_caller]
    pub(crate) fn await_clients(&mut self, clients: usize, queues: usize) {
        eventually("clients and queues are as many as should be", || {
            let status = self.status();
            status.clients.len() == clients && status.devices.iter().map(|d| d.queues_open).sum::<usize>() == queues
        });
    }

    pub(crate) fn pause(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it anew on the same socket.
    pub(crate) fn restart(&mut self) {
        self.process = serve(&self.socket(), &self.options);
    }
}

fn serve(socket: &Path, options: &str) -> Process {
    let mut process = Process::start("server", &format!("{} {options}", socket.display()));
    process.expect("ready");
    process
}

/// The role of the daemon.
pub(crate) fn role(tongue: &Tongue, socket: &str, options: &[&str]) {
    let mut config = DaemonConfig::new(socket);
    if options.contains(&"open") {
        config.mode = 0o666;
    }
    if options.contains(&"impatient") {
        config.memory_patience = Duration::from_millis(500);
    }
    let daemon = Daemon::start(config).expect("a daemon");
    let plan = daemon.plan("warp0").expect("the device");
    tongue.say("ready");
    while let Some(line) = tongue.hear() {
        match line.as_str() {
            "hold" => plan.hold(),
            "release" => plan.release(),
            "status" => {
                tongue.say(&serde_json::to_string(&daemon.status()).expect("a status"));
                continue;
            }
            other => panic!("a daemon cannot {other:?}"),
        }
        tongue.say("ok");
    }
}
