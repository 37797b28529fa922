//! Why a server cannot be started.

use std::io;
use std::path::PathBuf;

use uaccel_sim::WarpConfigError;
use uaccel_sim::pool::PoolError;

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There would be nothing to serve.
    #[error("there is no device to serve")]
    NoDevice,
    /// Two devices of one name.
    #[error("there are two devices '{0}'")]
    Twice(String),
    /// There can be no such engine.
    #[error("device {name}")]
    Engine {
        /// Which.
        name: String,
        /// Why.
        source: WarpConfigError,
    },
    /// A device cannot be put on threads.
    #[error("device {name}")]
    Device {
        /// Which.
        name: String,
        /// Why.
        source: PoolError,
    },
    /// Another server is there already.
    #[error("a server listens on {} already; stop it, or choose another path with --socket", .0.display())]
    Taken(PathBuf),
    /// Something else is there.
    #[error("{} is there already and no socket; remove it, or choose another path with --socket", .0.display())]
    InTheWay(PathBuf),
    /// The path is impossible.
    #[error("{} is no path for a socket: it needs a folder, a file name, and at most {most} bytes", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// As long as it may be.
        most: usize,
    },
    /// The socket cannot be made.
    #[error("cannot {action} {}", path.display())]
    Socket {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What the service manager has passed is no socket for this.
    #[error(
        "the descriptor passed for activation is no listening Unix socket of kind SOCK_SEQPACKET; the unit needs ListenSequentialPacket="
    )]
    Activation,
    /// More was passed than there is use for.
    #[error("{0} descriptors were passed for activation, where one is expected")]
    ActivationCount(usize),
    /// A system call failed.
    #[error("{call} failed")]
    System {
        /// Which.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
}
