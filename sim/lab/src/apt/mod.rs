//! Debian's packages through the machine's own apt, with lists, cache and status of the lab's own.

mod archive;
mod sources;
mod version;

pub(crate) use archive::{Archive, Wanted, keyring};
pub(crate) use sources::machine_mirrors;
pub(crate) use version::Version;
