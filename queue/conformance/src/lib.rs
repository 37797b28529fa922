//! The suite that defines a driver.
//!
//! It tests a back end, which is a driver with a bus to a device of its kind, through
//! [`Submitter`](uaccel_queue::Submitter), [`Completer`](uaccel_queue::Completer) and
//! [`Transport`](uaccel_queue::Transport) alone. Results are compared with published vectors and with what other
//! libraries or plain loops compute. What a back end was not granted is skipped: an operation, an algorithm, waking,
//! fault reports. A device whose capabilities say that jobs have no effect is held to the protocol only.
//!
//! One line makes a test of each point:
//!
//! ```ignore
//! uaccel_conformance::conformance!(software, Software);
//! ```
//!
//! where `Software` implements [`Backend`]. The suite panics where a test would: it is meant for test targets.

mod backend;
mod macros;
mod oracle;
mod page;
mod request;
mod rig;
pub mod suite;
mod text;

pub use backend::Backend;
