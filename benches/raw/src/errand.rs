//! What the engine does that is a process of its own.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;

use nix::unistd::Pid;

use crate::error::RawError;
use crate::floor::{Floor, MOST_BYTES};
use crate::futex::{self, Reach};
use crate::mailbox::turns;
use crate::partner::Order;

/// What the other process does for each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Nothing: it answers in the job's line.
    Answer,
    /// It reads the caller's memory by `process_vm_readv`, and writes it elsewhere by `process_vm_writev`.
    CopyByCall,
    /// The same by `pread` and `pwrite` on the caller's `/proc/self/mem`.
    CopyByFile,
    /// It copies within the common memory what the caller has just written there.
    CopyInPlace,
    /// It sleeps on a word, and wakes who sleeps on another.
    Wake,
}

impl Errand {
    const ALL: [Self; 5] = [Self::Answer, Self::CopyByCall, Self::CopyByFile, Self::CopyInPlace, Self::Wake];

    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|errand| errand.number() == number)
    }

    /// Sets up what it needs.
    pub(crate) fn prepare(self, floor: &Floor, owner: Pid) -> Result<Work<'_>, RawError> {
        let head = floor.head();
        let word = |word: &std::sync::atomic::AtomicU64| word.load(Ordering::Relaxed);
        let bytes = usize::try_from(word(&head.bytes)).unwrap_or(usize::MAX).min(MOST_BYTES);
        let memory = match self {
            Self::CopyByFile => {
                let memory = io::stdout().as_fd().try_clone_to_owned();
                Some(File::from(memory.map_err(|source| RawError::Os { call: "dup", source })?))
            }
            _ => None,
        };
        Ok(Work {
            errand: self,
            floor,
            owner,
            memory,
            source: word(&head.source),
            destination: word(&head.destination),
            staging: vec![0; bytes],
            serial: 0,
            answered: 0,
        })
    }
}

/// An errand that is being done, job after job.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    errand: Errand,
    floor: &'a Floor,
    owner: Pid,
    memory: Option<File>,
    source: u64,
    destination: u64,
    staging: Vec<u8>,
    serial: u64,
    answered: u32,
}

impl Work<'_> {
    /// Does jobs until there are none, and the owner wants no more.
    pub(crate) fn run(&mut self, order: &mut Order<'_>) -> Result<(), RawError> {
        match self.errand {
            Errand::Wake => self.wake(order),
            _ => self.answer(order),
        }
    }

    fn answer(&mut self, order: &mut Order<'_>) -> Result<(), RawError> {
        let slot = &self.floor.head().slot.0;
        loop {
            let (question, answer) = turns(self.serial, 0);
            if !slot.holds(question) {
                if order.idle() {
                    return Ok(());
                }
                continue;
            }
            // SAFETY: the sequence word says that this is the engine's turn; the caller does not touch the words before it sees `answer`.
            let token = unsafe { slot.take() };
            self.job()?;
            // SAFETY: as above.
            unsafe { slot.set_answer(token) };
            slot.publish(answer);
            self.serial += 1;
        }
    }

    /// What is done for one job.
    #[inline]
    fn job(&mut self) -> Result<(), RawError> {
        match self.errand {
            Errand::Answer | Errand::Wake => Ok(()),
            Errand::CopyByCall => self.copy_by_call(),
            Errand::CopyByFile => self.copy_by_file(),
            Errand::CopyInPlace => {
                let (source, destination) = (self.floor.source(), self.floor.destination());
                // SAFETY: source and destination are parts of one live mapping, MOST_BYTES long each, which do not overlap; the length is
                // at most that. The caller writes neither before it has its answer.
                unsafe { source.copy_to_nonoverlapping(destination, self.staging.len()) };
                Ok(())
            }
        }
    }

    fn copy_by_call(&mut self) -> Result<(), RawError> {
        let local = libc::iovec { iov_base: self.staging.as_mut_ptr().cast(), iov_len: self.staging.len() };
        let remote = |address: u64| libc::iovec {
            iov_base: std::ptr::without_provenance_mut(usize::try_from(address).unwrap_or_default()),
            iov_len: self.staging.len(),
        };
        let (source, destination) = (remote(self.source), remote(self.destination));
        let (local, pid) = (&raw const local, self.owner.as_raw());
        // SAFETY: the local vector is the staging buffer, which nobody else uses; the remote one is looked at by the kernel alone.
        let read = unsafe { libc::process_vm_readv(pid, local, 1, &raw const source, 1, 0) };
        self.whole("process_vm_readv", read)?;
        // SAFETY: as above; the staging buffer is only read.
        let written = unsafe { libc::process_vm_writev(pid, local, 1, &raw const destination, 1, 0) };
        self.whole("process_vm_writev", written)
    }

    fn whole(&self, call: &'static str, moved: libc::ssize_t) -> Result<(), RawError> {
        match usize::try_from(moved) {
            Ok(moved) if moved == self.staging.len() => Ok(()),
            Ok(moved) => {
                let text = format!("{moved} of {} bytes", self.staging.len());
                Err(RawError::Os { call, source: io::Error::new(io::ErrorKind::UnexpectedEof, text) })
            }
            Err(_) => Err(RawError::Os { call, source: io::Error::last_os_error() }),
        }
    }

    fn copy_by_file(&mut self) -> Result<(), RawError> {
        let Some(memory) = &self.memory else { return Ok(()) };
        let os = |call| move |source| RawError::Os { call, source };
        memory.read_exact_at(&mut self.staging, self.source).map_err(os("pread of /proc/self/mem"))?;
        memory.write_all_at(&self.staging, self.destination).map_err(os("pwrite of /proc/self/mem"))
    }

    fn wake(&mut self, order: &mut Order<'_>) -> Result<(), RawError> {
        let os = |source| RawError::Os { call: "futex", source };
        let (there, back) = (&self.floor.head().there.0, &self.floor.head().back.0);
        loop {
            // Pairs with the release store of the caller.
            if there.load(Ordering::Acquire) != self.answered {
                self.answered = self.answered.wrapping_add(1);
                // Pairs with the acquire load of the caller.
                back.store(self.answered, Ordering::Release);
                futex::wake(back, Reach::Everybody).map_err(os)?;
            } else if !order.goes_on() {
                return Ok(());
            } else {
                // A wake-up that comes between the look and the sleep is lost: hence the end to it.
                let most = Some(std::time::Duration::from_millis(20));
                futex::wait(there, self.answered, Reach::Everybody, most).map_err(os)?;
            }
        }
    }
}
