//! Descriptors that a client passes to give its memory away.

use core::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

/// The two descriptors that bind a client's address space, verified: its own `/proc/self/mem`, and `/proc/self/maps`.
#[derive(Debug)]
pub struct Binding {
    mem: File,
    maps: File,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/proc/<pid>/mem`, open for reading and writing.
    Mem,
    /// `/proc/<pid>/maps`, open for reading.
    Maps,
}

/// Why a descriptor is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// It does not lie where it should.
    #[error("the descriptor for /proc/self/{kind} is of {found}")]
    Name {
        /// What it should be.
        kind: Kind,
        /// What it is, as the kernel calls it.
        found: String,
    },
    /// It is called right, but is not the kernel's.
    #[error("the descriptor for /proc/self/{0} is not of a proc file system")]
    FileSystem(Kind),
    /// It is not open for what is needed.
    #[error(
        "the descriptor for /proc/self/{0} is not open for what is needed; open mem for reading and writing, maps for reading"
    )]
    Mode(Kind),
    /// It cannot be looked at.
    #[error("the descriptor for /proc/self/{kind} cannot be looked at")]
    System {
        /// What it should be.
        kind: Kind,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file())
    }
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Self::Mem => "mem",
            Self::Maps => "maps",
        }
    }

    /// Whether the kernel's name of a file is that of such a one: it ends in `/<number>/mem`. What comes before depends on where the client has its proc
    /// file system.
    fn is_called(self, name: &[u8]) -> bool {
        let mut parts = name.rsplit(|byte| *byte == b'/');
        parts.next() == Some(self.file().as_bytes())
            && parts.next().is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
            && parts.next().is_some()
    }
}

impl Binding {
    /// Verifies both. A server with more rights than its client must not be talked into using other files for it.
    ///
    /// # Errors
    /// See [`DescriptorError`].
    pub fn verify(mem: OwnedFd, maps: OwnedFd) -> Result<Self, DescriptorError> {
        Ok(Self { mem: verify(mem, Kind::Mem)?, maps: verify(maps, Kind::Maps)? })
    }

    /// The files: mem and maps.
    #[must_use]
    pub fn into_files(self) -> (File, File) {
        (self.mem, self.maps)
    }
}

fn verify(fd: OwnedFd, kind: Kind) -> Result<File, DescriptorError> {
    let system = |source| DescriptorError::System { kind, source };
    // The name first: it is the kernel's own, while a file system in user space would be asked by anything else, and could keep the answer back.
    let name = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(system)?;
    if !kind.is_called(name.as_os_str().as_bytes()) {
        return Err(DescriptorError::Name { kind, found: name.to_string_lossy().into_owned() });
    }
    let of = |errno: Errno| system(errno.into());
    if fstatfs(&fd).map_err(of)?.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(DescriptorError::FileSystem(kind));
    }
    let flags = OFlag::from_bits_truncate(fcntl(fd.as_fd(), FcntlArg::F_GETFL).map_err(of)?);
    let mode = flags & OFlag::O_ACCMODE;
    let open = match kind {
        Kind::Mem => mode == OFlag::O_RDWR,
        Kind::Maps => mode == OFlag::O_RDONLY || mode == OFlag::O_RDWR,
    };
    if !open || flags.contains(OFlag::O_PATH) {
        return Err(DescriptorError::Mode(kind));
    }
    Ok(File::from(fd))
}
