//! Opens queues of Warp engines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{
    Algorithm, AlgorithmSet, Capabilities, Cells, DeviceInfo, Direction, Driver, FaultHandling, MAX_DEPTH, OpenError,
    OpenQueue, Operation, OperationSet, Order, QueueRequest, Region, RegionKind, RingMemory, SessionId, Transport,
    TransportError,
};
use uaccel_warp_abi::{Features, Geometry, INTERFACE, Limits, Mode, State, VERSION, ident, user_page};

use super::commands::Commands;
use super::completer::WarpCompleter;
use super::lines::Lines;
use super::sessions;
use super::submitter::WarpSubmitter;

/// The driver of Warp engines.
#[derive(Clone, Copy, Debug, Default)]
pub struct WarpDriver;

/// What both halves of a queue use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) memory: RingMemory,
    pub(super) geometry: Geometry,
    pub(super) commands: Commands,
    pub(super) lines: Lines,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Entries of sessions whose opening was never answered still hold a key.
        for id in 0..self.geometry.sessions() {
            sessions::wipe(&self.memory, self.geometry, SessionId(id));
        }
    }
}

/// What the registers of a queue say before it is started.
#[derive(Clone, Copy, Debug)]
struct Offer {
    features: Features,
    limits: Limits,
    operations: OperationSet,
    algorithms: AlgorithmSet,
}

impl WarpDriver {
    /// The deepest queue that answers in the job's own line, where the device can. Deeper queues gain more from
    /// completions that come in groups.
    pub const MAILBOX_DEPTH: usize = 8;

    /// How long a device may take to start a queue.
    const START: Duration = Duration::from_secs(1);

    /// How often it is looked at meanwhile.
    const LOOK: Duration = Duration::from_millis(1);

    /// The most sessions asked for: entries are ring memory, and this is a quarter of a megabyte.
    const SESSIONS: u16 = 1024;

    /// Operations that may write where they read, as far as the device has them.
    const IN_PLACE: [Operation; 2] = [Operation::Encrypt, Operation::Decrypt];

    fn read_offer(registers: &Region) -> Result<Offer, OpenError> {
        let id = registers.read(user_page::IDENT);
        #[allow(clippy::cast_possible_truncation, reason = "the high half is the version")]
        let version = (id >> 32) as u32;
        if id != ident(version) {
            return Err(TransportError::Refused(format!("identification {id:#x} is not that of a Warp engine")).into());
        }
        if version != VERSION {
            return Err(OpenError::Version { found: version, known: VERSION });
        }
        // Features, operations and algorithms this version does not know are left alone: the device waits to be asked
        // for them.
        let operations = registers.read(user_page::OPERATIONS);
        let set = |offset| u128::from(registers.read(offset)) | u128::from(registers.read(offset + 8)) << 64;
        let (forward, inverse) = (set(user_page::FORWARD), set(user_page::INVERSE));
        let of = |set: u128, direction| {
            Algorithm::ALL.into_iter().filter(move |a| set >> (*a as u16) & 1 != 0).map(move |a| (a, direction))
        };
        Ok(Offer {
            features: Features::from_bits_truncate(registers.read(user_page::FEATURES)),
            limits: Limits::decode(registers.read(user_page::LIMITS)),
            operations: Operation::ALL.into_iter().filter(|o| operations >> (*o as u8) & 1 != 0).collect(),
            algorithms: of(forward, Direction::Forward).chain(of(inverse, Direction::Inverse)).collect(),
        })
    }

    /// Divides the ring memory for `depth` jobs.
    fn geometry(offer: &Offer, depth: usize) -> Result<Geometry, OpenError> {
        // Only whole powers of two can be used, whatever the register says.
        let most = usize::from(offer.limits.entries).min(1 << Geometry::LOG2_ENTRIES.end());
        let most = most.checked_ilog2().map_or(0, |log2| 1 << log2);
        let limit = usize::saturating_sub(most, Commands::COUNT).min(MAX_DEPTH);
        let refused = OpenError::Depth { depth, limit };
        if depth == 0 || depth > limit {
            return Err(refused);
        }
        // Jobs and commands together, see the module's page.
        let entries = (depth + Commands::COUNT).next_power_of_two();
        let mailbox = offer.features.contains(Features::MAILBOX) && depth <= Self::MAILBOX_DEPTH;
        let mode = if mailbox { Mode::Mailbox } else { Mode::Ring };
        #[allow(clippy::cast_possible_truncation, reason = "the logarithm of a word")]
        let log2 = entries.trailing_zeros() as u8;
        Geometry::new(log2, offer.limits.sessions.min(Self::SESSIONS), mode).map_err(|_| refused)
    }

