//! Memory files: those made here, and those that clients pass.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::fstat;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::ftruncate;

/// Seals that fix the size, so that what is mapped stays mapped.
const FIXED_SIZE: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

/// Makes a memory file of `len` zeros whose size nobody can change any more, and maps it.
pub(crate) fn create(name: &CStr, len: usize) -> io::Result<(OwnedFd, MmapRaw)> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let size = i64::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    ftruncate(&fd, size)?;
    fcntl(&fd, FcntlArg::F_ADD_SEALS(FIXED_SIZE | SealFlag::F_SEAL_SEAL))?;
    let map = MmapOptions::new().len(len).map_raw(&fd)?;
    Ok((fd, map))
}

/// Makes a memory file of these bytes that nobody can change any more.
pub(crate) fn freeze(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek as _, Write as _};

    let mut file = std::fs::File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.write_all(bytes)?;
    // Whoever gets it begins to read where we are.
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(FIXED_SIZE | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL))?;
    Ok(file.into())
}

/// Why a client's memory file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemfdError {
    /// Its size could change under the mapping.
    #[error("the memory file is not sealed against shrinking and growing (fcntl F_ADD_SEALS)")]
    Unsealed,
    /// It is not ordinary memory.
    #[error("the descriptor is not of a memory file with ordinary pages (memfd_create without MFD_HUGETLB)")]
    Foreign,
    /// It is too short.
    #[error("the memory file has {found} bytes, not {wanted}")]
    Short {
        /// What it has.
        found: u64,
        /// What it must have.
        wanted: u64,
    },
    /// It cannot be mapped.
    #[error("the memory file cannot be mapped for reading and writing")]
    Map(#[source] io::Error),
    /// It cannot be looked at.
    #[error("the memory file cannot be looked at")]
    System(#[source] io::Error),
}

/// Maps the first `len` bytes of a client's memory file, which it cannot shorten.
///
/// # Errors
/// See [`MemfdError`].
pub(crate) fn adopt(fd: BorrowedFd<'_>, len: usize) -> Result<MmapRaw, MemfdError> {
    let system = |errno: Errno| MemfdError::System(errno.into());
    // The seals first: only the kernel's own memory files have some, so a file system in user space is never asked.
    let seals = match fcntl(fd, FcntlArg::F_GET_SEALS) {
        Ok(seals) => SealFlag::from_bits_truncate(seals),
        Err(Errno::EINVAL | Errno::EBADF) => return Err(MemfdError::Foreign),
        Err(errno) => return Err(system(errno)),
    };
    if fstatfs(fd).map_err(system)?.filesystem_type() != TMPFS_MAGIC {
        return Err(MemfdError::Foreign);
    }
    if !seals.contains(FIXED_SIZE) {
        return Err(MemfdError::Unsealed);
    }
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).map_err(system)?);
    if flags & OFlag::O_ACCMODE != OFlag::O_RDWR {
        return Err(MemfdError::Map(Errno::EACCES.into()));
    }
    let found = u64::try_from(fstat(fd).map_err(system)?.st_size).unwrap_or(0);
    let wanted = len as u64;
    if found < wanted || len == 0 {
        return Err(MemfdError::Short { found, wanted });
    }
    MmapOptions::new().len(len).map_raw(fd.as_fd().as_raw_fd()).map_err(MemfdError::Map)
}
