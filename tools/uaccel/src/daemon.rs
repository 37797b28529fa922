//! The way to `uaccel-devd`: asks it for its status.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uaccel_devd_protocol::{Channel, ChannelError, DecodeError, Reply, Request, default_socket};
use uaccel_runtime::Builder;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest status that is read.
const LONGEST: u64 = 64 << 20;

/// A daemon that may or may not be there.
#[derive(Debug)]
pub struct Daemon {
    socket: PathBuf,
    channel: Option<Channel>,
    serial: u32,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Nobody listens.
    #[error("no daemon answers at {}: {source}; {}", socket.display(), start(socket))]
    Absent {
        /// Where.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon is there, and does not answer.
    #[error("the daemon at {} does not answer: {source}", socket.display())]
    Silent {
        /// Where.
        socket: PathBuf,
        /// What went wrong with the message.
        source: ChannelError,
    },
    /// What answers speaks another language.
    #[error("what answers at {} is no daemon of this version: {source}", socket.display())]
    Foreign {
        /// Where.
        socket: PathBuf,
        /// What is wrong with its message.
        source: DecodeError,
    },
    /// The daemon refuses to say.
    #[error("the daemon at {} refuses: {text}", socket.display())]
    Refused {
        /// Where.
        socket: PathBuf,
        /// Why.
        text: String,
    },
    /// It answered something else, or what it handed over cannot be read.
    #[error("the status of the daemon at {} cannot be read: {source}", socket.display())]
    Unreadable {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A runtime that has the daemon's devices as well: those of the daemon at this socket, or, if there is one, at the usual place.
pub fn with_devices(runtime: Builder, socket: Option<PathBuf>) -> Builder {
    match socket.or_else(|| Some(default_socket()).filter(|socket| socket.exists())) {
        Some(socket) => runtime.devd(socket),
        None => runtime,
    }
}

/// The command that starts a daemon at this place.
fn start(socket: &Path) -> String {
    if *socket == default_socket() {
        "start one with: uaccel-devd".to_owned()
    } else {
        format!("start one with: uaccel-devd --socket {}", socket.display())
    }
}

impl Daemon {
    /// The daemon at this socket, or at the usual place. Nothing is done yet.
    #[must_use]
    pub fn at(socket: Option<PathBuf>) -> Self {
        Self { socket: socket.unwrap_or_else(default_socket), channel: None, serial: 0 }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its status, an object in JSON. The connection is kept for the next time.
    ///
    /// # Errors
    /// See [`DaemonError`]. After one the next call connects anew.
    pub fn status(&mut self) -> Result<serde_json::Value, DaemonError> {
        let status = self.ask();
        if status.is_err() {
            self.channel = None;
        }
        status
    }

    fn ask(&mut self) -> Result<serde_json::Value, DaemonError> {
        let socket = || self.socket.clone();
        let channel = match self.channel.take() {
            // A daemon that went and came back is a new one.
            Some(channel) if matches!(channel.has_hung_up(), Ok(false)) => channel,
            _ => Channel::connect(&self.socket, PATIENCE).map_err(|error| match error {
                ChannelError::System { source, .. } => DaemonError::Absent { socket: socket(), source },
                source => DaemonError::Silent { socket: socket(), source },
            })?,
        };
        let silent = |source| DaemonError::Silent { socket: socket(), source };
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        channel.send(&Request::Status.encode(serial), &[], PATIENCE).map_err(silent)?;
        let begun = Instant::now();
        let (reply, descriptors) = loop {
            let packet = channel.receive(PATIENCE.saturating_sub(begun.elapsed())).map_err(silent)?;
            let (of, reply) = Reply::decode(&packet.bytes, packet.descriptors.len())
                .map_err(|source| DaemonError::Foreign { socket: socket(), source })?;
            // What was asked for earlier, and given up.
            if of == serial {
                break (reply, packet.descriptors);
            }
        };
        let unreadable = |source| DaemonError::Unreadable { socket: socket(), source };
        let status = match (reply, descriptors.into_iter().next()) {
            (Reply::Status { len }, Some(memory)) => read(&File::from(memory), len).map_err(unreadable)?,
            (Reply::Refused { text, .. }, _) => return Err(DaemonError::Refused { socket: socket(), text }),
            (other, _) => return Err(unreadable(io::Error::other(format!("it answered {other:?}")))),
        };
        self.channel = Some(channel);
        Ok(status)
    }
}

fn read(memory: &File, len: u64) -> io::Result<serde_json::Value> {
    let len = usize::try_from(len).ok().filter(|_| len <= LONGEST);
    let len = len.ok_or_else(|| io::Error::other(format!("it would be longer than {LONGEST} bytes")))?;
    let mut text = vec![0; len];
    // Positioned reads of a copy: the daemon cannot move a cursor, nor change what was read.
    memory.read_exact_at(&mut text, 0)?;
    Ok(serde_json::from_slice(&text)?)
}
