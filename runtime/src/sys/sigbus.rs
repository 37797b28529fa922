//! Surviving the loss of device registers.
//!
//! When a device is removed, the kernel takes its registers out of every process that has them mapped, and the next access is a `SIGBUS`.
//! Nothing tells the process before, so no check can come before the access. A handler, installed when the first registers are mapped,
//! therefore puts an empty page of ordinary memory where they were, notes that they are lost, and lets the access be repeated. Whoever
//! looks at the device next finds it gone.
//!
//! Other `SIGBUS` signals go to the handler that was there before. A program that installs one of its own later passes on, in turn, what is not its own.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::libc;

/// Addresses that a handler watches over.
#[derive(Debug)]
pub(crate) struct Watch(&'static Entry);

/// An element of the list below. Never freed, because a handler may be looking at it at any time; used again instead.
#[derive(Debug)]
struct Entry {
    /// 0 for an entry that is free.
    start: AtomicUsize,
    /// Never changes, so that a handler never sees one mapping's start with another's length.
    len: usize,
    lost: AtomicBool,
    next: *const Entry,
}

// SAFETY: the pointer is written before the entry is shared, and what it points to is never freed.
unsafe impl Sync for Entry {}
// SAFETY: as for `Sync`.
unsafe impl Send for Entry {}

/// The list: a handler may only read, and takes no lock.
static FIRST: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());
/// Held while entries are taken.
static TAKING: Mutex<()> = Mutex::new(());
/// Whether the handler is installed.
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// The action before ours; set before ours is installed.
static BEFORE: OnceLock<Before> = OnceLock::new();

struct Before(libc::sigaction);

// SAFETY: an action is a value: flags, a mask, and the address of a function.
unsafe impl Sync for Before {}
// SAFETY: as for `Sync`.
unsafe impl Send for Before {}

impl Watch {
    /// Watches over `len` bytes at `start`, which are whole pages.
    ///
    /// # Errors
    /// If there can be no handler.
    ///
    /// # Safety
    /// The pages are a shared mapping of device registers that belongs to the caller, and it stays that until the watch is dropped. All who
    /// access them do so as if anybody could write them at any time.
    pub(crate) unsafe fn new(start: usize, len: usize) -> io::Result<Self> {
        let _one_at_a_time = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
        install()?;
        let is_free = |entry: &&Entry| entry.len == len && entry.start.load(Ordering::Relaxed) == 0;
        let entry = entries().find(is_free).unwrap_or_else(|| add(len));
        entry.lost.store(false, Ordering::Relaxed);
        // Release: pairs with the handler's acquire: what the handler stores in `lost` comes after the store above.
        entry.start.store(start, Ordering::Release);
        Ok(Self(entry))
    }

    /// Whether an access has met nothing.
    pub(crate) fn is_lost(&self) -> bool {
        // Relaxed: the thread that met it stored it in its own handler; others find out when they find out.
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Release: pairs with the load under the lock in `new`.
        self.0.start.store(0, Ordering::Release);
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    // Acquire: pairs with the release in `add`.
    let mut next = FIRST.load(Ordering::Acquire).cast_const();
    std::iter::from_fn(move || {
        // SAFETY: null, or an entry, which is never freed and was filled in before it was put into the list.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next;
        Some(entry)
    })
}

/// Adds an entry that is free. The caller holds the lock.
fn add(len: usize) -> &'static Entry {
    let next = FIRST.load(Ordering::Relaxed);
    let entry = Entry { start: AtomicUsize::new(0), len, lost: AtomicBool::new(false), next };
    let entry: &'static Entry = Box::leak(Box::new(entry));
    // Release: pairs with the acquire in `entries`. Nobody writes through the pointer.
    FIRST.store(ptr::from_ref(entry).cast_mut(), Ordering::Release);
    entry
}

