//! How the program ends.

use std::io;
use std::path::PathBuf;

/// Everything was done, and every verified result was right.
pub const DONE: u8 = 0;
/// A job failed, or a result was not what it should be.
pub const FAILED: u8 = 1;
/// The command line is wrong, or names a file that cannot be read.
pub const USAGE: u8 = 2;
/// A device that was asked for cannot be used.
pub const NO_DEVICE: u8 = 3;
/// A promise was missed, with `--fail-if-missed`.
pub const MISSED: u8 = 4;
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
    /// What was to be measured could not be run.
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
            // Whoever reads the results has seen enough: `accel-bench run | head` is no failure.
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
