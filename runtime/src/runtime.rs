//! The runtime: one device in use, and the CPU beside it.

use std::ptr::NonNull;
use std::sync::Arc;

use uaccel_queue::{Capabilities, Outcome, SessionSpec};

use crate::builder::Builder;
use crate::choice::Report;
use crate::counters::Counters;
use crate::device::Device;
use crate::lease::Lease;
use crate::owned::{Submitted, submit_owned};
use crate::owned_work::OwnedWork;
use crate::policy::Fallback;
use crate::session::{DroppedSessions, Session};
use crate::shared_buffer::SharedBuffer;
use crate::sys::fork_mark::ForkMark;
use crate::work::{RawWork, Work};
use crate::{Error, ReadBuf, Stream, WriteBuf};

/// A device in use, with the CPU beside it to fall back to. Cheap to clone; clones share everything. There can be several in a process.
///
/// Any thread may call it. Each call uses a queue that is free at the moment; threads that call often take a [`Lease`].
#[derive(Clone, Debug)]
pub struct Runtime {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) device: Device,
    pub(crate) software: Option<Device>,
    pub(crate) fallback: Fallback,
    pub(crate) report: Report,
    pub(crate) dropped: Arc<DroppedSessions>,
    pub(crate) fork: ForkMark,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.fork.is_home() {
            self.device.core.reactor.close();
        }
    }
}

impl Runtime {
    /// A runtime on the best device, or on the one that the environment variable `UACCEL_DEVICE` names.
    ///
    /// # Errors
    /// See [`Builder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Options for a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// What was chosen, and why the other devices were not.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// The name of the device in use.
    #[must_use]
    pub fn device(&self) -> &str {
        self.inner.device.name()
    }

    /// What the device was granted.
    #[must_use]
    pub fn granted(&self) -> &Capabilities {
        &self.inner.device.granted
    }

    /// When the CPU may take the device's place.
    #[must_use]
    pub fn fallback(&self) -> Fallback {
        self.inner.fallback
    }

