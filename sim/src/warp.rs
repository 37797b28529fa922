//! The model of the project's own engine. Layouts are those of `uaccel-warp-abi`.

mod completions;
mod config;
mod decode;
mod model;
mod ring;
mod sessions;
mod submissions;

pub use completions::Completions;
pub use config::{WarpConfig, WarpConfigError};
pub use model::Warp;
pub use submissions::Submissions;
