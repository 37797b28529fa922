//! Why a daemon cannot be talked to, or would not do something.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Uid;
use uaccel_devd_protocol::{ChannelError, DecodeError, Refusal};
use uaccel_queue::{TransportError, Unusable};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The daemon has hung up: it touches nothing of this process any more.
    #[error("uaccel-devd has hung up")]
    HungUp,
    /// There was no answer in time.
    #[error("uaccel-devd has not answered within {0:?}")]
    TimedOut(Duration),
    /// It said no.
    #[error("uaccel-devd refuses: {text}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The same for people.
        text: String,
    },
    /// It said something that makes no sense.
    #[error("uaccel-devd breaks the protocol: {0}")]
    Malformed(DecodeError),
    /// It answered another question.
    #[error("uaccel-devd answers something else than was asked: {0}")]
    Unexpected(String),
    /// Something about the socket.
    #[error("the connection to uaccel-devd fails: {0}")]
    Channel(ChannelError),
    /// The connection is the parent process's.
    #[error("the connection to uaccel-devd belongs to the parent process")]
    Forked,
}

impl From<DecodeError> for CallError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<ChannelError> for CallError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::HungUp => Self::HungUp,
            ChannelError::TimedOut(within) => Self::TimedOut(within),
            error => Self::Channel(error),
        }
    }
}

impl CallError {
    /// What it means to whoever asked for `step` on `device`.
    pub(super) fn on(self, device: &str, step: &'static str) -> TransportError {
        match self {
            Self::HungUp | Self::Forked => TransportError::Gone,
            Self::TimedOut(within) => TransportError::TimedOut { step, within },
            Self::Refused { refusal: Refusal::Busy, .. } => TransportError::Busy(device.to_owned()),
            // As many queues as there may be are open: one of them will be free again.
            Self::Refused { refusal: Refusal::Limit, text } if step == OPENING => {
                TransportError::Busy(format!("{device} ({text})"))
            }
            Self::Channel(ChannelError::System { call, source }) => TransportError::System { call, source },
            error => TransportError::Refused(format!("{step}: {error}")),
        }
    }
}

/// The step of opening a queue.
pub(super) const OPENING: &str = "opening a queue";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// Nobody is there.
    #[error("no uaccel-devd listens at {}", .0.display())]
    Nobody(PathBuf),
    /// It does not let this process in.
    #[error("{} cannot be opened: permission denied", .0.display())]
    Denied(PathBuf),
    /// It belongs to somebody else.
    #[error("the uaccel-devd at {} belongs to user {found}, not to this one ({own}) or root", .path.display())]
    OtherUser {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        found: Uid,
        /// Who we are.
        own: Uid,
    },
    /// It speaks another version.
    #[error("the uaccel-devd at {} speaks another version of the protocol: {what}", .path.display())]
    Version {
        /// Where.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// This process cannot show its memory.
    #[error("this process cannot open its own memory in /proc")]
    OwnMemory(#[source] io::Error),
    /// Something else of the system's.
    #[error("{call} failed")]
    System {
        /// Which call.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is somebody, who does not answer as he should.
    #[error("{} is of no use", .path.display())]
    Call {
        /// Where.
        path: PathBuf,
        /// What happened.
        source: CallError,
    },
}

impl ConnectError {
    /// What to do about it, where something can be done.
    pub(super) fn cure(&self) -> Option<String> {
        Some(match self {
            Self::Nobody(path) => format!("start one: uaccel-devd --socket {}", path.display()),
            Self::Denied(path) => {
                format!("let your group in, or start one of your own: uaccel-devd --socket {}", path.display())
            }
            Self::OtherUser { .. } => {
                "start one of your own, and name its socket in UACCEL_DEVD: uaccel-devd --socket PATH".to_owned()
            }
            Self::Version { .. } => "run client and daemon of the same version".to_owned(),
            Self::OwnMemory(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EACCES | Errno::EPERM) => {
                    "let the process be dumpable (prctl PR_SET_DUMPABLE), which programs with file capabilities or set-uid are not".to_owned()
                }
                _ => "mount /proc in this container".to_owned(),
            },
            Self::Call { source: CallError::TimedOut(_), .. } => "see whether it is stopped (SIGCONT)".to_owned(),
            Self::Call { .. } | Self::System { .. } => return None,
        })
    }

    /// For the report of a choice.
    pub(super) fn unusable(&self) -> Unusable {
        Unusable { reason: self.reason(), cure: self.cure() }
    }

    /// With what is behind it.
    fn reason(&self) -> String {
        let mut reason = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        reason
    }
}

impl From<ConnectError> for TransportError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::System { call, source } => Self::System { call, source },
            error => Self::Refused(match error.cure() {
                Some(cure) => format!("{}; {cure}", error.reason()),
                None => error.reason(),
            }),
        }
    }
}
