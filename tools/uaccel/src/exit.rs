//! How a program ends: the exit codes of `uaccel` and of `accel-bench`, and what goes with them.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::style;

/// Everything was done, and every verified result was right.
pub const DONE: u8 = 0;
/// A job failed, or a result was not what it should be.
pub const FAILED: u8 = 1;
/// The command line is wrong, or names a file that cannot be read.
pub const USAGE: u8 = 2;
/// A device that was asked for cannot be used.
pub const NO_DEVICE: u8 = 3;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command line cannot be meant like that.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A device cannot be used.
    #[error("{0}")]
    NoDevice(String),
    /// What was asked for could not be done.
    #[error("{0}")]
    Failed(String),
    /// The results cannot be written.
    #[error("the results cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code that goes with it.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::File { .. } => USAGE,
            Self::NoDevice(_) => NO_DEVICE,
            // Whoever reads the results has seen enough: `uaccel list | head` is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
            Self::Failed(_) | Self::Output(_) => FAILED,
        }
    }

    /// Whether there is anything to say about it.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.code() == DONE
    }
}

/// Flushes what was written, says what went wrong on standard error, and gives the exit code.
pub fn end(result: Result<u8, Failure>, out: &mut dyn Write) -> u8 {
    let result = result.and_then(|code| out.flush().map(|()| code).map_err(Failure::from));
    result.unwrap_or_else(|failure| {
        if !failure.is_silent() {
            let bad = style::BAD;
            // If nobody can be told, the exit code still can.
            let _ = writeln!(anstream::stderr(), "{bad}error:{bad:#} {failure}");
        }
        failure.code()
    })
}
