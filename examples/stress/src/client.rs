//! A client process, whatever its life.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::worker::Orders;

/// A client process, whatever its life.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) orders: Orders,
    pub(crate) child: Option<Child>,
    /// The open disturbance while it is stopped.
    pub(crate) stopped: Option<usize>,
}

impl Client {
    pub(crate) fn pid(&self) -> Option<i32> {
        self.child.as_ref().map(|child| child.id().cast_signed())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // A child that was not waited for keeps its number.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
