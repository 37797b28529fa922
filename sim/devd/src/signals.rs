//! Signals that the server is sent.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that the server is sent, as a file to read: no handler runs, and no thread is interrupted.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// To end; with this number.
    End(u8),
    /// To read the plan again.
    Reload,
}

impl Signals {
    /// Blocks the signals, in this thread and those it starts from now on, so that they are read here.
    pub(crate) fn catch() -> nix::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)?))
    }

    /// Waits for the next one.
    pub(crate) fn wait(&self) -> nix::Result<Demand> {
        loop {
            match self.0.read_signal() {
                Ok(Some(signal)) if signal.ssi_signo == Signal::SIGHUP as u32 => return Ok(Demand::Reload),
                Ok(Some(signal)) => return Ok(Demand::End(u8::try_from(signal.ssi_signo).unwrap_or(0))),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}
