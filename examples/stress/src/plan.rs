//! What a run is.

use std::path::PathBuf;
use std::time::Duration;

/// What a run is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// The length.
    pub length: Duration,
    /// Ordinary processes; those that behave oddly come on top.
    pub processes: u32,
    /// Threads of each.
    pub threads: u32,
    /// The device.
    pub device: String,
    /// How long a job may take.
    pub deadline: Duration,
    /// Cases of a process.
    pub cases: usize,
    /// Whether anything is done to anybody.
    pub events: bool,
    /// Whether there are processes that behave oddly.
    pub odd: bool,
    /// How often to say what processes hold.
    pub telling: Duration,
    /// Whether the run fails if what they hold grows.
    pub soak: bool,
    /// What to work on; generated data if empty.
    pub files: Vec<PathBuf>,
    /// Whether to say what is done.
    pub verbose: bool,
}
