//! Where devices come from, and who drives them.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::{
    AddressMode, AlgorithmSet, Capabilities, Cells, Completer, OpenError, SharedMemory, Submitter, Transport,
    TransportError,
};

/// What a bus knows of a device before anybody opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// The name users say.
    pub name: String,
    /// The name of its programming interface, with a version; drivers go by it.
    pub interface: String,
    /// Whether it is a model rather than hardware or the CPU. Such devices are only used when named.
    pub simulated: bool,
    /// Why it cannot be used, and what would mend that.
    pub unusable: Option<Unusable>,
    /// The memory node it is near, where known.
    pub numa_node: Option<u32>,
    /// How addresses in its jobs would reach memory, where the bus knows that and the driver cannot.
    pub address_mode: Option<AddressMode>,
    /// The algorithms it has by the kernel's account, each under the kernel's name; none where the bus has no such account.
    pub algorithms: Vec<String>,
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong.
    pub reason: String,
    /// What to do about it, if anything can be done.
    pub cure: Option<String>,
}

impl DeviceInfo {
    /// A usable piece of hardware.
    #[must_use]
    pub fn new(name: impl Into<String>, interface: impl Into<String>) -> Self {
        let (name, interface) = (name.into(), interface.into());
        Self {
            name,
            interface,
            simulated: false,
            unusable: None,
            numa_node: None,
            address_mode: None,
            algorithms: Vec::new(),
        }
    }
}

/// A place where devices are found and opened.
pub trait Bus: Send + Sync + fmt::Debug {
    /// Its name, for reports.
    fn name(&self) -> &str;

    /// The devices there are now, the unusable ones included.
    fn devices(&self) -> Vec<DeviceInfo>;

    /// Opens one queue of a device.
    ///
    /// # Errors
    /// [`TransportError::NoSuchDevice`], [`TransportError::Busy`], or what the system says.
    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError>;

    /// Zeroed memory of at least `len` bytes that the devices of this bus find in place: where memory that was not made for it costs them more.
    ///
    /// # Errors
    /// [`TransportError::Refused`] where there is no such memory, which is the default; or what the system says.
    fn shared_memory(&self, len: usize) -> Result<SharedMemory, TransportError> {
        Err(TransportError::Refused(format!("bus {} has no shared memory of {len} bytes", self.name())))
    }

    /// Makes `len` bytes at `start` known to the devices of this bus, so that jobs on them cost less than on other memory, until what is returned is dropped.
    ///
    /// # Safety
    /// They are initialised, and the caller's alone; they can be written, and stay where they are, until what is returned was dropped. Only devices in jobs on them, and
    /// the owner of what is returned, access them meanwhile.
    ///
    /// # Errors
    /// [`TransportError::Refused`] where there is no such thing, which is the default, or where it cannot be.
    unsafe fn register(&self, start: NonNull<u8>, len: usize) -> Result<SharedMemory, TransportError> {
        let _ = start;
        Err(TransportError::Refused(format!("bus {} registers no memory, {len} bytes or other", self.name())))
    }
}

/// The two halves of an open queue, and what it was granted.
pub struct OpenQueue {
    /// What holds for this queue.
    pub granted: Capabilities,
    /// The half that takes jobs.
    pub submitter: Box<dyn Submitter>,
    /// The half that answers.
    pub completer: Box<dyn Completer>,
}

impl fmt::Debug for OpenQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenQueue").field("granted", &self.granted).finish_non_exhaustive()
    }
}

/// What is asked of a queue when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueRequest {
    /// How many jobs are wanted in flight; also the size of the table.
    pub depth: usize,
    /// The algorithms that the device was advertised with, where whoever asks has looked: for a driver that hears of them from the bus alone, and not from the open device.
    pub algorithms: Option<AlgorithmSet>,
}

impl QueueRequest {
    /// A queue for `depth` jobs in flight.
    #[must_use]
    pub const fn new(depth: usize) -> Self {
        Self { depth, algorithms: None }
    }

    /// The same of a device that was advertised with these algorithms.
    #[must_use]
    pub const fn with_algorithms(self, algorithms: AlgorithmSet) -> Self {
        Self { algorithms: Some(algorithms), ..self }
    }
}

/// Knows one programming interface.
pub trait Driver: Send + Sync + fmt::Debug {
    /// Its name, for reports.
    fn name(&self) -> &str;

    /// Whether it knows the device's interface.
    fn drives(&self, device: &DeviceInfo) -> bool;

    /// What the device should be able to do, judged without opening it.
    fn advertised(&self, device: &DeviceInfo) -> Capabilities;

    /// Opens a queue over a transport that is fresh or was reset. `cells` is the queue's table, of `request.depth` slots.
    ///
    /// # Errors
    /// See [`OpenError`].
    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError>;
}
