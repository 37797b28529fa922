//! A queue for one thread's own use.

use std::sync::Arc;

use uaccel_queue::{Capabilities, Outcome};

use crate::device::Device;
use crate::owned::{Submitted, submit_owned};
use crate::owned_work::OwnedWork;
use crate::pair::Pair;
use crate::queue_core::QueueCore;
use crate::recover::Verdict;
use crate::scope::{self, Scope};
use crate::work::Work;
use crate::{Error, ReadBuf, WriteBuf};

/// A queue for one thread's own use: no lock, no allocation, no system call per job while both sides are busy.
///
/// It can be sent to another thread, but not shared. Dropping it gives the queue back. While owned jobs are in flight on it, the queue is back in the pool between calls, where
/// their futures and the reactor can poll it; the next call of the lease fetches it again. No other lease gets it meanwhile.
#[derive(Debug)]
pub struct Lease {
    core: Arc<QueueCore>,
    pair: Option<Box<Pair>>,
}

impl Lease {
    pub(crate) fn new(device: &Device) -> Result<Self, Error> {
        let (core, pair) = device.take()?;
        let mut lease = Self { core, pair: Some(pair) };
        lease.settle();
        Ok(lease)
    }

    /// What the queue was granted.
    ///
    /// # Errors
    /// [`Error::DeviceFailed`] or [`Error::Open`] if the queue is gone and does not come back.
    pub fn granted(&mut self) -> Result<Capabilities, Error> {
        if !self.core.fork.is_home() {
            return Err(Error::Forked);
        }
        let granted = fetched(&self.core, &mut self.pair)?.granted.clone();
        self.settle();
        Ok(granted)
    }

    /// Runs `f` with a scope, in which jobs may borrow everything that outlives this call. All jobs are answered when it returns.
    ///
    /// ```
    /// # fn main() -> Result<(), uaccel_runtime::Error> {
    /// let runtime = uaccel_runtime::Runtime::builder().device("software").build()?;
    /// let (from, mut to) = (vec![1u8; 5000], vec![0u8; 5000]);
    /// let mut lease = runtime.lease()?;
    /// lease.scope(|scope| {
    ///     scope.copy(&from, &mut to)?;
    ///     scope.finish(|answer| assert!(answer.is_ok()))
    /// })??;
    /// assert_eq!(from, to);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What was lent cannot be used before the scope has ended:
    /// ```compile_fail
    /// # let runtime = uaccel_runtime::Runtime::new().unwrap();
    /// let (from, mut to) = (vec![1u8; 5000], vec![0u8; 5000]);
    /// runtime.lease().unwrap().scope(|scope| {
    ///     scope.copy(&from, &mut to).unwrap();
    ///     to[0] = 1;
    /// });
    /// ```
    ///
    /// # Errors
    /// [`Error::Forked`], or [`Error::DeviceFailed`] or [`Error::Open`] if the queue is gone and does not come back; `f` was not called
    /// then.
    #[inline]
    pub fn scope<'env, R>(&mut self, f: impl for<'s> FnOnce(&mut Scope<'s, 'env>) -> R) -> Result<R, Error> {
        let pair = fetched(&self.core, &mut self.pair)?;
        let result = scope::run(&self.core, pair, f);
        self.settle();
        Ok(result)
    }

    /// Runs one job on borrowed memory to its end.
    ///
    /// # Errors
    /// See [`Error`].
    #[inline]
    pub fn run(&mut self, work: Work<'_>) -> Result<Outcome, Error> {
        let pair = fetched(&self.core, &mut self.pair)?;
        match scope::run_one(&self.core, pair, &work.raw) {
            Ok(outcome) => {
                self.settle();
                Ok(outcome)
            }
            Err(error) => {
                self.settle();
                Err(error)
            }
        }
    }

    /// Submits a job that owns its buffers; they come back with the result.
    ///
    /// # Errors
    /// [`Rejected`](crate::Rejected) with the buffers, if the job cannot be submitted.
    pub fn submit<S: ReadBuf, D: WriteBuf, A: ReadBuf>(&mut self, work: OwnedWork<S, D, A>) -> Submitted<S, D, A> {
        if !self.core.fork.is_home() {
            return Err(work.rejected(Error::Forked));
        }
        let pair = match fetched(&self.core, &mut self.pair) {
            Ok(pair) => pair,
            Err(error) => return Err(work.rejected(error)),
        };
        let job = submit_owned(&self.core, pair, work);
        self.settle();
        job
    }

    /// Keeps the pair, unless others have to poll the queue or it is finished.
    #[inline]
    fn settle(&mut self) {
        let stays = |pair: &Pair| pair.owned == 0 && pair.verdict == Verdict::Usable;
        if self.pair.as_deref().is_some_and(stays) {
            return;
        }
        self.give_back();
    }

    #[cold]
    fn give_back(&mut self) {
        if let Some(pair) = self.pair.take() {
            self.core.bring_home(pair);
        }
    }
}

/// The pair of a lease, fetched if it is not there. A child process that has it is refused when it submits.
#[inline]
fn fetched<'a>(core: &QueueCore, pair: &'a mut Option<Box<Pair>>) -> Result<&'a mut Pair, Error> {
    match pair {
        Some(pair) => Ok(pair),
        None if !core.fork.is_home() => Err(Error::Forked),
        empty => Ok(empty.insert(core.take_pair()?)),
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
        self.core.set_leased(false);
    }
}
