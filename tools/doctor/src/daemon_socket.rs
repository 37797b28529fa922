//! The socket of `uaccel-devd`, as the programs of whoever asks find it.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::{Deserialize, Serialize};
use uaccel_devd_protocol::{Channel, ChannelError, Reply, Request, SOCKET_VARIABLE, default_socket, named_socket};

/// The environment variable that names a device for the runtime.
const DEVICE_VARIABLE: &str = "UACCEL_DEVICE";

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonSocket {
    /// Where it is, or would be; `~` is the home of whoever asks.
    pub path: String,
    /// What names it, or its devices; none if it is the usual place, and nobody has asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<String>,
    /// Who owns it, and whom it lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SocketOwner>,
    /// How it stands.
    pub state: SocketState,
}

/// Who owns the file of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketOwner {
    /// The user.
    pub uid: u32,
    /// Permission bits, as in `chmod`.
    pub mode: u32,
}

/// How a socket stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketState {
    /// There is none.
    Absent,
    /// Its folder is closed to whoever asks.
    Hidden,
    /// Its permissions do not let whoever asks connect.
    Denied,
    /// Somebody left it behind: nobody has it open.
    Dead,
    /// Something is there that is no socket of this kind.
    Foreign,
    /// Somebody has it open; nobody asked who.
    Alive,
    /// A daemon answers.
    Answers {
        /// Whose it is.
        uid: u32,
        /// How many devices it has.
        devices: u32,
    },
    /// Somebody has it open, and does not answer.
    Silent,
    /// The system said so.
    Failed(String),
}

/// Where to look for the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DaemonPlace {
    path: PathBuf,
    named_by: Option<&'static str>,
}

impl DaemonPlace {
    /// Where the runtime looks in this environment.
    pub(crate) fn usual() -> Self {
        let is_devd = |name: &str| name == "devd" || name.starts_with("devd:");
        let device = env::var(DEVICE_VARIABLE).is_ok_and(|name| is_devd(&name));
        let named_by = named_socket().map(|_| SOCKET_VARIABLE).or(device.then_some(DEVICE_VARIABLE));
        Self { path: default_socket(), named_by }
    }

    /// Where the command line says.
    pub(crate) fn given(path: PathBuf) -> Self {
        Self { path, named_by: Some("--socket") }
    }

    /// Looks at the socket; with `ask` its daemon is asked for its devices, which a service manager may start it for.
    pub(crate) fn look(&self, ask: bool) -> DaemonSocket {
        let (state, owner) = match fs::metadata(&self.path) {
            Err(error) => (absence(&error), None),
            Ok(found) => {
                let owner = SocketOwner { uid: found.uid(), mode: found.mode() & 0o7777 };
                let state = if found.file_type().is_socket() { self.state(ask) } else { SocketState::Foreign };
                (state, Some(owner))
            }
        };
        DaemonSocket { path: shown(&self.path), named_by: self.named_by.map(str::to_owned), owner, state }
    }

    fn state(&self, ask: bool) -> SocketState {
        match probe(&self.path) {
            SocketState::Alive if ask => self.ask(),
            state => state,
        }
    }

    fn ask(&self) -> SocketState {
        let answer = || {
            let channel = Channel::connect(&self.path, PATIENCE)?;
            let uid = channel.peer()?.uid.as_raw();
            channel.send(&Request::Device { index: 0 }.encode(1), &[], PATIENCE)?;
            let packet = channel.receive(PATIENCE)?;
            Ok(match Reply::decode(&packet.bytes, packet.descriptors.len()) {
                Ok((_, Reply::Device { count, .. })) => SocketState::Answers { uid, devices: count },
                _ => SocketState::Foreign,
            })
        };
        answer().unwrap_or_else(|error: ChannelError| match error {
            ChannelError::TimedOut(_) => SocketState::Silent,
            ChannelError::System { source, .. } => refusal(&source),
            // What hangs up, or sends what does not fit, is no daemon.
            _ => SocketState::Foreign,
        })
    }
}

/// Whether somebody has the socket open, without disturbing them: a datagram socket may not connect to one that is none, which the
/// kernel says (`EPROTOTYPE`) after it has looked at permissions and for the owner (`unix_find_other` of its `af_unix.c`).
fn probe(path: &Path) -> SocketState {
    let connected = SocketAddrUnix::new(path).and_then(|address| {
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &address)
    });
    match connected {
        Err(Errno::PROTOTYPE) => SocketState::Alive,
        Err(errno) => refusal(&io::Error::from(errno)),
        Ok(()) => SocketState::Foreign,
    }
}

fn absence(error: &io::Error) -> SocketState {
    match refusal(error) {
        SocketState::Denied => SocketState::Hidden,
        state => state,
    }
}

fn refusal(error: &io::Error) -> SocketState {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => SocketState::Absent,
        Some(Errno::ACCESS | Errno::PERM) => SocketState::Denied,
        Some(Errno::CONNREFUSED) => SocketState::Dead,
        Some(Errno::PROTOTYPE) => SocketState::Foreign,
        _ => SocketState::Failed(error.to_string()),
    }
}

/// A path as it is shown and written down: recordings name nobody.
fn shown(path: &Path) -> String {
    let home = env::var_os("HOME").filter(|home| home.len() > 1);
    let below = home.and_then(|home| path.strip_prefix(home).ok());
    below.map_or_else(|| path.display().to_string(), |below| format!("~/{}", below.display()))
}