    /// What has happened so far on the device. Jobs that the CPU did in its place are counted as fallbacks only.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.inner.device.counters()
    }

    /// Counts work that a layer above did on the CPU because the device could not: streams that need state between jobs.
    pub fn count_fallback(&self, bytes: u64) {
        let tally = &self.inner.device.core.tally;
        tally.fallbacks.add(1);
        tally.fallback_bytes.add(bytes);
    }

    /// A session with these parameters. It is opened on a queue when first used there.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`] if neither the device nor, where the policy allows it, the CPU offers the algorithm; [`Error::UnsupportedWindow`] if they do, but not with
    /// the window asked for.
    pub fn session(&self, spec: SessionSpec) -> Result<Session, Error> {
        if !self.inner.software.as_ref().is_some_and(|software| software.granted.offers(&spec)) {
            self.offers(&spec)?;
        }
        Ok(Session::new(spec, self.inner.dropped.clone()))
    }

    /// Whether the device itself offers sessions with these parameters, and not the CPU in its place.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`], [`Error::UnsupportedWindow`]: why it does not.
    pub fn offers(&self, spec: &SessionSpec) -> Result<(), Error> {
        if self.granted().offers(spec) { Ok(()) } else { Err(Error::not_offered(self.device(), self.granted(), spec)) }
    }

    /// A stream with these parameters: one text in as many calls as need be, all of them jobs of the device.
    ///
    /// # Errors
    /// [`Error::UnsupportedStream`] if the device has none, whatever the policy: the CPU's streams are not the runtime's business. [`Error::UnsupportedAlgorithm`],
    /// [`Error::UnsupportedWindow`].
    pub fn stream(&self, spec: SessionSpec) -> Result<Stream, Error> {
        Stream::new(self, spec)
    }

    /// Takes a queue for the calling thread's own use, on the device itself: the fallback policy does not apply to its jobs.
    ///
    /// # Errors
    /// [`Error::Deadline`] if all queues stay in use, [`Error::Forked`], [`Error::Open`].
    pub fn lease(&self) -> Result<Lease, Error> {
        Lease::new(&self.inner.device)
    }

    /// Runs one job on borrowed memory to its end, on the device or, where the policy says so, on the CPU.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(&self, work: Work<'_>) -> Result<Outcome, Error> {
        self.run_checked(&work.raw)
    }

    /// Runs one job on raw pointers to its end. A bad pointer is an error, unless the fault handling is
    /// [`FaultHandling::CallerVouches`](uaccel_queue::FaultHandling::CallerVouches). Never falls back to the CPU, which could not survive a bad pointer.
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Safety
    /// Until this returns nobody writes what the job reads or touches what it writes. If the fault handling is `CallerVouches`, the
    /// ranges are readable and writable as the operation needs them.
    pub unsafe fn run_raw(&self, work: &RawWork<'_>) -> Result<Outcome, Error> {
        self.inner.device.run(work)
    }

    fn run_checked(&self, work: &RawWork<'_>) -> Result<Outcome, Error> {
        let inner = &*self.inner;
        let Some(software) = &inner.software else { return inner.device.run(work) };
        let len = work.len() as u64;
        // What is too large need not wait for a queue to be told so.
        let too_large = len > inner.device.granted.max_transfer;
        if too_large || matches!(inner.fallback, Fallback::Auto { below } if len < below) {
            return self.fall_back(software, work);
        }
        match inner.device.run(work) {
            // The device may have written over its source.
            Err(error) if work.is_in_place() && !error.precedes_submission() => Err(error),
            // The job was answered, or taken back with the device proven quiet: a lost one never gets here.
            Err(error) if error.is_device_failure() || matches!(error, Error::QueueFull) => {
                tracing::debug!(device = self.device(), %error, "falling back to the CPU");
                self.fall_back(software, work)
            }
            result => result,
        }
    }

    #[cold]
    fn fall_back(&self, software: &Device, work: &RawWork<'_>) -> Result<Outcome, Error> {
        self.count_fallback(work.len() as u64);
        software.run(work)
    }

    /// Submits a job that owns its buffers; they come back with the result. Below the bound of [`Fallback::Auto`], and for what the device
    /// does not offer, it runs on the CPU at once.
    ///
    /// # Errors
    /// [`Rejected`](crate::Rejected) with the buffers, if the job cannot be submitted.
    #[inline]
    pub fn submit<S: ReadBuf, D: WriteBuf, A: ReadBuf>(&self, work: OwnedWork<S, D, A>) -> Submitted<S, D, A> {
        let inner = &*self.inner;
        if let Fallback::Auto { below } = inner.fallback
            && work.source_len() < below
        {
            return self.submit_to_cpu(work);
        }
        let mut submitted = submit_to(&inner.device, work);
        if submitted.is_err() {
            submitted = self.submit_again(submitted);
        }
        submitted
    }

    /// Submits a job to the CPU that the device has failed to take, if there is a device besides.
    #[cold]
    fn submit_again<S: ReadBuf, D: WriteBuf, A: ReadBuf>(&self, submitted: Submitted<S, D, A>) -> Submitted<S, D, A> {
        match submitted {
            Err(rejected) if self.inner.software.is_some() && rejected.error.is_device_failure() => {
                self.submit_to_cpu(rejected.work)
            }
            submitted => submitted,
        }
    }

    /// Submits a job to the CPU in the device's place; to the device if that is the CPU already.
    #[cold]
    fn submit_to_cpu<S: ReadBuf, D: WriteBuf, A: ReadBuf>(&self, work: OwnedWork<S, D, A>) -> Submitted<S, D, A> {
        let Some(software) = &self.inner.software else { return submit_to(&self.inner.device, work) };
        self.count_fallback(work.source_len());
        submit_to(software, work)
    }

    /// A zeroed buffer of `len` bytes that the device finds in place, where its bus has such memory; else one in ordinary memory, which does as well and may cost
    /// more per job. [`SharedBuffer::is_registered`] says which.
    #[must_use]
    pub fn shared_buffer(&self, len: usize) -> SharedBuffer {
        let inner = &*self.inner;
        if len == 0 || !inner.fork.is_home() {
            return SharedBuffer::plain(len);
        }
        match inner.device.core.bus.shared_memory(len) {
            Ok(memory) if memory.len() >= len => SharedBuffer::registered(memory, len, inner.fork.clone()),
            Ok(memory) => {
                tracing::warn!(device = self.device(), len, given = memory.len(), "shared memory is too short");
                SharedBuffer::plain(len)
            }
            Err(error) => {
                tracing::debug!(device = self.device(), len, %error, "no shared memory; ordinary memory instead");
                SharedBuffer::plain(len)
            }
        }
    }

    /// A buffer of bytes that are there, made known to the device where its bus registers memory; else they stay ordinary memory, which does as well and may cost
    /// more per job. [`SharedBuffer::is_registered`] says which, [`SharedBuffer::into_boxed_slice`] gives them back.
    ///
    /// What a job has borrowed cannot be given back before the job is answered:
    /// ```compile_fail
    /// # let runtime = uaccel_runtime::Runtime::new().unwrap();
    /// let (shared, mut to) = (runtime.share(vec![1u8; 5000]), vec![0u8; 5000]);
    /// runtime.lease().unwrap().scope(|scope| {
    ///     scope.copy(&shared, &mut to).unwrap();
    ///     drop(shared.into_boxed_slice());
    /// });
    /// ```
    #[must_use]
    pub fn share(&self, bytes: impl Into<Box<[u8]>>) -> SharedBuffer {
        let mut bytes: Box<[u8]> = bytes.into();
        let inner = &*self.inner;
        if bytes.is_empty() || !inner.fork.is_home() {
            return SharedBuffer::of(bytes);
        }
        let len = bytes.len();
        let start = NonNull::from(&mut *bytes).cast();
        // SAFETY: the bytes are on the heap, and go with the buffer, which owns both and drops what is returned first; it gives them out as its own.
        match unsafe { inner.device.core.bus.register(start, len) } {
            Ok(memory) => SharedBuffer::adopted(memory, bytes),
            Err(error) => {
                tracing::debug!(device = self.device(), len, %error, "memory stays unregistered");
                SharedBuffer::of(bytes)
            }
        }
    }

    /// Whether this process is the one that built the runtime. In a child made by `fork` everything else returns [`Error::Forked`].
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.inner.fork.is_home()
    }
}

// Not built in, and what it calls is: the work is large, and is to go by its address from where it was made to where it is taken apart. A processor waits for a value that was just stored in
// small pieces and is then moved in wide ones.
#[inline(never)]
fn submit_to<S: ReadBuf, D: WriteBuf, A: ReadBuf>(device: &Device, work: OwnedWork<S, D, A>) -> Submitted<S, D, A> {
    let mut seat = match device.seat() {
        Ok(seat) => seat,
        Err(error) => return Err(work.rejected(error)),
    };
    let core = seat.core;
    match seat.pair() {
        Some(pair) => submit_owned(core, pair, work),
        None => Err(work.rejected(Error::QueueFull)),
    }
}
