//! Every system call of the host side.

pub(crate) mod cpus;
pub(crate) mod fork_mark;
pub(crate) mod signal;
