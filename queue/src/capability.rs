//! What a device offers.

use crate::{Algorithm, Direction, Operation, SessionSpec};

/// How addresses in jobs reach memory. Each queue has one mode, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AddressMode {
    /// The device walks the process's page tables; for the CPU, it *is* the process.
    Shared,
    /// Pages are pinned when the device asks for them.
    OnDemandPinned,
    /// The device uses the process's addresses, for memory that was pinned before.
    IdentityPinned,
    /// The device cannot reach the process's addresses: data is copied through memory it can reach.
    Bounced,
}

/// What happens when a job meets a page that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultHandling {
    /// It is brought in; the job notices nothing but time. A page that cannot be had is reported.
    Resolved,
    /// The job ends with the address, and can be resumed.
    Reported,
    /// As in any function call: the caller vouches for its pointers, and the process dies of a bad one.
    CallerVouches,
}

/// In which order jobs complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// In the order of submission.
    Submission,
    /// In any order.
    Any,
}

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OperationSet(u32);

impl OperationSet {
    /// The set with one more operation.
    #[must_use]
    pub const fn with(self, operation: Operation) -> Self {
        Self(self.0 | 1 << operation as u8)
    }

    /// Whether the set has this operation.
    #[inline]
    #[must_use]
    pub const fn contains(self, operation: Operation) -> bool {
        self.0 & 1 << operation as u8 != 0
    }

    /// The operations in display order.
    pub fn iter(self) -> impl Iterator<Item = Operation> {
        Operation::ALL.into_iter().filter(move |operation| self.contains(*operation))
    }
}

impl FromIterator<Operation> for OperationSet {
    fn from_iter<T: IntoIterator<Item = Operation>>(operations: T) -> Self {
        operations.into_iter().fold(Self::default(), Self::with)
    }
}

/// A set of algorithms, each in one or both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AlgorithmSet {
    forward: u128,
    inverse: u128,
}

impl AlgorithmSet {
    /// The set with one more algorithm in one direction.
    #[must_use]
    pub const fn with(mut self, algorithm: Algorithm, direction: Direction) -> Self {
        match direction {
            Direction::Forward => self.forward |= 1 << algorithm as u16,
            Direction::Inverse => self.inverse |= 1 << algorithm as u16,
        }
        self
    }

    /// Whether the set has this algorithm in this direction.
    #[must_use]
    pub const fn contains(self, algorithm: Algorithm, direction: Direction) -> bool {
        let set = match direction {
            Direction::Forward => self.forward,
            Direction::Inverse => self.inverse,
        };
        set & 1 << algorithm as u16 != 0
    }

    /// The members in display order.
    pub fn iter(self) -> impl Iterator<Item = (Algorithm, Direction)> {
        Algorithm::ALL
            .into_iter()
            .flat_map(|algorithm| [(algorithm, Direction::Forward), (algorithm, Direction::Inverse)])
            .filter(move |(algorithm, direction)| self.contains(*algorithm, *direction))
    }
}

impl FromIterator<(Algorithm, Direction)> for AlgorithmSet {
    fn from_iter<T: IntoIterator<Item = (Algorithm, Direction)>>(members: T) -> Self {
        members.into_iter().fold(Self::default(), |set, (algorithm, direction)| set.with(algorithm, direction))
    }
}

/// What a device offers: *advertised* before opening, when it may be wrong, and *granted* after opening, when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Operations that jobs may name.
    pub operations: OperationSet,
    /// Algorithms that sessions may name.
    pub algorithms: AlgorithmSet,
    /// Algorithms whose sessions may have [streams](crate::stream). Each is one of `algorithms`.
    pub streams: AlgorithmSet,
    /// Bytes of a stream's state.
    pub stream_state: usize,
    /// The smallest window that a compressor can be held to ([`SessionSpec::window`]). Sessions with a smaller one are not for this device.
    pub smallest_window: u32,
    /// Operations that may write where they read, from its first byte on. `Copy` always may, and is not counted here.
    pub in_place: OperationSet,
    /// The most bytes one job may read, and the most it may write.
    pub max_transfer: u64,
    /// The most jobs in flight on one queue.
    pub depth: usize,
    /// The most sessions open on one queue.
    pub sessions: u16,
    /// In which order jobs complete.
    pub order: Order,
    /// How addresses reach memory.
    pub address_mode: AddressMode,
    /// What happens at a page that is not there.
    pub faults: FaultHandling,
    /// Whether jobs may be chained.
    pub chains: bool,
    /// Whether source and destination may be lists.
    pub scatter: bool,
    /// The most segments of a list, where there may be lists.
    pub pieces: usize,
    /// Whether a queue can wake a sleeper; without it waiting is polling.
    pub wakes: bool,
    /// Whether a job can be done within a call ([`Submitter::perform`](crate::Submitter::perform)): the device is this process.
    pub immediate: bool,
    /// Whether jobs take effect at all. Only the null device says no.
    pub effective: bool,
    /// The memory node the device is near, where known.
    pub numa_node: Option<u32>,
}

impl Capabilities {
    /// A device that offers `depth` jobs in flight of up to `max_transfer` bytes, and no operation yet.
    #[must_use]
    pub fn new(depth: usize, max_transfer: u64) -> Self {
        Self {
            operations: OperationSet::default(),
            algorithms: AlgorithmSet::default(),
            streams: AlgorithmSet::default(),
            stream_state: 0,
            smallest_window: Algorithm::LARGEST_WINDOW,
            in_place: OperationSet::default(),
            max_transfer,
            depth,
            sessions: 0,
            order: Order::Any,
            address_mode: AddressMode::Shared,
            faults: FaultHandling::Reported,
            chains: false,
            scatter: false,
            pieces: 0,
            wakes: false,
            immediate: false,
            effective: true,
            numa_node: None,
        }
    }

    /// Whether sessions with these parameters are for this device.
    #[inline]
    #[must_use]
    pub fn offers(&self, spec: &SessionSpec) -> bool {
        self.algorithms.contains(spec.algorithm(), spec.direction())
            && spec.window().is_none_or(|window| window >= self.smallest_window)
    }
}
