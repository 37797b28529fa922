//! `edu`, the device that QEMU has for teaching: it copies between memory and a buffer of its own, a page at most, and interrupts.
//!
//! It is somebody else's device, for which Linux has no driver: whoever holds it through VFIO has all of it. A copy is done in pieces, each in two transfers, into the buffer and
//! out of it; a transfer takes the device a tenth of a second. It shows a whole driver in little room, and is of no other use.
//!
//! Source of the registers: `docs/specs/edu.rst` of QEMU, and of what the document leaves open `hw/misc/edu.c`.

mod completer;
mod driver;
mod engine;
mod registers;
mod submitter;

pub use driver::EduDriver;

/// The name of its interface.
pub const INTERFACE: &str = "edu_v1";

/// The most bytes of one job. A second of the device's time is ten transfers; a megabyte takes it nearly a minute.
const LONGEST: usize = 1 << 20;
