//! `edu`, the device that QEMU has for teaching: it copies between memory and a buffer of its own, a page at most, and interrupts.
//!
//! It is somebody else's device, for which Linux has no driver: whoever holds it through VFIO has all of it. A copy is done in pieces, each in two transfers, into the buffer and
//! out of it; a transfer takes the device a tenth of a second. It shows a whole driver in little room, and is of no other use.
//!
//! Source of the registers: `docs/specs/edu.rst` of QEMU, and of what the document leaves open `hw/misc/edu.c`.

mod completer;
mod control;
mod driver;
mod engine;
mod registers;
mod submitter;

pub use control::EduFunction;
pub use driver::EduDriver;

/// The name of its interface.
pub const INTERFACE: &str = "edu_v1";

/// The most bytes of one job, which take the device nearly seven seconds.
const LONGEST: usize = 128 << 10;
