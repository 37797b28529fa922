//! The Warp driver against a device that the test plays itself, to the byte.

mod completions;
mod descriptors;
mod fake;
mod mailbox;
mod model;
mod opening;
mod sessions;
mod waking;
