//! Shows accelerators: which there are and why one is usable or not, what a device grants, what keeps a process
//! from them, and who uses them at the moment.
//!
//! The program `uaccel` is a thin layer over this library: [`Cli`] is its command line, [`execute`] runs it. `accel-bench` uses the same
//! list of devices, the same numbers for people and the same exit codes.
#![forbid(unsafe_code)]

pub mod capabilities;
mod cli;
pub mod daemon;
mod doctor;
pub mod exit;
pub mod figures;
pub mod holders;
pub mod info;
mod interrupt;
pub mod inventory;
pub mod listing;
pub mod rates;
pub mod reason;
mod screen;
pub mod style;
pub mod top;
pub mod view;

pub use cli::{Cli, Command, DoctorArguments, InfoArguments, ListArguments, TopArguments, execute};
pub use interrupt::Interrupt;
