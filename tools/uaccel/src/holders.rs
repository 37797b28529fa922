//! Processes that hold queues of hardware open.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A process with open queues of one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The device.
    pub device: String,
    /// The process.
    pub pid: u32,
    /// Whose it is.
    pub uid: u32,
    /// What it calls itself.
    pub command: String,
    /// How many descriptors of the device's node it has: each is a queue.
    pub queues: usize,
}

/// Who holds queues, and of how many processes that cannot be said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holders {
    /// By device, then by process.
    pub holders: Vec<Holder>,
    /// Processes whose descriptors this user may not see.
    pub hidden: usize,
}

/// A device and its node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The device's name.
    pub device: String,
    /// The path of its node.
    pub path: PathBuf,
}

impl Holders {
    /// Looks through the processes below `proc`.
    #[must_use]
    pub fn find(proc: &Path, nodes: &[Node]) -> Self {
        let mut found = Self::default();
        if nodes.is_empty() {
            return found;
        }
        let Ok(entries) = fs::read_dir(proc) else { return found };
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            found.look(pid, &entry.path(), nodes);
        }
        found.holders.sort_by(|a, b| (&a.device, a.pid).cmp(&(&b.device, b.pid)));
        found
    }

    fn look(&mut self, pid: u32, process: &Path, nodes: &[Node]) {
        let descriptors = match fs::read_dir(process.join("fd")) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                // A process that has gone in the meantime hides nothing.
                self.hidden += usize::from(error.kind() == std::io::ErrorKind::PermissionDenied);
                return;
            }
        };
        let targets: Vec<PathBuf> = descriptors.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
        for node in nodes {
            let queues = targets.iter().filter(|target| **target == node.path).count();
            if queues > 0 {
                self.holders.push(Holder {
                    device: node.device.clone(),
                    pid,
                    uid: fs::metadata(process).map_or(0, |about| about.uid()),
                    command: fs::read_to_string(process.join("comm")).unwrap_or_default().trim_end().to_owned(),
                    queues,
                });
            }
        }
    }
}
