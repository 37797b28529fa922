//! The lab's own side inside the guest: this program is also the guest's first process.

mod errand;
mod frame;
mod init;

pub(crate) use errand::{ERRAND, Errand, WORK};
pub(crate) use frame::Frame;
pub(crate) use init::{INIT, run};
