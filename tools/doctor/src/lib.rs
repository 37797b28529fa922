//! Looks at a Linux machine and says what keeps a process from using accelerators: line by line, each with the reason, and with the
//! command that mends it.
//!
//! It reads `/sys`, `/proc`, `/dev` and a few files of `/etc`, `/boot` and `/lib`; it needs no rights and changes nothing. Everything it reads
//! goes through a [`Tree`]: the machine's own files ([`Disk`]), or a [`Recording`] of them, which is also what its tests examine.
//!
//! The command `uaccel doctor` is a thin layer over this library.
//!
//! ```
//! use uaccel_doctor::{Disk, Manner, Report, Status};
//!
//! let report = Report::of(&Disk::at("/"), &Manner::default());
//! for finding in report.findings.iter().filter(|finding| finding.status == Status::Fail) {
//!     println!("{}: {}", finding.check, finding.why);
//!     finding.commands.iter().for_each(|command| println!("  $ {command}"));
//! }
//! ```
#![forbid(unsafe_code)]

mod access_rule;
mod capability;
mod checks;
mod command_line;
mod daemon_socket;
mod disk;
mod finding;
mod function;
mod host;
mod iommu_unit;
mod kernel;
mod kind;
mod machine;
mod node;
mod person;
mod recording;
mod report;
mod road;
mod tree;

pub use access_rule::AccessRule;
pub use daemon_socket::{DaemonSocket, SocketOwner, SocketState};
pub use disk::Disk;
pub use finding::{Finding, Status};
pub use function::is_address;
pub use kind::{Family, Kind};
pub use machine::Manner;
pub use node::{Access, Node};
pub use recording::{Recorder, Recording, RecordingError, VERSION as RECORDING_VERSION};
pub use report::{Report, SCHEMA_VERSION};
pub use road::Road;
pub use tree::{Gap, Keep, Tree, all as keep_all};
