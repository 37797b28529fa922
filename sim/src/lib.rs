//! Simulated accelerators: device models, and what runs them.
//!
//! A [`DeviceModel`] is the part that makes a device what it is: registers, rings, descriptors. It reaches memory through a [`MemoryPort`]
//! only, and leaves the work to the [`stages`], so that the same model runs on threads of this process ([`threads`]), in a server process or inside a
//! machine emulator. [`warp`] is the model of the project's own engine, [`hisi::zip`] that of HiSilicon's ZIP; [`Simulator`] puts them on threads in one call.
//!
//! ```
//! use uaccel_queue::{Bus, Quiet};
//! use uaccel_sim::{Plan, Simulator, ThreadHostConfig, WarpConfig};
//!
//! let device = Simulator::warp(WarpConfig::default(), ThreadHostConfig::default(), Plan::default())?;
//! let name = device.devices()[0].name.clone();
//! let transport = device.open(&name)?;
//! assert_eq!(transport.stop(std::time::Duration::from_secs(1))?, Quiet::Proven);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod budget;
pub mod hisi;
mod model;
mod page;
mod pieces;
pub mod plan;
pub mod pool;
pub mod port;
mod profile;
mod simulator;
pub mod stages;
mod stats;
pub mod threads;
pub mod warp;
mod window;
mod work;

pub use budget::Budget;
pub use hisi::zip::{HisiZip, HisiZipConfig, HisiZipConfigError};
pub use model::{Control, DeviceModel, Doorbell, Fetch, Flush, Nop, Opening, Taken};
pub use page::UserPage;
pub use pieces::{Aftermath, Extra, PieceList};
pub use plan::{Mishap, Plan, PlanHandle, Rule, When};
pub use port::{Access, AddressSpace, MemoryPort, PageRequest, ReadPart, WritePart};
pub use profile::{Point, Profile, ProfileError, Timing};
pub use simulator::{Simulator, SimulatorError};
pub use stats::{QueueStats, Stats};
pub use threads::{ThreadHost, ThreadHostConfig, ThreadHostError};
/// What a worker keeps between jobs, for a [`Compute`] that works with units.
pub use uaccel_units::Scratch;
pub use warp::{Warp, WarpConfig, WarpConfigError};
pub use window::{SourceWindow, TargetWindow};
pub use work::{Blemish, Compute, Span, Task, Work, WorkItem};
