//! Measures accelerators beside the CPU, verifies every result with other libraries, and holds the framework against what the machine can
//! do at best.
//!
//! The program `accel-bench` is a thin layer over this library: [`Cli`] is its command line, [`execute`] runs it. The parts can be
//! used alone: a [`Case`](case::Case) is a workload at one size with inputs and expected results, [`measure`](measure::measure()) runs it on a
//! [`Device`](device::Device), a [`Report`](report::Report) is what comes out.
//!
//! ```
//! use accel_bench::case::Case;
//! use accel_bench::corpus::Corpus;
//! use accel_bench::device::{Device, DeviceOptions};
//! use accel_bench::measure::{Method, measure};
//! use accel_bench::workload::Workload;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::open("software", &DeviceOptions::default())?;
//! let case = Case::new(Workload::Copy, "4k".parse()?, None, &Corpus::generated(1), 1)?;
//! let found = measure(&device, &case, &Method { jobs: Some(100), ..Method::default() })?;
//! assert!(found.is_good() && found.checked >= 100);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod break_even;
pub mod case;
mod cli;
pub mod corpus;
pub mod cpu_time;
mod demo;
pub mod device;
pub mod environment;
pub mod exit;
pub mod measure;
pub mod measurement;
pub mod oracle;
mod own_daemon;
pub mod processes;
mod progress;
pub mod promises;
pub mod published;
pub mod random;
pub mod raw;
pub mod report;
mod run;
pub mod size;
pub mod table;
pub mod verify;
pub mod workload;

pub use cli::{Cli, Command, PublishedArguments, RawArguments, RunArguments, execute};
pub use progress::Progress;
pub use run::run;
pub use uaccel_cli::Interrupt;
