//! The contract between accelerator drivers and the runtime.
//!
//! A driver implements [`Driver`] and the two halves of a queue, [`Submitter`] and [`Completer`]. It is handed a [`Transport`], which
//! is its only way to the system, and the queue's table of jobs, [`Cells`]. Start with the [`queue`] module: it is the contract in words.
//!
//! This crate knows no operating system beyond file descriptors and no device. Applications do not use it; they use `uaccel`.

mod algorithm;
mod bounds;
mod by_operation;
mod capability;
mod cells;
mod device_memory;
mod driver;
mod error;
mod job;
mod operation;
mod outcome;
pub mod prefetch;
pub mod queue;
mod region;
mod ring_memory;
mod session;
mod shared_memory;
pub mod stream;
pub mod sync;
mod token;
mod transport;

pub use algorithm::{Algorithm, Family, Levels, TextLengths, UnknownAlgorithm};
pub use by_operation::ByOperation;
pub use capability::{AddressMode, AlgorithmSet, Capabilities, FaultHandling, OperationSet, Order};
pub use cells::{Batch, Cells, Done, InFlight};
pub use device_memory::{DeviceMemory, Uncovered};
pub use driver::{Bus, DeviceInfo, Driver, OpenQueue, QueueRequest, Unusable};
pub use error::{CopyError, DeviceError, OpenError, SessionError, TransportError};
pub use job::{Job, JobFlags, Segment, SessionId};
pub use operation::Operation;
pub use outcome::{Fault, FaultKind, Outcome, Status};
pub use queue::{Cancel, Completer, Submitter};
pub use region::{Region, RegionKind};
pub use ring_memory::RingMemory;
pub use session::{Direction, SessionSpec, SpecError};
pub use shared_memory::SharedMemory;
pub use token::{MAX_DEPTH, Token};
pub use transport::{Quiet, Transport, Wake};
