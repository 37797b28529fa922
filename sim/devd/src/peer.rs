//! Who is at the other end of a connection.

use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::{PeerCredentials, PeerPidfd};
use nix::unistd::Pid;

/// Who is at the other end of a connection, as the kernel says: the process that called `connect`.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its number in this process's eyes; `None` if it is in another PID namespace, where it cannot be seen.
    pub(crate) pid: Option<Pid>,
    /// Its effective user.
    pub(crate) uid: u32,
    /// Becomes readable when the process ends. `None` where the kernel has no such thing for it.
    pub(crate) life: Option<OwnedFd>,
}

impl Peer {
    pub(crate) fn of(socket: impl AsFd) -> io::Result<Self> {
        let credentials = getsockopt(&socket, PeerCredentials)?;
        let pid = Some(Pid::from_raw(credentials.pid())).filter(|pid| pid.as_raw() > 0);
        // By the socket (Linux 6.5) it is the right process whatever happened meanwhile; by number it may be another one, whose end
        // then ends this connection too early. Nothing worse: memory is not reached by what is found here.
        let life = match getsockopt(&socket, PeerPidfd) {
            Ok(life) => Some(life),
            Err(errno) if is_shortage(errno) => return Err(errno.into()),
            Err(_) => match pid.map(open) {
                Some(Err(errno)) if is_shortage(errno) => return Err(errno.into()),
                Some(Ok(life)) => Some(life),
                _ => None,
            },
        };
        Ok(Self { pid, uid: credentials.uid(), life })
    }

    /// What the process is called, for people. A name can be anything; what would move a terminal's cursor is left out.
    pub(crate) fn command(&self) -> String {
        let Some(pid) = self.pid else { return String::new() };
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end().chars().filter(|char| !char.is_control()).collect()
    }
}

/// `pidfd_open(2)`, Linux 5.3. The descriptor is close-on-exec.
fn open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether it is this process that has no descriptors left: then nobody is let in whose end would not be seen.
fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)
}
