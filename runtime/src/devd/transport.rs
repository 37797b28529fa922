//! The way to one queue of a daemon.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_devd_protocol::{Reply, Request};
use uaccel_queue::{AddressMode, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};
use uaccel_warp_abi::user_page;

use super::connection::Connection;
use super::line::PROMPT;
use super::refusal::CallError;
use crate::sys::doorbell::Doorbell;
use crate::sys::peer_map::PeerMap;
use crate::sys::signal_socket::SignalSocket;

/// How much later than asked for an answer may come.
const GRACE: Duration = Duration::from_millis(200);
/// How long closing may take. Whoever closes a queue that may have jobs in flight has stopped it before.
const CLOSING: Duration = Duration::from_secs(1);
/// The longest sleep without a look at the daemon, when nothing else bounds it.
const LOOK: Duration = Duration::from_secs(60);

/// The way to one queue.
pub(super) struct DevdTransport {
    device: String,
    connection: Arc<Connection>,
    queue: u32,
    regions: [Region; 1],
    signal: SignalSocket,
    bell: Doorbell,
}

impl DevdTransport {
    /// Opens a queue of the daemon's device number `index`.
    pub(super) fn open(device: &str, connection: Arc<Connection>, index: u32) -> Result<Self, CallError> {
        let (queue, ends) = connection.ask(&Request::Open { index }, &[], PROMPT, |reply, descriptors| {
            if let Reply::Opened { queue } = reply { Ok((queue, descriptors)) } else { Err(reply) }
        })?;
        match Self::furnish(device, &connection, queue, ends) {
            Ok(transport) => {
                tracing::debug!(device, queue, "queue of uaccel-devd opened");
                Ok(transport)
            }
            Err(why) => {
                // Nobody knows the queue yet, so that it is closed late, or only with the connection, harms nobody here.
                let _ = connection.tell(&Request::Close { queue }, PROMPT);
                Err(CallError::Unexpected(why))
            }
        }
    }

    fn furnish(device: &str, connection: &Arc<Connection>, queue: u32, ends: Vec<OwnedFd>) -> Result<Self, String> {
        let [page, signal, bell] = <[OwnedFd; 3]>::try_from(ends).map_err(|_| "no page, signal and bell")?;
        let page = PeerMap::new(&page, user_page::SIZE).map_err(|error| format!("the user page: {error}"))?;
        let signal = SignalSocket::new(signal).map_err(|error| format!("the signal: {error}"))?;
        let (start, len) = (page.start(), page.len());
        // SAFETY: whole pages, mapped while the keeper lives; both sides access them as words of 64 bits, volatile or atomic.
        let regions = [unsafe { Region::new(RegionKind::User, start, len, Arc::new(page)) }];
        let (device, connection) = (device.to_owned(), connection.clone());
        Ok(Self { device, connection, queue, regions, signal, bell: Doorbell::new(bell) })
    }

    /// A child process has no queue here, and what has ended does not come back.
    fn check(&self) -> Result<(), TransportError> {
        if self.connection.is_home() && !self.signal.has_ended() { Ok(()) } else { Err(TransportError::Gone) }
    }

    /// A request with a time limit of its own: how long it may take, and how long to wait for the answer.
    fn limits(within: Duration) -> (u64, Duration) {
        (u64::try_from(within.as_nanos()).unwrap_or(u64::MAX), within.saturating_add(GRACE))
    }
}

impl Transport for DevdTransport {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        const STEP: &str = "asking for ring memory";
        self.check()?;
        let queue = self.queue;
        let (address, given, file) = self
            .connection
            .ask(&Request::Ring { queue, len: len as u64 }, &[], PROMPT, |reply, mut descriptors| match reply {
                Reply::Ring { queue: of, address, len } if of == queue => {
                    descriptors.pop().map(|file| (address, len, file)).ok_or(reply)
                }
                reply => Err(reply),
            })
            .map_err(|error| error.on(&self.device, STEP))?;
        let bad = |what: String| TransportError::Refused(format!("uaccel-devd gives ring memory of no use: {what}"));
        let given =
            usize::try_from(given).ok().filter(|given| *given >= len && address.checked_add(*given as u64).is_some());
        let given = given.ok_or_else(|| bad(format!("not the {len} bytes that were asked for")))?;
        let map = Arc::new(PeerMap::new(&file, given).map_err(|error| bad(error.to_string()))?);
        let (start, len) = (map.start(), map.len());
        // SAFETY: whole pages, mapped while the keeper lives; everybody in this process reaches them through ring memory.
        Ok(unsafe { RingMemory::new(start, address, len, map) })
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if self.check().is_err() {
            return;
        }
        self.regions[0].write(offset, value);
        if offset == user_page::SUBMIT {
            return self.bell.ring();
        }
        let control = Request::Control { queue: self.queue, offset: offset as u64, value };
        if let Err(error) = self.connection.tell(&control, PROMPT) {
            // Whoever waits for its effect sees that there is none.
            tracing::warn!(device = self.device, offset, %error, "register not written");
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        loop {
            self.check()?;
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
            let signalled = self.signal.sleep(self.connection.as_fd(), left);
            if signalled.map_err(|source| TransportError::System { call: "poll", source })? {
                return Ok(Wake::Signalled);
            }
            if self.signal.has_ended() || self.connection.has_hung_up() {
                return Err(TransportError::Gone);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Wake::TimedOut);
            }
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signal.as_fd())
    }

    fn clear_wake(&self) {
        self.signal.take();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        if !self.connection.is_home() {
            return Err(TransportError::Gone);
        }
        let (within, wait) = Self::limits(within);
        let stop = Request::Stop { queue: self.queue, within };
        let stopped = self.connection.ask(&stop, &[], wait, |reply, _| {
            if let Reply::Stopped { quiet } = reply { Ok(quiet) } else { Err(reply) }
        });
        match stopped {
            Ok(true) => Ok(Quiet::Proven),
            // Whatever was said before: the daemon hangs up only when it touches nothing any more.
            _ if self.connection.has_hung_up() => Ok(Quiet::Proven),
            Ok(false) | Err(CallError::TimedOut(_)) => Ok(Quiet::Unproven),
            Err(error) => Err(error.on(&self.device, "stopping a queue")),
        }
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.check()?;
        let (within, wait) = Self::limits(within);
        let reset = Request::Reset { queue: self.queue, within };
        self.connection.tell(&reset, wait).map_err(|error| error.on(&self.device, "resetting a queue"))
    }

    fn is_alive(&self) -> bool {
        self.check().is_ok() && !self.connection.has_hung_up()
    }

    fn fences_for_host(&self) -> bool {
        self.connection.fences()
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

/// Gives the queue back. What the daemon may still touch of its registers and rings is its own memory too, so nothing has to stay for it here.
impl Drop for DevdTransport {
    fn drop(&mut self) {
        if !self.connection.is_home() || self.connection.has_hung_up() {
            return;
        }
        if let Err(error) = self.connection.tell(&Request::Close { queue: self.queue }, CLOSING) {
            tracing::warn!(device = self.device, queue = self.queue, %error, "queue stays taken until the connection ends");
        }
    }
}

impl fmt::Debug for DevdTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevdTransport")
            .field("device", &self.device)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
