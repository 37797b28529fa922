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
//!
//! For tests of what is a driver's own, its registers and rings, there is a [`ScriptedTransport`].

mod backend;
mod macros;
mod oracle;
mod page;
mod request;
mod rig;
mod scripted;
pub mod suite;
mod text;

pub use backend::Backend;
pub use scripted::ScriptedTransport;
