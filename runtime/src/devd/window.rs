//! Memory that the daemon maps as well.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use uaccel_devd_protocol::{Reply, Request};
use uaccel_queue::SharedMemory;

use super::connection::Connection;
use super::line::PROMPT;
use super::refusal::CallError;
use crate::sys::fork_mark::ForkMark;
use crate::sys::sealed_memory::SealedMemory;

/// Memory that the daemon maps as well, so that jobs find it in place.
#[derive(Debug)]
pub(super) struct Window {
    /// `None` when it had to be left where it is for ever.
    memory: Option<SealedMemory>,
    state: Mutex<State>,
    /// Connections whose daemon may have it under a number that is not known here any more.
    doubtful: Mutex<Vec<Weak<Connection>>>,
}

/// What the daemon knows of it.
#[derive(Debug)]
enum State {
    /// Nothing.
    Unknown,
    /// It may know it, since it was told and did not answer.
    Told(Weak<Connection>),
    /// It has it under this number.
    Registered(Weak<Connection>, u64),
}

impl Window {
    /// At least `len` zeroed bytes, of which no daemon knows yet.
    pub(super) fn new(len: usize, fork: ForkMark) -> io::Result<Self> {
        Ok(Self {
            memory: Some(SealedMemory::new(len, fork)?),
            state: Mutex::new(State::Unknown),
            doubtful: Mutex::default(),
        })
    }

    /// The memory, which stays registered while anybody has it.
    pub(super) fn share(self: Arc<Self>, len: usize) -> SharedMemory {
        let start = self.memory.as_ref().map_or(std::ptr::NonNull::dangling(), SealedMemory::start);
        let len = self.memory.as_ref().map_or(0, |memory| memory.len().min(len));
        // SAFETY: whole pages, zeroed, mapped while the keeper lives; only the owner of the shared memory, and the daemon in jobs on it, accesses them.
        unsafe { SharedMemory::new(start, len, self) }
    }

    /// Registers it over a connection, unless it is.
    pub(super) fn register(&self, connection: &Arc<Connection>) -> Result<(), CallError> {
        // Of a parent process, it is not here.
        let Some(memory) = self.memory.as_ref().filter(|memory| memory.is_home()) else { return Ok(()) };
        let mut state = self.state();
        if let State::Registered(there, _) = &*state
            && there.ptr_eq(&Arc::downgrade(connection))
        {
            return Ok(());
        }
        // What is overwritten here stays true as long as that daemon is there.
        if let State::Told(there) | State::Registered(there, _) = &*state {
            self.doubtful().push(there.clone());
        }
        let (address, len) = (memory.start().expose_provenance().get() as u64, memory.len() as u64);
        let answer = connection.ask(&Request::Window { address, len }, &[memory.as_fd()], PROMPT, |reply, _| {
            if let Reply::Window { id } = reply { Ok(id) } else { Err(reply) }
        });
        match answer {
            Ok(id) => {
                *state = State::Registered(Arc::downgrade(connection), id);
                Ok(())
            }
            Err(error) => {
                *state = match error {
                    CallError::HungUp | CallError::Refused { .. } => State::Unknown,
                    _ => State::Told(Arc::downgrade(connection)),
                };
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubtful(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the daemon that it is no more; says whether it knows, or has nothing of this process any more.
    fn unregister(&self) -> bool {
        let doubtful = std::mem::take(&mut *self.doubtful());
        if doubtful.iter().filter_map(Weak::upgrade).any(|connection| !connection.has_hung_up()) {
            tracing::error!("uaccel-devd may still take these addresses for a window; they are not used again");
            return false;
        }
        let state = std::mem::replace(&mut *self.state(), State::Unknown);
        let (connection, id) = match state {
            State::Unknown => return true,
            State::Told(connection) => (connection, None),
            State::Registered(connection, id) => (connection, Some(id)),
        };
        // A connection that is gone was closed by us, or by the daemon.
        let Some(connection) = connection.upgrade().filter(|connection| !connection.has_hung_up()) else { return true };
        match id.map(|id| connection.tell(&Request::Unwindow { id }, PROMPT)) {
            Some(Ok(()) | Err(CallError::HungUp)) => true,
            answer => {
                tracing::error!(
                    ?answer,
                    "uaccel-devd may still take these addresses for a window; they are not used again"
                );
                false
            }
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let is_home = self.memory.as_ref().is_some_and(SealedMemory::is_home);
        // If something else came to lie there, jobs on it would go to the window instead.
        if is_home && !self.unregister() {
            std::mem::forget(self.memory.take());
        }
    }
}
