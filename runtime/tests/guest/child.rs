//! Child processes that run a piece of a test.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A child process. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child(Option<Pid>);

impl Child {
    /// Runs `task` in a child process, which fails if that panics.
    pub(crate) fn run(task: impl FnOnce()) -> Self {
        // SAFETY: tests run one at a time, so no thread that does not exist in the child holds a lock there.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Parent { child } => Self(Some(child)),
            ForkResult::Child => {
                let result = catch_unwind(AssertUnwindSafe(task));
                if let Err(panic) = &result {
                    let text =
                        panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                    let _ = writeln!(io::stderr(), "child {}: {}", Pid::this(), text.unwrap_or("panicked"));
                }
                // SAFETY: ends the process at once, without running what belongs to the parent.
                unsafe { libc::_exit(i32::from(result.is_err())) }
            }
        }
    }

    /// Waits until it has ended, and well.
    #[track_caller]
    pub(crate) fn join(mut self) {
        let pid = self.0.take().expect("joined once");
        assert_eq!(waitpid(pid, None).expect("our child"), WaitStatus::Exited(pid, 0));
    }

    /// Ends it as it stands.
    pub(crate) fn kill(mut self) {
        let pid = self.0.take().expect("killed once");
        kill(pid, Signal::SIGKILL).expect("our child");
        assert!(matches!(waitpid(pid, None).expect("our child"), WaitStatus::Signaled(_, Signal::SIGKILL, _)));
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}
