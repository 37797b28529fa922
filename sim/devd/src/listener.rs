//! The socket that clients connect to.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use nix::sys::socket::sockopt::{AcceptConn, SockType};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType as Kind, SockaddrLike as _, UnixAddr, bind, getsockname, getsockopt,
    listen, socket,
};
use uaccel_devd_protocol::{Channel, ChannelError};

use crate::error::StartError;

/// The longest path a socket can have: `sun_path` of `linux/un.h` less the byte that ends it.
const LONGEST: usize = 107;
/// How many may wait to be let in.
const BACKLOG: i32 = 128;
/// The first descriptor that a service manager passes (`sd_listen_fds(3)`).
const FIRST_PASSED: i32 = 3;

/// The socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// What is taken away in the end, if the socket was made here.
    own: Mutex<Option<Own>>,
}

/// A socket file made here.
#[derive(Debug)]
struct Own {
    device: u64,
    inode: u64,
    /// Held as long as the server runs, so that two of them cannot take each other's socket for a dead one.
    _lock: Flock<File>,
}

impl Listener {
    /// Makes a socket at `path` for whoever `mode` lets write to it. A folder that is missing is made: for its owner alone, or for all if `mode` lets others
    /// connect. A socket of a server that is no longer there is replaced.
    ///
    /// # Errors
    /// [`StartError::Taken`], [`StartError::InTheWay`], [`StartError::Path`], [`StartError::Socket`].
    pub fn bind(path: &Path, mode: u32) -> Result<Self, StartError> {
        let impossible = || StartError::Path { path: path.to_owned(), most: LONGEST };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err(impossible()) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // For a moment it has a longer name: made under that, it gets its permissions before anybody can find it.
        let mut hidden = name.to_owned();
        hidden.push(".new");
        let hidden = folder.join(hidden);
        if hidden.as_os_str().len() > LONGEST {
            return Err(impossible());
        }
        let for_others = mode & 0o066 != 0;
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| StartError::Socket { action, path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(if for_others { 0o755 } else { 0o700 })
            .create(folder)
            .map_err(failed("make the folder", folder))?;
        let mut lock_name = name.to_owned();
        lock_name.push(".lock");
        let lock = take(&folder.join(lock_name), path)?;
        clear(path)?;
        match fs::remove_file(&hidden) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace", &hidden)(error)),
            _ => {}
        }
        let listener =
            socket(AddressFamily::Unix, Kind::SeqPacket, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
                .map_err(|errno| StartError::System { call: "socket", source: errno.into() })?;
        let address = UnixAddr::new(&hidden).map_err(|errno| failed("listen on", path)(errno.into()))?;
        bind(listener.as_raw_fd(), &address).map_err(|errno| failed("make the socket", path)(errno.into()))?;
        let backlog = Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN);
        let published = fs::set_permissions(&hidden, Permissions::from_mode(mode & 0o777))
            .and_then(|()| listen(&listener, backlog).map_err(io::Error::from))
            .and_then(|()| fs::rename(&hidden, path))
            .and_then(|()| fs::symlink_metadata(path));
        let made = published.map_err(|error| {
            let _ = fs::remove_file(&hidden);
            failed("make the socket", path)(error)
        })?;
        let own = Own { device: made.dev(), inode: made.ino(), _lock: lock };
        Ok(Self { socket: listener, path: path.to_owned(), own: Mutex::new(Some(own)) })
    }

    /// The socket that a service manager has passed, `None` if it has not (`sd_listen_fds(3)`): `LISTEN_PID` is this process, `LISTEN_FDS` is 1.
    ///
    /// # Errors
    /// [`StartError::Activation`] if it is not a listening Unix socket that keeps messages apart; [`StartError::ActivationCount`].
    ///
    /// # Safety
    /// Called once at most, before anything in this process has opened a file: descriptor 3 is the manager's, and nobody else's.
    pub unsafe fn activated() -> Result<Option<Self>, StartError> {
        let number = |name| env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
        let is_for_us = number("LISTEN_PID") == usize::try_from(std::process::id()).ok();
        let count = number("LISTEN_FDS").unwrap_or(0);
        if !is_for_us || count == 0 {
            return Ok(None);
        }
        if count != 1 {
            return Err(StartError::ActivationCount(count));
        }
        // SAFETY: the manager has opened it for this process, as the variables say; nobody else uses it (the caller's promise).
        let passed = unsafe { BorrowedFd::borrow_raw(FIRST_PASSED) };
        // Whether it is open at all, before it is taken over.
        fcntl(passed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|_| StartError::Activation)?;
        // SAFETY: it is open, as just seen, and nobody else's (the caller's promise).
        Self::adopt(unsafe { OwnedFd::from_raw_fd(FIRST_PASSED) }).map(Some)
    }

    /// Takes over a socket that listens already.
    ///
    /// # Errors
    /// [`StartError::Activation`] if it is not a listening Unix socket that keeps messages apart.
    pub fn adopt(socket: OwnedFd) -> Result<Self, StartError> {
        let address: UnixAddr = getsockname(socket.as_raw_fd()).map_err(|_| StartError::Activation)?;
        let fits = address.family() == Some(AddressFamily::Unix)
            && getsockopt(&socket, SockType) == Ok(Kind::SeqPacket)
            && getsockopt(&socket, AcceptConn) == Ok(true);
        if !fits {
            return Err(StartError::Activation);
        }
        let system = |errno: Errno| StartError::System { call: "fcntl", source: errno.into() };
        let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL).map_err(system)?);
        fcntl(&socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map_err(system)?;
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(system)?;
        let path = address.path().map(Path::to_owned).unwrap_or_default();
        Ok(Self { socket, path, own: Mutex::default() })
    }

    /// Where it is; empty for a socket without a path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the socket's file away, if it was made here and is still the same.
    pub(crate) fn close(&self) {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(own) = own else { return };
        let same =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == (own.device, own.inode));
        if same && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Takes the lock that the server at `path` holds as long as it runs.
fn take(lock: &Path, path: &Path) -> Result<Flock<File>, StartError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(lock)
        .map_err(|source| StartError::Socket { action: "make the lock", path: lock.to_owned(), source })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => StartError::Taken(path.to_owned()),
        errno => StartError::Socket { action: "take the lock", path: lock.to_owned(), source: errno.into() },
    })
}

/// Takes away the socket of a server that is no longer there, and nothing else.
fn clear(path: &Path) -> Result<(), StartError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StartError::Socket { action: "look at", path: path.to_owned(), source }),
        Ok(found) if !found.file_type().is_socket() => return Err(StartError::InTheWay(path.to_owned())),
        Ok(_) => {}
    }
    // Somebody may listen who keeps no lock: another program.
    match Channel::connect(path, Duration::ZERO) {
        Err(ChannelError::System { source, .. }) if source.raw_os_error() == Some(libc::ECONNREFUSED) => {
            tracing::debug!(path = %path.as_os_str().as_bytes().escape_ascii(), "replacing a socket nobody listens on");
            fs::remove_file(path).map_err(|source| StartError::Socket {
                action: "replace",
                path: path.to_owned(),
                source,
            })
        }
        _ => Err(StartError::Taken(path.to_owned())),
    }
}
