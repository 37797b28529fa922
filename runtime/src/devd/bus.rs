//! The devices of a daemon.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use uaccel_devd_protocol::{Priority, default_socket};
use uaccel_queue::{Bus, DeviceInfo, SharedMemory, Transport, TransportError};

use super::connection::{self, Connection};
use super::line::Line;
use super::refusal::{CallError, ConnectError, OPENING};
use super::transport::DevdTransport;
use super::window::Window;
use crate::sys::fork_mark::ForkMark;

/// The name of the bus, and, as a device's name, of the daemon's first device. The others are called this, a colon, and their own name.
pub const DEVD: &str = "devd";

/// The devices of a `uaccel-devd`. See the [module's page](super).
#[derive(Debug)]
pub struct DevdBus {
    socket: PathBuf,
    priority: Priority,
    /// Locked for moments only, never while the daemon is waited for.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    connection: Option<Arc<Connection>>,
    windows: Vec<Weak<Window>>,
}

impl DevdBus {
    /// The devices of the daemon whose socket [`SOCKET_VARIABLE`](super::SOCKET_VARIABLE) names; without it `$XDG_RUNTIME_DIR/uaccel/devd.sock`, else
    /// `/run/uaccel/devd.sock`.
    #[must_use]
    pub fn new() -> Self {
        Self::at(default_socket())
    }

    /// The devices of the daemon with this socket.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), priority: Priority::default(), held: Mutex::default() }
    }

    /// The same, and its jobs come before or after those of others.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection there is, or a new one if it is of no more use, or another process's.
    fn connection(&self) -> Result<Arc<Connection>, ConnectError> {
        let there = || self.held().connection.clone().filter(|connection| connection.is_usable());
        if let Some(connection) = there() {
            return Ok(connection);
        }
        let fresh = Arc::new(Connection::make(&self.socket, self.priority)?);
        let windows: Vec<_> = {
            let mut held = self.held();
            match &held.connection {
                // Another thread was faster.
                Some(connection) if connection.is_usable() => return Ok(connection.clone()),
                _ => held.connection = Some(fresh.clone()),
            }
            held.windows.retain(|window| window.strong_count() != 0);
            held.windows.iter().filter_map(Weak::upgrade).collect()
        };
        for window in windows {
            if let Err(error) = window.register(&fresh) {
                tracing::warn!(%error, "a window is not registered again; jobs reach it as any memory");
                if !matches!(error, CallError::Refused { .. }) {
                    // Who does not answer one does not answer the next.
                    break;
                }
            }
        }
        Ok(fresh)
    }

    fn open_over(&self, connection: &Arc<Connection>, device: &str) -> Result<DevdTransport, CallError> {
        connection.return_strays();
        let name = device.strip_prefix(DEVD).and_then(|name| name.strip_prefix(':'));
        let index = match name {
            Some(name) => connection.index_of(name)?,
            None => Some(0).filter(|_| device == DEVD),
        };
        let index = index.ok_or_else(|| CallError::Refused {
            refusal: uaccel_devd_protocol::Refusal::NoSuchDevice,
            text: device.to_owned(),
        })?;
        DevdTransport::open(device, connection.clone(), index)
    }
}

impl Default for DevdBus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus for DevdBus {
    fn name(&self) -> &str {
        DEVD
    }

    /// The daemon's devices, or one that cannot be used and says why no daemon answers.
    fn devices(&self) -> Vec<DeviceInfo> {
        let model = |name: String, interface: &str| {
            let mut info = DeviceInfo::new(name, interface);
            info.simulated = true;
            info
        };
        let told = Line::connect(&self.socket).and_then(|line| {
            connection::devices(&line).map_err(|source| ConnectError::Call { path: self.socket.clone(), source })
        });
        match told {
            Ok(told) => told.into_iter().map(|told| model(format!("{DEVD}:{}", told.name), &told.interface)).collect(),
            Err(error) => {
                let mut info = model(DEVD.to_owned(), "unknown");
                info.unusable = Some(error.unusable());
                vec![info]
            }
        }
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let mut tried = false;
        loop {
            let connection = self.connection()?;
            match self.open_over(&connection, device) {
                Ok(transport) => return Ok(Arc::new(transport)),
                // It died since the last time, and may be back.
                Err(CallError::HungUp) if !tried => tried = true,
                Err(CallError::Refused { refusal: uaccel_devd_protocol::Refusal::NoSuchDevice, .. }) => {
                    return Err(TransportError::NoSuchDevice { bus: DEVD.to_owned(), device: device.to_owned() });
                }
                Err(error) => return Err(error.on(device, OPENING)),
            }
        }
    }

    fn shared_memory(&self, len: usize) -> Result<SharedMemory, TransportError> {
        let connection = self.connection()?;
        // Of this process, whichever the connection is from one day.
        let fork =
            ForkMark::new().map_err(|source| TransportError::System { call: "mmap of the fork mark", source })?;
        let window =
            Window::new(len, fork).map_err(|source| TransportError::System { call: "memfd_create", source })?;
        let window = Arc::new(window);
        window.register(&connection).map_err(|error| error.on(DEVD, "registering a window"))?;
        {
            let mut held = self.held();
            held.windows.retain(|window| window.strong_count() != 0);
            held.windows.push(Arc::downgrade(&window));
        }
        // Whoever made a new connection meanwhile did not know of it.
        if let Ok(connection) = self.connection()
            && let Err(error) = window.register(&connection)
        {
            tracing::warn!(%error, "a window is not registered again; jobs reach it as any memory");
        }
        Ok(window.share(len))
    }
}
