//! One job inside a device.

use core::fmt;
use std::sync::Arc;

use uaccel_queue::{Family, JobFlags, Operation, Outcome, Status};
use uaccel_units::{Scratch, Unit};

use crate::stages::{Stage, Staging};
use crate::{AddressSpace, Aftermath, Extra};

/// A range of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub address: u64,
    /// How many bytes.
    pub len: usize,
}

impl Span {
    /// The range of `len` bytes from `address` on.
    #[must_use]
    pub const fn new(address: u64, len: usize) -> Self {
        Self { address, len }
    }

    /// One past the last address; `None` if the range runs over the end of the address space.
    #[inline]
    #[must_use]
    pub const fn end(self) -> Option<u64> {
        self.address.checked_add(self.len as u64)
    }

    /// Whether two ranges share a byte.
    #[inline]
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.len != 0
            && other.len != 0
            && u128::from(self.address) < u128::from(other.address) + other.len as u128
            && u128::from(other.address) < u128::from(self.address) + self.len as u128
    }
}

/// What a model computes itself, for operations that the units do not know.
pub trait Compute: Send + Sync {
    /// Turns the job's source and aux into its destination, and says how it ended. `produced` bytes of the destination reach the host if the
    /// status is [`Status::Ok`].
    fn compute(&self, task: &Task<'_>, scratch: &mut Scratch, destination: &mut [u8]) -> Outcome;

    /// What the job leaves besides its destination, asked for once, after [`compute`](Self::compute) ended well, of jobs that have an [`Extra`].
    fn aftermath(&self) -> Option<Aftermath> {
        None
    }

    /// Roughly how long a job of so many bytes takes, in nanoseconds. Only good enough to share work out.
    fn cost(&self, bytes: u64) -> u64 {
        100 + bytes
    }
}

impl<F: Fn(&Task<'_>, &mut [u8]) -> Outcome + Send + Sync> Compute for F {
    fn compute(&self, task: &Task<'_>, _: &mut Scratch, destination: &mut [u8]) -> Outcome {
        self(task, destination)
    }
}

/// What a [`Compute`] works on.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The bytes of the source.
    pub source: &'a [u8],
    /// The bytes of the second source.
    pub aux: &'a [u8],
    /// The small operand.
    pub operand: [u8; 16],
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes may be secrets.
        f.debug_struct("Task").field("source", &self.source.len()).field("aux", &self.aux.len()).finish_non_exhaustive()
    }
}

/// Who does the work of a job.
#[derive(Clone)]
pub enum Work {
    /// An operation without a session.
    Plain(Operation),
    /// A unit made for the job's session.
    Session(Arc<Unit>),
    /// The model itself.
    Own(Arc<dyn Compute>),
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(operation) => f.debug_tuple("Plain").field(operation).finish(),
            Self::Session(unit) => f.debug_tuple("Session").field(unit).finish(),
            Self::Own(_) => f.debug_tuple("Own").finish(),
        }
    }
}

/// What a plan does to a completion. The model renders it in its own layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blemish {
    /// It names a job that was never submitted.
    WrongToken,
    /// Its status does not exist.
    UnknownStatus,
    /// It claims more bytes than any job has.
    ImpossibleLengths,
}

/// One job on its way through a device: Fetch → Gather → Compute → Scatter → Complete.
#[derive(Debug)]
pub struct WorkItem {
    /// The model's own: where and how the completion is to be written.
    pub cookie: u64,
    /// By what name the job can be cancelled.
    pub tag: u64,
    /// Who does the work.
    pub work: Work,
    /// Where the addresses live.
    pub space: AddressSpace,
    /// Promises of the host.
    pub flags: JobFlags,
    /// What is read.
    pub source: Span,
    /// What is written.
    pub destination: Span,
    /// What is read besides.
    pub aux: Span,
    /// Pattern, checksum to continue from, nonce, or IV.
    pub operand: [u8; 16],
    /// How it ended; valid at [`Stage::Complete`].
    pub outcome: Outcome,
    /// What it has besides, if anything.
    pub extra: Option<Box<Extra>>,
    /// What is to be wrong with the completion.
    pub blemish: Option<Blemish>,
    pub(crate) stage: Stage,
    pub(crate) staging: Option<Box<Staging>>,
}

impl WorkItem {
    /// A job that stands before Gather, with no memory yet.
    #[inline(always)]
    #[must_use]
    pub fn new(cookie: u64, tag: u64, space: AddressSpace, work: Work) -> Self {
        Self {
            cookie,
            tag,
            work,
            space,
            flags: JobFlags::empty(),
            source: Span::default(),
            destination: Span::default(),
            aux: Span::default(),
            operand: [0; 16],
            outcome: Outcome::ok(0, 0),
            extra: None,
            blemish: None,
            stage: Stage::Gather,
            staging: None,
        }
    }

    /// An answer that was known when the descriptor was read: to a command, or to a job that cannot be.
    #[inline]
    #[must_use]
    pub fn answered(cookie: u64, tag: u64, space: AddressSpace, outcome: Outcome) -> Self {
        Self { outcome, stage: Stage::Complete, ..Self::new(cookie, tag, space, Work::Plain(Operation::Nop)) }
    }

    /// Where it stands.
    #[inline]
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether no byte of its destination can have been written.
    #[must_use]
    pub fn untouched(&self) -> bool {
        matches!(self.stage, Stage::Gather | Stage::Compute)
    }

    /// Ends the job here.
    pub fn finish(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.stage = Stage::Complete;
    }

    /// Ends the job as cancelled.
    pub fn cancel(&mut self) {
        self.finish(Outcome::failed(Status::Canceled));
    }

    /// The bytes it names, for accounting.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.source.len.max(self.destination.len) + self.aux.len) as u64
    }

    /// Roughly how long the work keeps a worker, in nanoseconds. Only good enough to share work out.
    #[inline]
    #[must_use]
    pub fn cost(&self) -> u64 {
        let bytes = self.source.len.max(self.destination.len) as u64;
        match &self.work {
            // Nothing is left to do. Free, so that a command, once carried out, is never put back.
            _ if self.stage == Stage::Complete => 0,
            Work::Plain(Operation::Nop) => 10,
            Work::Plain(_) => 20 + bytes / 8,
            Work::Session(unit) => match unit.algorithm().family() {
                Family::Compression => 2000 + bytes * 4,
                _ => 100 + bytes / 2,
            },
            Work::Own(own) => own.cost(bytes),
        }
    }

    /// Whether there is nothing to do but to answer: it names no memory, or its answer is known.
    #[inline]
    pub(crate) fn is_trivial(&self) -> bool {
        self.stage == Stage::Complete || matches!(self.work, Work::Plain(Operation::Nop))
    }

    /// Takes a trivial job to its answer: the outcome it was made with is the right one.
    #[inline]
    pub(crate) fn pass(&mut self) {
        debug_assert!(self.is_trivial() && self.staging.is_none(), "a job with work to do");
        self.stage = Stage::Complete;
    }

    /// Whether keys or plaintext pass through its staging.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(&self.work, Work::Session(unit) if unit.algorithm().family() != Family::Compression)
    }
}
