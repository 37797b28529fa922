//! The server: devices, a socket, and a session for each who connects.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{SockFlag, accept4};
use std::os::fd::{AsRawFd, FromRawFd};
use uaccel_devd_protocol::Channel;
use uaccel_sim::{Plan, PlanHandle};

use crate::alert::Alert;
use crate::config::DaemonConfig;
use crate::device::{self, Device};
use crate::error::StartError;
use crate::house::House;
use crate::limits::Standing;
use crate::listener::Listener;
use crate::peer::Peer;
use crate::session::Session;
use crate::status::Status;

/// Stack of a session's thread. It calls nothing deep.
const STACK: usize = 256 << 10;
/// How long nobody is let in when the system has no more descriptors or threads.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A running server.
///
/// ```no_run
/// use std::time::Duration;
/// use uaccel_devd::{Daemon, DaemonConfig};
///
/// let daemon = Daemon::start(DaemonConfig::new("/tmp/accelerator/devd.sock"))?;
/// println!("{}", daemon.status().pid);
/// let left = daemon.shutdown(Duration::from_secs(1));
/// assert_eq!(left, 0);
/// # Ok::<(), uaccel_devd::StartError>(())
/// ```
///
/// Dropping it ends it as [`shutdown`](Self::shutdown) does, without waiting. The process must ignore `SIGPIPE`, as programs in Rust do.
pub struct Daemon {
    house: Arc<House>,
    listener: Arc<Listener>,
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Makes the socket, starts the devices, and lets clients in.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: DaemonConfig) -> Result<Self, StartError> {
        let listener = Listener::bind(&config.socket, config.mode)?;
        Self::serve(config, listener)
    }

    /// The same on a socket that is there already; see [`Listener::activated`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn serve(config: DaemonConfig, listener: Listener) -> Result<Self, StartError> {
        let devices = device::start_all(&config)?;
        let socket = listener.path().to_owned();
        let house = House::new(devices, config.limits, config.greeting, socket);
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| StartError::System { call: "eventfd", source: errno.into() })?;
        let (listener, stop) = (Arc::new(listener), Arc::new(stop));
        let thread = thread::Builder::new()
            .name("devd-listener".to_owned())
            .spawn({
                let (house, listener, stop) = (house.clone(), listener.clone(), stop.clone());
                move || receive(&house, &listener, &stop)
            })
            .map_err(|source| StartError::System { call: "clone", source })?;
        tracing::info!(socket = %listener.path().display(), devices = house.devices.len(), "serving");
        Ok(Self { house, listener, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.listener.path()
    }

    /// What it tells its own user of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        self.house.status(self.house.uid)
    }

    /// The plan of a device, to look at and to change; `None` if there is none of that name.
    #[must_use]
    pub fn plan(&self, device: &str) -> Option<PlanHandle> {
        self.house.devices.iter().find(|other| other.name() == device).map(Device::plan)
    }

    /// Gives all devices this plan.
    pub fn set_plan(&self, plan: &Plan) {
        self.house.devices.iter().for_each(|device| device.plan().set(plan.clone()));
    }

    /// Lets nobody in any more, stops all queues (jobs that were begun end, others are dropped), and ends the sessions. Waits for it, but not longer than
    /// `within`; says how many sessions are left, of clients whose memory the device may still use.
    #[must_use]
    pub fn shutdown(mut self, within: Duration) -> usize {
        self.end();
        self.house.await_empty(within)
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // It can only be too full to count on, and then it is readable.
        let _ = self.stop.write(1);
        if thread.join().is_err() {
            tracing::error!("the listener panicked");
        }
        self.listener.close();
        self.house.close();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("socket", &self.socket()).finish_non_exhaustive()
    }
}

/// Lets clients in until told to stop.
fn receive(house: &Arc<House>, listener: &Listener, stop: &EventFd) {
    loop {
        let mut events =
            [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::NONE) {
            Ok(_) if events[1].any().unwrap_or(false) => return,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return tracing::error!(%errno, "the listener cannot wait; nobody is let in any more"),
        }
        match accept(listener) {
            Ok(socket) => {
                if let Err(error) = welcome(house, socket) {
                    tracing::warn!(%error, "a connection could not be taken");
                }
            }
            // Somebody was quicker to leave than we to answer, or nobody was there.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => {}
            Err(errno) => {
                tracing::error!(%errno, "no connection can be taken for now");
                thread::sleep(EXHAUSTED);
            }
        }
    }
}

fn accept(listener: &Listener) -> nix::Result<OwnedFd> {
    let fd = accept4(listener.as_fd().as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
    // SAFETY: the call has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives a connection its session.
fn welcome(house: &Arc<House>, socket: OwnedFd) -> io::Result<()> {
    let peer = Peer::of(&socket)?;
    let channel = Channel::new(socket).map_err(io::Error::other)?;
    let greeter = match house.census.admit(Standing::Greeter, peer.uid) {
        Ok(place) => place,
        Err(full) => {
            // Not louder: who does this can do it often.
            tracing::debug!(uid = peer.uid, reason = %full, "connection refused");
            return Ok(());
        }
    };
    let alert = Arc::new(Alert::new()?);
    let Some(entry) = house.enter(alert.clone()) else { return Ok(()) };
    let house = house.clone();
    // Made in there, so that a connection is simply closed if there is no thread.
    let serve = move || Session::new(house, channel, peer, greeter, alert, entry).run();
    thread::Builder::new().name("devd-session".to_owned()).stack_size(STACK).spawn(serve)?;
    Ok(())
}
