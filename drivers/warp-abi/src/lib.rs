//! The Warp engine's interface to the byte, written down once for driver, models and kernel module.
//!
//! The specification in words is `drivers/warp-abi/SPECIFICATION.md`; section numbers in these pages refer to it.
//! Everything is little endian. This crate holds layouts only: it touches no memory and knows no operating system.

#![forbid(unsafe_code)]

mod assignment;
mod command;
mod completion;
mod control;
mod descriptor;
mod geometry;
mod header;
pub mod pci;
mod registers;
mod session_entry;

pub use assignment::{Assignment, AssignmentError, Space};
pub use command::{Command, INTERFACE};
pub use completion::{Answer, Completion};
pub use control::{CONTROL_VERSION, control_ident, control_page};
pub use descriptor::{Descriptor, DescriptorError, DescriptorFlags};
pub use geometry::{Geometry, GeometryError, Mode};
pub use header::c_header;
pub use registers::{FailReason, Features, Limits, State, VERSION, ident, user_page};
pub use session_entry::{SessionEntry, SessionEntryError};
