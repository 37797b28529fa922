//! The files of a machine that runs.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{AccessFlags, faccessat};

use crate::daemon_socket::{DaemonPlace, DaemonSocket};
use crate::node::{Access, Node};
use crate::tree::{Gap, Keep, Tree};

/// `sys`, `proc`, `dev` and the rest below a folder: `/` for this machine. The socket of `uaccel-devd` is where this process finds it.
#[derive(Clone, Debug)]
pub struct Disk {
    root: PathBuf,
    daemon: DaemonPlace,
}

impl Disk {
    /// The files below `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), daemon: DaemonPlace::usual() }
    }

    /// The same, with the socket of `uaccel-devd` at `path`.
    #[must_use]
    pub fn with_daemon(self, path: impl Into<PathBuf>) -> Self {
        Self { daemon: DaemonPlace::given(path.into()), ..self }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Tree for Disk {
    fn read(&self, path: &str, keep: Keep) -> Result<Vec<u8>, Gap> {
        Ok(keep(&fs::read(self.path(path)).map_err(gap)?))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Gap> {
        let entries = fs::read_dir(self.path(path)).map_err(gap)?;
        let mut names: Vec<_> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn link(&self, path: &str) -> Result<String, Gap> {
        let target = fs::read_link(self.path(path)).map_err(gap)?;
        Ok(target.to_string_lossy().into_owned())
    }

    fn node(&self, path: &str) -> Result<Node, Gap> {
        let path = self.path(path);
        let metadata = fs::metadata(&path).map_err(gap)?;
        if !metadata.file_type().is_char_device() {
            return Err(Gap::Failed("no character device".to_owned()));
        }
        Ok(Node { mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid(), access: access(&path) })
    }

    fn open(&self, path: &str) -> Result<(), Gap> {
        let mut options = fs::OpenOptions::new();
        // Not waiting, and not as a terminal of this process: the node may be anything.
        options
            .read(true)
            .write(true)
            .custom_flags((nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits());
        options.open(self.path(path)).map(drop).map_err(gap)
    }

    fn daemon(&self, ask: bool) -> Option<DaemonSocket> {
        Some(self.daemon.look(ask))
    }
}

/// What the kernel says of the effective user's rights.
fn access(path: &Path) -> Option<Access> {
    match faccessat(nix::fcntl::AT_FDCWD, path, AccessFlags::R_OK | AccessFlags::W_OK, AtFlags::AT_EACCESS) {
        Ok(()) => Some(Access::Granted),
        Err(Errno::EACCES | Errno::EPERM | Errno::EROFS) => Some(Access::Denied),
        Err(_) => None,
    }
}

fn gap(error: io::Error) -> Gap {
    match error.raw_os_error().map(Errno::from_raw) {
        // A part of the path that is a file has nothing below it.
        Some(Errno::ENOENT | Errno::ENOTDIR) => Gap::Absent,
        Some(Errno::EACCES | Errno::EPERM) => Gap::Denied,
        Some(errno) => Gap::Failed(format!("{errno:?}")),
        None => Gap::Failed(error.to_string()),
    }
}
