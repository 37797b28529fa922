//! A connection to a daemon that has this process's address space.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uaccel_devd_protocol::{HelloFlags, Priority, Refusal, Reply, Request, VERSION, WelcomeFlags};

use super::line::{Line, PROMPT};
use super::refusal::{CallError, ConnectError};
use crate::sys::address_space::AddressSpace;
use crate::sys::gate_page::GatePage;
use crate::sys::membarrier;

/// The most devices of a daemon that are looked at, whatever it says.
const MOST_DEVICES: u32 = 256;

/// A connection to a daemon that has this process's address space. When it is dropped, the daemon gives up all there is of this client.
#[derive(Debug)]
pub(super) struct Connection {
    line: Line,
    /// Whether the daemon fences for this process's threads.
    fences: bool,
    /// The names of the daemon's devices, asked for once.
    names: Mutex<Option<Vec<String>>>,
    /// After the line: while there is a connection the daemon may write through it.
    _gate: GatePage,
}

/// A device as the daemon tells of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) interface: String,
}

impl Connection {
    /// Connects to the daemon at `path` and binds this process's address space.
    pub(super) fn make(path: &Path, priority: Priority) -> Result<Self, ConnectError> {
        let line = Line::connect(path)?;
        let gate = GatePage::new(line.fork().clone())
            .map_err(|source| ConnectError::System { call: "mmap of the gate", source })?;
        let own = AddressSpace::of_this_process().map_err(ConnectError::OwnMemory)?;
        let fenced = membarrier::accept_fences();
        let hello = Request::Hello {
            version: VERSION,
            flags: if fenced { HelloFlags::FENCED } else { HelloFlags::empty() },
            priority,
            gate: gate.address(),
            canary: gate.canary(),
        };
        let path = path.to_owned();
        let (flags, pasid) = match line.call(&hello, &[own.memory.as_fd(), own.maps.as_fd()], PROMPT) {
            Ok((Reply::Welcome { version: VERSION, flags, pasid, .. }, _)) => (flags, pasid),
            Ok((Reply::Welcome { version, .. }, _)) => {
                let what = format!("{version}, and this program {VERSION}");
                return Err(ConnectError::Version { path, what });
            }
            Ok((other, _)) => {
                let source = CallError::Unexpected(format!("{other:?}"));
                return Err(ConnectError::Call { path, source });
            }
            Err(CallError::Refused { refusal: Refusal::Version, text }) => {
                return Err(ConnectError::Version { path, what: text });
            }
            Err(source) => return Err(ConnectError::Call { path, source }),
        };
        tracing::debug!(path = %path.display(), pasid, ?flags, "connected to uaccel-devd");
        let fences = fenced && flags.contains(WelcomeFlags::FENCES);
        Ok(Self { line, fences, names: Mutex::default(), _gate: gate })
    }

    /// As [`Line::call`]; the answer must be one that `wanted` takes.
    pub(super) fn ask<T>(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
        within: Duration,
        wanted: impl FnOnce(Reply, Vec<OwnedFd>) -> Result<T, Reply>,
    ) -> Result<T, CallError> {
        let (reply, received) = self.line.call(request, descriptors, within)?;
        wanted(reply, received).map_err(|reply| CallError::Unexpected(format!("{reply:?}")))
    }

    /// As [`ask`](Self::ask), for what is answered in time or not at all, by [`Reply::Done`].
    pub(super) fn tell(&self, request: &Request, within: Duration) -> Result<(), CallError> {
        self.ask(request, &[], within, |reply, _| if reply == Reply::Done { Ok(()) } else { Err(reply) })
    }

    /// The number of the device of this name; `None` if there is none.
    pub(super) fn index_of(&self, name: &str) -> Result<Option<u32>, CallError> {
        // Not locked meanwhile: it is as well asked for twice.
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names = match known {
            Some(names) => names,
            None => {
                let names: Vec<_> = devices(&self.line)?.into_iter().map(|told| told.name).collect();
                self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(names).clone()
            }
        };
        Ok((0..).zip(&names).find(|(_, known)| *known == name).map(|(index, _)| index))
    }

    /// Gives back what the daemon gave when nobody waited for it any more.
    pub(super) fn return_strays(&self) {
        self.line.return_strays();
    }

    /// Whether the daemon fences for this process's threads.
    pub(super) fn fences(&self) -> bool {
        self.fences
    }

    /// Whether the daemon has hung up: it touches nothing of this process any more.
    pub(super) fn has_hung_up(&self) -> bool {
        self.line.has_hung_up()
    }

    /// Whether something can be opened over it.
    pub(super) fn is_usable(&self) -> bool {
        self.line.is_usable()
    }

    /// Whether this is the process that made it.
    pub(super) fn is_home(&self) -> bool {
        self.line.is_home()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }
}

/// The daemon's devices, in its order.
pub(super) fn devices(line: &Line) -> Result<Vec<Told>, CallError> {
    let mut devices = Vec::new();
    loop {
        let index = u32::try_from(devices.len()).unwrap_or(MOST_DEVICES);
        match line.call(&Request::Device { index }, &[], PROMPT)?.0 {
            Reply::Device { count, name, interface, .. } => {
                devices.push(Told { name, interface });
                if index + 1 >= count.min(MOST_DEVICES) {
                    return Ok(devices);
                }
            }
            other => return Err(CallError::Unexpected(format!("{other:?}"))),
        }
    }
}
