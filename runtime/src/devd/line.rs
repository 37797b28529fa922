//! The socket to a daemon: one question at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{Uid, geteuid};
use uaccel_devd_protocol::{Channel, ChannelError, Reply, Request, serial_of};

use super::refusal::{CallError, ConnectError};
use crate::sys::fork_mark::ForkMark;

/// How long a daemon may take to let somebody in, and to answer what takes no time.
pub(super) const PROMPT: Duration = Duration::from_secs(2);

/// The socket to a daemon.
#[derive(Debug)]
pub(super) struct Line {
    channel: Channel,
    /// Held from a question to its answer.
    exchange: Mutex<Exchange>,
    /// Whether the daemon was found to have hung up, which is for good.
    hung_up: AtomicBool,
    /// Whether it said something that makes no sense. Only its hang-up is believed then.
    broken: AtomicBool,
    fork: ForkMark,
}

#[derive(Debug, Default)]
struct Exchange {
    /// Of the last question.
    serial: u32,
    /// What was given to us after we had stopped waiting for it, as requests that give it back.
    strays: Vec<Request>,
}

impl Line {
    /// Connects to the daemon at `path`, if it is one that may be trusted with this process's memory.
    pub(super) fn connect(path: &Path) -> Result<Self, ConnectError> {
        let fork = ForkMark::new().map_err(|source| ConnectError::System { call: "mmap of the fork mark", source })?;
        let channel = Channel::connect(path, PROMPT).map_err(|error| not_connected(path, error))?;
        let peer = channel.peer().map_err(|error| not_connected(path, error))?;
        check_peer(path, Uid::from_raw(peer.uid.as_raw()), geteuid())?;
        let (exchange, hung_up, broken) = (Mutex::default(), AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self { channel, exchange, hung_up, broken, fork })
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> Result<(Reply, Vec<OwnedFd>), CallError> {
        // Before the lock, which a thread that a child does not have may hold.
        if !self.fork.is_home() {
            return Err(CallError::Forked);
        }
        let mut exchange = self.exchange();
        let answer = self.exchange_once(&mut exchange, request, descriptors, within);
        match &answer {
            Err(CallError::HungUp) => self.set_hung_up(),
            Err(CallError::Malformed(error)) => {
                tracing::error!(?request, %error, "uaccel-devd breaks the protocol");
                // Relaxed: a note that stays, and orders nothing.
                self.broken.store(true, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(?request, %error, "not done"),
            Ok(_) => {}
        }
        answer
    }

    /// Gives back what came too late, as far as the daemon answers.
    pub(super) fn return_strays(&self) {
        if !self.fork.is_home() {
            return;
        }
        let mut strays = std::mem::take(&mut self.exchange().strays);
        while let Some(stray) = strays.pop() {
            if self.call(&stray, &[], PROMPT).is_err() {
                break;
            }
        }
        // The others another time.
        self.exchange().strays.append(&mut strays);
    }

    fn exchange_once(
        &self,
        exchange: &mut Exchange,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
    ) -> Result<(Reply, Vec<OwnedFd>), CallError> {
        let begun = Instant::now();
        // What was not waited for may have come since.
        while let Some((_, reply, _)) = self.receive_now()? {
            exchange.put_aside(&reply);
        }
        exchange.serial = exchange.serial.wrapping_add(1);
        self.channel.send(&request.encode(exchange.serial), descriptors, within)?;
        loop {
            let left = within.saturating_sub(begun.elapsed());
            let (serial, reply, descriptors) = match self.receive(left) {
                // Said of the whole.
                Err(CallError::TimedOut(_)) => return Err(CallError::TimedOut(within)),
                received => received?,
            };
            if serial != exchange.serial {
                exchange.put_aside(&reply);
                continue;
            }
            return match reply {
                Reply::Refused { refusal, text } => Err(CallError::Refused { refusal, text }),
                reply => Ok((reply, descriptors)),
            };
        }
    }

    fn receive_now(&self) -> Result<Option<(u32, Reply, Vec<OwnedFd>)>, CallError> {
        match self.receive(Duration::ZERO) {
            Err(CallError::TimedOut(_)) => Ok(None),
            received => received.map(Some),
        }
    }

    fn receive(&self, within: Duration) -> Result<(u32, Reply, Vec<OwnedFd>), CallError> {
        let packet = self.channel.receive(within)?;
        let (serial, reply) = Reply::decode(&packet.bytes, packet.descriptors.len()).inspect_err(|_| {
            tracing::debug!(serial = serial_of(&packet.bytes), "this answer cannot be read");
        })?;
        Ok((serial, reply, packet.descriptors))
    }

    /// Whether the daemon has hung up: it touches nothing of this process any more.
    pub(super) fn has_hung_up(&self) -> bool {
        // Acquire: pairs with the release in `set_hung_up`: who is told by another thread sees what the daemon wrote as that one does.
        if !self.hung_up.load(Ordering::Acquire) && self.channel.has_hung_up().unwrap_or(false) {
            self.set_hung_up();
        }
        self.hung_up.load(Ordering::Acquire)
    }

    fn set_hung_up(&self) {
        // AcqRel: release for `has_hung_up`; the kernel has ordered what the daemon wrote before the caller found out.
        if !self.hung_up.swap(true, Ordering::AcqRel) {
            tracing::warn!("uaccel-devd has hung up");
        }
    }

    /// Whether it is worth asking anything.
    pub(super) fn is_usable(&self) -> bool {
        // Relaxed: as in `call`.
        self.is_home() && !self.broken.load(Ordering::Relaxed) && !self.has_hung_up()
    }

    /// Whether this is the process that made the connection.
    pub(super) fn is_home(&self) -> bool {
        self.fork.is_home()
    }

    /// The mark of the process that made the connection.
    pub(super) fn fork(&self) -> &ForkMark {
        &self.fork
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// Notes what a late answer gives, which nobody wants any more.
    fn put_aside(&mut self, late: &Reply) {
        tracing::debug!(?late, "answer to a question that nobody asks any more");
        match *late {
            Reply::Opened { queue } => self.strays.push(Request::Close { queue }),
            Reply::Window { id } => self.strays.push(Request::Unwindow { id }),
            _ => {}
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

/// Only the own user, or root, may reach this process's memory.
fn check_peer(path: &Path, found: Uid, own: Uid) -> Result<(), ConnectError> {
    if found == own || found.is_root() {
        return Ok(());
    }
    Err(ConnectError::OtherUser { path: path.to_owned(), found, own })
}

fn not_connected(path: &Path, error: ChannelError) -> ConnectError {
    let path = path.to_owned();
    match error {
        ChannelError::System { call, source } => match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ECONNREFUSED) => ConnectError::Nobody(path),
            Some(Errno::EACCES | Errno::EPERM) => ConnectError::Denied(path),
            _ => ConnectError::System { call, source },
        },
        error => ConnectError::Call { path, source: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_user_and_root_are_trusted_and_the_error_names_both_users() {
        let path = Path::new("/somewhere/devd.sock");
        let (own, other) = (Uid::from_raw(1000), Uid::from_raw(1001));
        assert!(check_peer(path, own, own).is_ok());
        assert!(check_peer(path, Uid::from_raw(0), own).is_ok());
        let error = check_peer(path, other, own).expect_err("somebody else");
        let text = error.to_string();
        assert!(["/somewhere/devd.sock", "1000", "1001"].iter().all(|part| text.contains(part)), "{text}");
        assert!(error.cure().is_some_and(|cure| cure.contains("UACCEL_DEVD")));
        assert!(check_peer(path, other, Uid::from_raw(0)).is_err(), "root does not trust everybody either");
    }
}
