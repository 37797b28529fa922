//! A descriptor becomes a job.

use uaccel_queue::{JobFlags, Operation, Outcome, Status};
use uaccel_warp_abi::{Descriptor, DescriptorFlags};

use super::sessions::Sessions;
use crate::{AddressSpace, Span, Work, WorkItem};

/// Appends the job that a descriptor asks for, or the answer that there can be no such job. Fields the operation does not use are not
/// looked at. The job is built where it stays: it is too large to be handed around on the way of a null job.
#[inline]
pub(super) fn decode(
    descriptor: &Descriptor,
    cookie: u64,
    space: AddressSpace,
    sessions: &Sessions,
    max_transfer: u32,
    items: &mut Vec<WorkItem>,
) {
    let tag = u64::from(descriptor.token);
    match work(descriptor, sessions) {
        Ok(work) => {
            let nop = matches!(work, Work::Plain(Operation::Nop));
            items.push(WorkItem::new(cookie, tag, space, work));
            if !nop
                && let Some(item) = items.last_mut()
                && let Err(status) = fill_in(item, descriptor, max_transfer)
            {
                item.finish(Outcome::failed(status));
            }
        }
        Err(status) => items.push(WorkItem::answered(cookie, tag, space, Outcome::failed(status))),
    }
}

/// Finds who does the work.
#[inline]
fn work(descriptor: &Descriptor, sessions: &Sessions) -> Result<Work, Status> {
    let operation = Operation::from_raw(descriptor.opcode).ok_or(Status::Unsupported)?;
    if !operation.needs_session() {
        return Ok(Work::Plain(operation));
    }
    let unit =
        sessions.get(descriptor.session).filter(|unit| unit.operation() == operation).ok_or(Status::BadSession)?;
    Ok(Work::Session(unit.clone()))
}

/// Fills in the memory that a job names.
fn fill_in(item: &mut WorkItem, descriptor: &Descriptor, max_transfer: u32) -> Result<(), Status> {
    let span = |address, len: u32| {
        // Widening: a length has 32 bits.
        let span = Span::new(address, len as usize);
        if len > max_transfer || span.end().is_none() { Err(Status::InvalidJob) } else { Ok(span) }
    };
    let operation = match &item.work {
        Work::Session(unit) => unit.operation(),
        Work::Plain(operation) => *operation,
        Work::Own(_) => return Err(Status::Unsupported),
    };
    item.flags = job_flags(descriptor.flags);
    item.operand = match operation {
        Operation::Encrypt | Operation::Decrypt => descriptor.wide_operand(),
        _ => Descriptor { aux_len: 0, ..*descriptor }.wide_operand(),
    };
    let (reads, writes, reads_aux) = shape(operation);
    if reads {
        item.source = span(descriptor.source, descriptor.source_len)?;
    }
    if writes {
        item.destination = span(descriptor.destination, descriptor.destination_len)?;
    }
    if reads_aux {
        item.aux = span(descriptor.aux, descriptor.aux_len)?;
    }
    let fits = match operation {
        Operation::Copy => item.source.len == item.destination.len,
        Operation::Compare => item.source.len == item.aux.len,
        _ => true,
    };
    if fits { Ok(()) } else { Err(Status::InvalidJob) }
}

/// Whether an operation reads a source, writes a destination, reads a second source.
const fn shape(operation: Operation) -> (bool, bool, bool) {
    match operation {
        Operation::Nop => (false, false, false),
        Operation::Fill => (false, true, false),
        Operation::Compare => (true, false, true),
        Operation::Crc32 | Operation::Crc32c => (true, false, false),
        Operation::Seal | Operation::Open => (true, true, true),
        _ => (true, true, false),
    }
}

fn job_flags(flags: DescriptorFlags) -> JobFlags {
    let mut job = JobFlags::empty();
    job.set(JobFlags::VOUCHED, flags.contains(DescriptorFlags::VOUCHED));
    job.set(JobFlags::UNINIT_DESTINATION, flags.contains(DescriptorFlags::UNINIT_DESTINATION));
    job
}