    fn granted(offer: &Offer, geometry: Geometry, depth: usize, transport: &dyn Transport) -> Capabilities {
        let mut granted = Capabilities::new(depth, u64::from(offer.limits.max_transfer));
        granted.operations = offer.operations;
        granted.algorithms = offer.algorithms;
        // All a job reads is read before it writes (section 3.1 of the specification).
        granted.in_place = Self::IN_PLACE.into_iter().filter(|o| offer.operations.contains(*o)).collect();
        granted.sessions = geometry.sessions();
        granted.order = Order::Any;
        granted.address_mode = transport.address_mode();
        granted.faults = match offer.features.contains(Features::FAULTS_RESOLVED) {
            true => FaultHandling::Resolved,
            false => FaultHandling::Reported,
        };
        granted.chains = offer.features.contains(Features::CHAINS);
        granted.wakes = transport.wake_fd().is_some();
        granted
    }

    /// Waits until the device takes descriptors.
    fn await_ready(transport: &dyn Transport, memory: &RingMemory) -> Result<(), OpenError> {
        let deadline = Instant::now() + Self::START;
        loop {
            match State::decode(memory.observe(Geometry::STATE)) {
                State::Ready => return Ok(()),
                State::Failed(_) => return Err(OpenError::NotReady),
                State::Off | State::Stopped => {}
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(OpenError::NotReady);
            }
            transport.sleep(Some(deadline.min(now + Self::LOOK)))?;
        }
    }
}

impl Driver for WarpDriver {
    fn name(&self) -> &str {
        "warp"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == INTERFACE
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        // Every engine has these; what else it has, its registers say once it is open.
        let mut advertised = Capabilities::new(MAX_DEPTH, u64::from(u32::MAX));
        advertised.operations = Operation::ALL.into_iter().collect();
        let directions = [Direction::Forward, Direction::Inverse];
        advertised.algorithms = Algorithm::ALL.into_iter().flat_map(|a| directions.map(|d| (a, d))).collect();
        advertised.in_place = Self::IN_PLACE.into_iter().collect();
        advertised.sessions = Self::SESSIONS;
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
        let registers = transport.region(RegionKind::User).filter(|region| region.len() >= user_page::SIZE);
        let registers = registers.ok_or(OpenError::MissingRegion("user"))?.clone();
        let offer = Self::read_offer(&registers)?;
        // The table bounds what is in flight, so the rings are sized by it.
        let depth = request.depth.max(cells.depth());
        let geometry = Self::geometry(&offer, depth)?;
        let memory = transport.ring_memory(geometry.size())?;
        if memory.len() < geometry.size() {
            return Err(TransportError::Refused("ring memory is smaller than was asked for".to_owned()).into());
        }
        registers.write(user_page::RING_BASE, memory.device_address(0));
        registers.write(user_page::GEOMETRY, geometry.register());
        transport.ring_doorbell(user_page::ENABLE, 1);
        if let Err(error) = Self::await_ready(&*transport, &memory) {
            transport.ring_doorbell(user_page::ENABLE, 0);
            return Err(error);
        }
        let granted = Self::granted(&offer, geometry, request.depth, &*transport);
        let lines = Lines::new(if geometry.mode() == Mode::Mailbox { geometry.entries() } else { 1 });
        let shared = Arc::new(Shared { memory, geometry, commands: Commands::default(), lines });
        let max_transfer = offer.limits.max_transfer;
        Ok(OpenQueue {
            submitter: Box::new(WarpSubmitter::new(transport, Arc::clone(&shared), granted.clone(), max_transfer)),
            completer: Box::new(WarpCompleter::new(shared, registers)),
            granted,
        })
    }
}
