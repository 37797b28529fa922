//! The Warp engine inside an unmodified QEMU.

mod cache;
mod context;
mod counters;
mod device;
mod emulator;
mod ffi;
mod groups;
mod host;
mod options;
mod overlay;
mod plugin;
mod port;
mod queue;
mod stock;
mod trace;
mod translations;
mod workers;

pub use counters::{Counter, Counters};
pub use emulator::{Emulator, PAGE, Place, Refusal, Translation};
pub use host::Host;
pub use options::{Options, OptionsError};
pub use plugin::{qemu_plugin_install, qemu_plugin_version};
pub use trace::Trace;
