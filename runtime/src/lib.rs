//! Finds accelerators, leases their queues, owns what is in flight, waits and recovers.
//!
//! ```
//! # fn main() -> Result<(), uaccel_runtime::Error> {
//! use uaccel_runtime::{Runtime, Work};
//!
//! let runtime = Runtime::new()?;
//! let source = vec![42u8; 100_000];
//! let mut destination = vec![0u8; 100_000];
//! runtime.run(Work::copy(&source, &mut destination))?;
//! assert_eq!(source, destination);
//! # Ok(())
//! # }
//! ```
//!
//! # Who owns memory in flight
//!
//! With shared virtual addressing a device works on plain pointers, but it is a thread that ignores the borrow checker. So:
//!
//! - Calls that *borrow* ([`Runtime::run`], [`Lease::scope`]) do not return or unwind before the device has finished with the memory. After
//!   the deadline the job is cancelled, then the queue is stopped and reset. If the device does not even stop, the call stays
//!   ([`OnLost`]).
//! - Jobs that *own* their buffers ([`Runtime::submit`]) are futures. Dropping or forgetting one keeps the buffers where they are until the device has finished. If
//!   it never does, they are leaked, counted, and the result is [`Error::Lost`].
//! - A [`Stream`] borrows what each call is given, and owns what is kept between two calls.
//! - After `fork` the child cannot use the parent's queues: every call says [`Error::Forked`].

mod absent;
mod alarm;
mod attempts;
mod books;
mod bounce;
mod buffers;
mod builder;
mod choice;
mod counters;
pub mod devd;
mod device;
mod error;
mod extent;
mod gathered;
mod immediate;
mod job_future;
mod lease;
mod owned;
mod owned_slot;
mod owned_work;
mod pair;
mod parked;
mod patience;
mod pieces;
mod pins;
mod policy;
mod probe;
mod queue_core;
mod reach;
mod reactor;
mod recover;
mod runtime;
mod scope;
mod session;
mod shared_buffer;
#[cfg(feature = "sim")]
mod simulator;
mod slot_line;
mod stream;
mod stream_state;
mod sys;
pub mod uacce;
pub mod vfio;
mod work;

pub use buffers::{ReadBuf, Room, TextBuf, WriteBuf};
pub use builder::Builder;
pub use choice::{DEVICE_VARIABLE, Entry, Report, Verdict};
pub use counters::Counters;
pub use error::Error;
pub use job_future::{Finished, JobFuture};
pub use lease::Lease;
pub use owned::Submitted;
pub use owned_work::{OwnedWork, Rejected};
pub use pieces::Pieces;
pub use policy::{Fallback, OnLost};
pub use reach::Reaching;
pub use runtime::Runtime;
pub use scope::{Answer, Refused, Scope, Ticket};
pub use session::Session;
pub use shared_buffer::SharedBuffer;
#[cfg(feature = "sim")]
pub use simulator::{HISI_ZIP_SIMULATOR, SIMULATOR, SimulatorBus};
pub use stream::{Step, Stream};
pub use work::{RawWork, Work};

pub use uaccel_queue::{
    AddressMode, Algorithm, AlgorithmSet, Bus, Capabilities, DeviceInfo, Direction, Driver, Family, Fault,
    FaultHandling, FaultKind, Operation, OperationSet, Order, Outcome, SessionSpec, SpecError, Status, TextLengths,
    Unusable,
};
