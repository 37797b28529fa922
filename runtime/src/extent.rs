//! The memory that a job names.

use uaccel_queue::{FaultKind, Job, JobFlags, Operation};

/// One of a job's memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// What is done with it.
    pub(crate) access: FaultKind,
}

/// Source, destination and second source of a job, as far as its operation has them. Fields that it does not use hold what an earlier job left there.
pub(crate) fn of(job: &Job) -> [Option<Extent>; 3] {
    let extent = |start, len, access| Some(Extent { start, len, access });
    let source = extent(job.source.expose_provenance(), job.source_len, FaultKind::Read);
    let destination = extent(job.destination.expose_provenance(), job.destination_len, FaultKind::Write);
    let aux = extent(job.aux.expose_provenance(), job.aux_len, FaultKind::Read);
    match job.operation {
        Operation::Nop => [None, None, None],
        Operation::Fill => [None, destination, None],
        Operation::Compare => [source, None, aux],
        Operation::Crc32c | Operation::Crc32 => [source, None, None],
        Operation::Seal | Operation::Open => [source, destination, aux],
        // The state of a stream is written as well.
        _ if job.flags.contains(JobFlags::STREAM) => {
            [source, destination, extent(job.aux.expose_provenance(), job.aux_len, FaultKind::Write)]
        }
        _ => [source, destination, None],
    }
}
