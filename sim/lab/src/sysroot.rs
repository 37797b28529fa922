//! Packages unpacked into a folder, and programs started out of it with its own C library.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::LabError;
use crate::tool;

/// Where Debian keeps an architecture's libraries.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// A folder laid out as the root of a system.
#[derive(Debug)]
pub(crate) struct Sysroot {
    root: PathBuf,
}

impl Sysroot {
    /// One that is there already.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Unpacks packages into the empty folder `root`. Their scripts are not run.
    pub(crate) fn unpack(root: &Path, packages: &[PathBuf]) -> Result<Self, LabError> {
        // Before anything else, as `base-files` would have it: packages may still name the short paths.
        for name in ["bin", "sbin", "lib", "lib64"] {
            let (folder, link) = (root.join("usr").join(name), root.join(name));
            fs::create_dir_all(&folder).map_err(LabError::io("create", &folder))?;
            symlink(Path::new("usr").join(name), &link).map_err(LabError::io("create", &link))?;
        }
        for package in packages {
            let mut archive = Command::new("dpkg-deb")
                .arg("--fsys-tarfile")
                .arg(package)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .map_err(LabError::start("dpkg-deb"))?;
            // Older packages have their files under the short paths: the links must stay.
            let unpacked = tool::output_with(
                Command::new("tar")
                    .args(["--extract", "--keep-directory-symlink", "--no-same-owner", "--file=-", "--directory"])
                    .arg(root),
                archive.stdout.take().map_or_else(Stdio::null, Stdio::from),
            );
            let whole = archive.wait().map_err(LabError::io("read", package))?.success();
            unpacked?;
            if !whole {
                return Err(LabError::bad_file(package, "dpkg-deb cannot read it"));
            }
        }
        // What cannot be unpacked without root is nothing that is needed here; what was must stay removable.
        Ok(Self::at(root))
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file in it, if it is there.
    pub(crate) fn file(&self, path: &str) -> Result<PathBuf, LabError> {
        let file = self.root.join(path);
        if !file.exists() {
            return Err(LabError::bad_file(&self.root, format!("it has no {path}")));
        }
        Ok(file)
    }

    /// A call of one of its programs, through its own loader and libraries: it runs on systems with another C library.
    pub(crate) fn command(&self, program: &str) -> Result<Command, LabError> {
        let mut command = Command::new(self.file("lib64/ld-linux-x86-64.so.2")?);
        let mut path = OsString::new();
        for folder in LIBRARIES {
            if !path.is_empty() {
                path.push(":");
            }
            path.push(self.root.join(folder));
        }
        command.arg("--library-path").arg(path).arg(self.file(program)?);
        // The machine's own library settings are for its own programs.
        command.env_remove("LD_LIBRARY_PATH").env_remove("LD_PRELOAD");
        Ok(command)
    }
}
