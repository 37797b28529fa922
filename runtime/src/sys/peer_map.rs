//! Memory that another process made, mapped here.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::stat::fstat;

/// The beginning of a memory file of another process, which nobody can take away under the mapping: an access behind a file's end would end this
/// process (`SIGBUS`).
#[derive(Debug)]
pub(crate) struct PeerMap {
    start: NonNull<u8>,
    map: MmapRaw,
}

// SAFETY: the pointer is only given out; the mapping belongs to the process, not to a thread.
unsafe impl Send for PeerMap {}
// SAFETY: as for `Send`.
unsafe impl Sync for PeerMap {}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerMapError {
    /// It may become shorter.
    #[error("it is not a memory file that is sealed against shrinking")]
    CanShrink,
    /// It is too short.
    #[error("it has {found} bytes, and {wanted} are needed")]
    Short {
        /// What it has.
        found: u64,
        /// What is needed.
        wanted: u64,
    },
    /// It cannot be mapped.
    #[error("it cannot be mapped: {0}")]
    System(io::Error),
}

impl PeerMap {
    /// Maps the first `len` bytes of a file, all of whose pages are made to be there.
    pub(crate) fn new(file: &impl AsFd, len: usize) -> Result<Self, PeerMapError> {
        let system = |errno: Errno| PeerMapError::System(errno.into());
        // The seals first: once it cannot shrink, its length is at least what it is now.
        match fcntl(file, FcntlArg::F_GET_SEALS) {
            Ok(seals) if SealFlag::from_bits_truncate(seals).contains(SealFlag::F_SEAL_SHRINK) => {}
            // What has no seals says so.
            Ok(_) | Err(Errno::EINVAL) => return Err(PeerMapError::CanShrink),
            Err(errno) => return Err(system(errno)),
        }
        let found = u64::try_from(fstat(file).map_err(system)?.st_size).unwrap_or(0);
        let wanted = len as u64;
        if found < wanted || len == 0 {
            return Err(PeerMapError::Short { found, wanted });
        }
        let map = MmapOptions::new().len(len).populate().map_raw(file.as_fd().as_raw_fd());
        let map = map.map_err(PeerMapError::System)?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or_else(|| system(Errno::ENOMEM))?;
        Ok(Self { start, map })
    }

    /// Where it starts, at a page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}
