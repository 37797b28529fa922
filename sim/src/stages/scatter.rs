//! Scatter: the job's output goes out.

use uaccel_queue::Outcome;

use super::compute::produced;
use super::{Stage, Step};
use crate::{Access, MemoryPort, WorkItem};

/// Brings the job's output from staging to where it belongs.
pub fn scatter<P: MemoryPort>(item: &mut WorkItem, port: &P) -> Step {
    debug_assert_eq!(item.stage, Stage::Scatter);
    let produced = produced(&item.work, &item.outcome).min(item.destination.len);
    let Some(staging) = item.staging.as_deref_mut() else {
        item.stage = Stage::Complete;
        return Step::Done;
    };
    let bytes = staging.destination_buffer.room(produced);
    while staging.scattered < produced {
        let address = item.destination.address.wrapping_add(staging.scattered as u64);
        match port.write(item.space, address, &bytes[staging.scattered..]) {
            Access::Ready(count) => staging.scattered += count.min(produced - staging.scattered),
            Access::Fault(fault) => {
                item.finish(Outcome::faulted(fault));
                return Step::Done;
            }
            Access::Pending(request) => return Step::Parked(request),
        }
    }
    item.stage = Stage::Complete;
    Step::Done
}
