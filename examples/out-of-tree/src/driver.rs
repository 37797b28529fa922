//! Finds out whether a device is one of ours, and opens its queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use uaccel_queue::{
    Capabilities, Cells, DeviceInfo, Driver, FaultHandling, OpenError, OpenQueue, Order, QueueRequest, RegionKind,
    RingMemory, Token, Transport, TransportError,
};

use crate::completer::TallyCompleter;
use crate::layout::{self, Entry, State, register};
use crate::submitter::TallySubmitter;

/// The driver of Tally engines.
#[derive(Clone, Copy, Debug, Default)]
pub struct TallyDriver;

/// How long a device may take to start a queue.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(1);

/// What both halves of a queue use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: RingMemory,
    /// The tokens of the entries in the ring. The device knows nothing of tokens; and this memory it cannot write.
    tokens: [AtomicU32; layout::ENTRIES],
    /// Entries submitted.
    submitted: AtomicU64,
    /// Answers taken: so many entries may be overwritten.
    taken: AtomicU64,
}

impl Shared {
    fn new(memory: RingMemory) -> Self {
        let tokens = [const { AtomicU32::new(0) }; layout::ENTRIES];
        Self { memory, tokens, submitted: AtomicU64::new(0), taken: AtomicU64::new(0) }
    }

    /// Notes whose entry number `index` is, before the device sees it. For the submitter.
    pub(crate) fn note(&self, index: u64, token: Token) {
        // Relaxed: ordered by the next line.
        self.token_at(index).store(token.raw(), Ordering::Relaxed);
        // Release: pairs with the acquire in `submitted`.
        self.submitted.store(index + 1, Ordering::Release);
    }

    /// Entries submitted. For the completer, which sees every one whose answer it has seen: `note` came before the entry, that before
    /// the answer.
    pub(crate) fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Acquire)
    }

    /// Whose entry number `index` is, for one below [`Shared::submitted`] that was not taken.
    pub(crate) fn token(&self, index: u64) -> Token {
        // Relaxed: ordered by the acquire in `submitted`.
        Token::from_raw(self.token_at(index).load(Ordering::Relaxed))
    }

    /// Gives up entry number `index`, whose answer was read. For the completer.
    pub(crate) fn take(&self, index: u64) {
        // Release: pairs with the acquire in `taken`, so that an entry is read before it is overwritten.
        self.taken.store(index + 1, Ordering::Release);
    }

    /// Answers taken. For the submitter.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    fn token_at(&self, index: u64) -> &AtomicU32 {
        &self.tokens[(index % layout::ENTRIES as u64) as usize]
    }
}

/// Waits until the device takes entries. A driver makes no system call: it sleeps on the transport.
fn await_start(transport: &dyn Transport, memory: &RingMemory) -> Result<(), OpenError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match State::decode(memory.observe(layout::STATE)) {
            State::Running => return Ok(()),
            State::Failed(_) => return Err(OpenError::NotReady),
            State::Off | State::Stopped => {}
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(OpenError::NotReady);
        }
        transport.sleep(Some(deadline.min(now + LOOK)))?;
    }
}

/// What an engine can do. What holds for one queue is known when that is open.
fn capabilities(depth: usize, max_transfer: u64) -> Capabilities {
    let mut capabilities = Capabilities::new(depth, max_transfer);
    capabilities.operations = Entry::OPERATIONS.into_iter().collect();
    capabilities.order = Order::Submission;
    // A page that is not there is brought in, one that cannot be had is reported.
    capabilities.faults = FaultHandling::Resolved;
    capabilities
}

impl Driver for TallyDriver {
    fn name(&self) -> &str {
        "tally"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == layout::INTERFACE
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        let mut advertised = capabilities(layout::ENTRIES, u64::from(u32::MAX));
        advertised.wakes = true;
        advertised.numa_node = device.numa_node;
        advertised
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        let limit = layout::ENTRIES.min(cells.depth());
        if request.depth == 0 || request.depth > limit {
            return Err(OpenError::Depth { depth: request.depth, limit });
        }
        let registers = transport.region(RegionKind::User).ok_or(OpenError::MissingRegion("user"))?.clone();
        let identity = registers.read(register::IDENT);
        if identity != layout::IDENTITY {
            return Err(TransportError::Refused(format!("{identity:#x} is no Tally engine")).into());
        }
        // A job's length has 32 bits, whatever the register says.
        let max_transfer = u32::try_from(registers.read(register::MAX_TRANSFER)).unwrap_or(u32::MAX);

        let memory = transport.ring_memory(layout::SIZE)?;
        registers.write(register::BASE, memory.device_address(0));
        transport.ring_doorbell(register::START, 1);
        if let Err(error) = await_start(&*transport, &memory) {
            transport.ring_doorbell(register::START, 0);
            return Err(error);
        }

        let mut granted = capabilities(request.depth, u64::from(max_transfer));
        granted.address_mode = transport.address_mode();
        granted.wakes = transport.wake_fd().is_some();
        let shared = Arc::new(Shared::new(memory));
        Ok(OpenQueue {
            granted,
            submitter: Box::new(TallySubmitter::new(transport, Arc::clone(&shared), max_transfer)),
            completer: Box::new(TallyCompleter::new(shared, registers)),
        })
    }
}