/// Installs the handler, once. The caller holds the lock.
fn install() -> io::Result<()> {
    // Relaxed: read and written under the lock.
    if INSTALLED.load(Ordering::Relaxed) {
        return Ok(());
    }
    // Looked at before ours is there, so that ours never has nobody to pass a signal on to.
    let mut before = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only; `before` is written if that succeeds.
    if unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the call above.
    BEFORE.get_or_init(|| Before(unsafe { before.assume_init() }));
    // SAFETY: all zero is a valid action; the fields that count are set below.
    let mut ours = unsafe { std::mem::zeroed::<libc::sigaction>() };
    ours.sa_sigaction = on_sigbus as extern "C" fn(_, _, _) as usize;
    // On the alternate stack, where there is one: the handler that a signal is passed on to may need it.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler makes system calls and accesses atomics only.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    INSTALLED.store(true, Ordering::Relaxed);
    Ok(())
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid pointer.
    let address = unsafe { (*info).si_addr() }.addr();
    for entry in entries() {
        // Acquire: pairs with the release in `Watch::new`.
        let start = entry.start.load(Ordering::Acquire);
        if start != 0 && address.wrapping_sub(start) < entry.len && replace(start, entry.len) {
            entry.lost.store(true, Ordering::Relaxed);
            return;
        }
    }
    pass_on(signal, info, context);
}

/// Puts empty memory where registers were. The interrupted code's `errno` stays as it is.
fn replace(start: usize, len: usize) -> bool {
    // SAFETY: the thread's own.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the addresses are a mapping that is watched over: see `Watch::new`.
    let place = unsafe {
        libc::mmap(
            ptr::with_exposed_provenance_mut(start),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    // SAFETY: the thread's own.
    unsafe { *libc::__errno_location() = errno };
    place != libc::MAP_FAILED
}

/// Does what would have been done without us.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let before = BEFORE.get().map(|before| &before.0);
    match before {
        Some(before) if before.sa_sigaction != libc::SIG_DFL && before.sa_sigaction != libc::SIG_IGN => {
            if before.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: the flag says that the address is one of such a function.
                let handler = unsafe { std::mem::transmute::<usize, InfoHandler>(before.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: neither special value nor flag: the address is one of such a function.
                let handler = unsafe { std::mem::transmute::<usize, PlainHandler>(before.sa_sigaction) };
                handler(signal);
            }
        }
        // The access is repeated when this returns, and then has the default's effect; ignoring such a signal has the same.
        _ => {
            // SAFETY: takes our handler away.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

type InfoHandler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
type PlainHandler = extern "C" fn(libc::c_int);

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    use nix::sys::resource::{Resource, setrlimit};

    use super::*;

    /// Tells a process started by the test that it is the one to die.
    const VICTIM: &str = "UACCEL_TEST_VICTIM";

    /// In a process of its own, not in a forked child: the handler that signals are passed on to is the standard library's, and takes a
    /// lock that another thread of this process may hold just then.
    #[test]
    fn signals_that_are_not_about_registers_have_their_usual_effect() {
        const NAME: &str = "sys::sigbus::tests::signals_that_are_not_about_registers_have_their_usual_effect";
        if std::env::var_os(VICTIM).is_none() {
            let own = std::env::current_exe().expect("this program");
            let ended = Command::new(own).args(["--exact", NAME]).env(VICTIM, "1").output().expect("a process");
            assert_eq!(ended.status.signal(), Some(libc::SIGBUS), "{ended:?}");
            return;
        }
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        let file = memfd_create("empty", MFdFlags::MFD_CLOEXEC).expect("a file in memory");
        let len = NonZeroUsize::new(4096).expect("a page");
        // SAFETY: a fresh mapping touches nothing that exists.
        let nothing =
            unsafe { mmap(None, len, ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, &file, 0) }.expect("a mapping");
        // SAFETY: never accessed: an address to have the handler installed for.
        let _watch = unsafe { Watch::new(1 << 20, 4096) }.expect("a handler");
        // SAFETY: there is nothing behind the mapping, so this ends the process.
        unsafe { nothing.cast::<u64>().write_volatile(1) };
    }
}
