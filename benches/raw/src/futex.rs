//! Sleeping on a word, and waking who sleeps.

use std::io;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Who can sleep on the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Threads of this process.
    Process,
    /// Whoever has the memory mapped.
    Everybody,
}

impl Reach {
    fn flag(self) -> libc::c_int {
        match self {
            Self::Process => libc::FUTEX_PRIVATE_FLAG,
            Self::Everybody => 0,
        }
    }
}

/// Sleeps while the word is `expected`, or until the time is over. May return early for no reason.
pub(crate) fn wait(word: &AtomicU32, expected: u32, reach: Reach, within: Option<Duration>) -> io::Result<()> {
    let time = within.map(|within| libc::timespec {
        tv_sec: libc::time_t::try_from(within.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(within.subsec_nanos()),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is live and aligned for the length of the call, and the kernel only reads it; the time is null or a live value.
    let result =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT | reach.flag(), expected, time) };
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // The word has changed already, a signal came, or the time is over: the caller of this function looks again in any case.
        e if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT)) => Ok(()),
        e => Err(e),
    }
}

/// Wakes one sleeper, if there is one.
pub(crate) fn wake(word: &AtomicU32, reach: Reach) -> io::Result<()> {
    // SAFETY: the word is live for the length of the call; the kernel uses its address only.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | reach.flag(), 1) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
