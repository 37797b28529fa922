//! Scatter: the job's output goes out.

use uaccel_queue::{Outcome, Status};

use arrayvec::ArrayVec;

use super::compute::produced;
use super::{JobAccess, MANY, Stage, Step};
use crate::pieces::Range;
use crate::{Access, MemoryPort, WorkItem, WritePart};

/// Brings out what it can of the output of several jobs of one address space at once. It is only faster: [`scatter`] does the rest, and
/// finds out what is wrong.
pub fn scatter_many<P: MemoryPort>(items: &mut [WorkItem], port: &P) {
    for some in items.chunks_mut(MANY) {
        scatter_some(some, port);
    }
}

fn scatter_some<P: MemoryPort>(items: &mut [WorkItem], port: &P) {
    let Some(space) = items.first().map(|item| item.space) else { return };
    let mut parts: ArrayVec<WritePart<'_>, MANY> = ArrayVec::new();
    let mut owners: ArrayVec<usize, MANY> = ArrayVec::new();
    for (index, item) in items.iter().enumerate() {
        if item.stage != Stage::Scatter || item.space != space || item.extra.is_some() {
            continue;
        }
        let Some(staging) = item.staging.as_deref().filter(|staging| staging.scattered == 0) else { continue };
        let len = produced(&item.work, &item.outcome).min(item.destination.len);
        if len != 0 {
            parts.push(WritePart { address: item.destination.address, bytes: staging.destination_buffer.bytes(len) });
            owners.push(index);
        }
    }
    if parts.len() < 2 {
        return;
    }
    let whole = port.write_many(space, &parts).min(parts.len());
    drop(parts);
    for index in &owners[..whole] {
        let item = &mut items[*index];
        let len = produced(&item.work, &item.outcome).min(item.destination.len);
        if let Some(staging) = item.staging.as_deref_mut() {
            staging.scattered = len;
        }
    }
}

/// Brings the job's output from staging to where it belongs.
pub fn scatter<P: MemoryPort>(item: &mut WorkItem, port: &P) -> Step {
    debug_assert_eq!(item.stage, Stage::Scatter);
    let produced = produced(&item.work, &item.outcome).min(item.destination.len);
    let memory = JobAccess::new(item, port);
    let Some(staging) = item.staging.as_deref_mut() else {
        item.stage = Stage::Complete;
        return Step::Done;
    };
    let bytes = staging.destination_buffer.room(produced);
    let flat = item.destination;
    let range = item.extra.as_deref().map_or(Range::Flat(flat), |extra| extra.destination(flat));
    while staging.scattered < produced {
        let step = range.from(staging.scattered, produced - staging.scattered);
        if step.len == 0 {
            item.finish(Outcome::failed(Status::InvalidJob));
            return Step::Done;
        }
        match memory.write(step.address, &bytes[staging.scattered..staging.scattered + step.len]) {
            Access::Ready(count) => staging.scattered += count.min(step.len),
            Access::Fault(fault) => {
                item.finish(Outcome::faulted(fault));
                return Step::Done;
            }
            Access::Pending(request) => return Step::Parked(request),
        }
    }
    if let Some(extra) = item.extra.as_deref_mut() {
        while let Some(rest @ [_, ..]) = extra.aftermath.bytes.get(extra.scattered..) {
            match port.write(item.space, extra.second.wrapping_add(extra.scattered as u64), rest) {
                Access::Ready(count) => extra.scattered += count,
                Access::Fault(fault) => {
                    item.finish(Outcome::faulted(fault));
                    return Step::Done;
                }
                Access::Pending(request) => return Step::Parked(request),
            }
        }
    }
    item.stage = Stage::Complete;
    Step::Done
}
