//! Owned jobs in flight.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use accel_bench::case::Case;
use accel_bench::workload::Workload;
use uaccel_runtime::{Error, Finished, JobFuture, Lease, Outcome, OwnedWork, Runtime, Session, Submitted, WriteBuf};

use crate::guarded::Guarded;
use crate::record::Way;

type Bytes = &'static [u8];

/// An owned job in flight.
#[derive(Debug)]
pub struct Flight {
    /// Its number.
    pub serial: u64,
    /// Which case it is.
    pub case: usize,
    /// Which job of the case.
    pub job: usize,
    /// How its end is awaited.
    pub way: Way,
    /// Bytes of its destination.
    pub room: usize,
    future: Kind,
}

#[derive(Debug)]
enum Kind {
    Result(JobFuture<Bytes, Guarded, Bytes>),
    Sum(JobFuture<Bytes, ()>),
    Nop(JobFuture<(), ()>),
}

/// How an owned job ended.
#[derive(Debug)]
pub struct Landing {
    /// What was said.
    pub result: Result<Outcome, Error>,
    /// Its destination, unless it had none or was lost.
    pub buffer: Option<Guarded>,
}

/// Where a job is submitted.
#[derive(Debug)]
pub enum Place<'a> {
    /// To the runtime.
    Runtime(&'a Runtime),
    /// To a lease.
    Lease(&'a mut Lease),
}

impl Place<'_> {
    fn submit<S, D, A>(&mut self, work: OwnedWork<S, D, A>) -> Submitted<S, D, A>
    where
        S: uaccel_runtime::ReadBuf,
        D: WriteBuf,
        A: uaccel_runtime::ReadBuf,
    {
        match self {
            Self::Runtime(runtime) => runtime.submit(work),
            Self::Lease(lease) => lease.submit(work),
        }
    }
}

/// Whether jobs of this workload can own their buffers.
#[must_use]
pub fn is_possible(workload: Workload) -> bool {
    !matches!(workload, Workload::Fill | Workload::Compare)
}

impl Flight {
    /// Submits a job of a case. If that fails, the buffer comes back.
    ///
    /// # Errors
    /// Why it was not submitted.
    pub fn submit(
        place: &mut Place<'_>,
        (serial, way): (u64, Way),
        (cases, case, job): (&'static [Case], usize, usize),
        session: Option<&Session>,
        buffer: Guarded,
    ) -> Result<Self, (Error, Option<Guarded>)> {
        let input = cases[case].input(job);
        let room = buffer.len();
        let source: Bytes = &input.source;
        let future = match (cases[case].workload, session) {
            (Workload::Crc32c, _) => {
                place.submit(OwnedWork::crc32c(source, 0)).map(Kind::Sum).map_err(|rejected| (rejected.error, None))
            }
            (Workload::Crc32, _) => {
                place.submit(OwnedWork::crc32(source, 0)).map(Kind::Sum).map_err(|rejected| (rejected.error, None))
            }
            (Workload::Copy, _) => bytes(place, OwnedWork::copy(source, buffer).with_nonce([0; 12], &[])),
            (Workload::Session(..), Some(session)) => {
                // An IV and a nonce begin in the same place; what the algorithm has no use for is not looked at.
                let work = OwnedWork::session(session, source, buffer).with_iv(input.immediate);
                let aux: Bytes = &input.aux;
                bytes(place, work.with_nonce(input.nonce(), aux))
            }
            _ => place.submit(OwnedWork::nop()).map(Kind::Nop).map_err(|rejected| (rejected.error, None)),
        }?;
        Ok(Self { serial, case, job, way, room, future })
    }

    /// Blocks until it has ended.
    #[must_use]
    pub fn wait(self) -> Landing {
        match self.future {
            Kind::Result(future) => landing(future.wait()),
            Kind::Sum(future) => plain(future.wait()),
            Kind::Nop(future) => plain(future.wait()),
        }
    }

    /// Polls it.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Landing> {
        match &mut self.future {
            Kind::Result(future) => Pin::new(future).poll(context).map(landing),
            Kind::Sum(future) => Pin::new(future).poll(context).map(plain),
            Kind::Nop(future) => Pin::new(future).poll(context).map(plain),
        }
    }
}

fn bytes(place: &mut Place<'_>, work: OwnedWork<Bytes, Guarded, Bytes>) -> Result<Kind, (Error, Option<Guarded>)> {
    place.submit(work).map(Kind::Result).map_err(|rejected| {
        let rejected = *rejected;
        (rejected.error, Some(rejected.work.into_buffers().1))
    })
}

fn landing<S, A>(finished: Finished<S, Guarded, A>) -> Landing {
    Landing { result: finished.result, buffer: finished.buffers.map(|(_, buffer, _)| buffer) }
}

fn plain<S, A>(finished: Finished<S, (), A>) -> Landing {
    Landing { result: finished.result, buffer: None }
}
