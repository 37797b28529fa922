//! Gather: the job's input comes in.

use uaccel_queue::{JobFlags, Operation, Outcome};

use super::staging::{Buffer, Inlet, Outlet};
use super::{Pool, Stage, Staging, Step};
use crate::{Access, AddressSpace, MemoryPort, Span, Work, WorkItem};

/// Brings the job's input into staging, or finds out that it can stay where it is.
#[inline]
pub fn gather<P: MemoryPort>(item: &mut WorkItem, port: &P, pool: &mut Pool) -> Step {
    debug_assert_eq!(item.stage, Stage::Gather);
    if let Work::Plain(Operation::Nop) = item.work {
        // Nothing comes in, nothing goes out: the outcome it was made with is the right one.
        item.stage = Stage::Complete;
        return Step::Done;
    }
    bring(item, port, pool)
}

/// Gathers for a job that has memory.
fn bring<P: MemoryPort>(item: &mut WorkItem, port: &P, pool: &mut Pool) -> Step {
    let (space, flags) = (item.space, item.flags);
    let (source, aux, destination) = (item.source, item.aux, item.destination);
    let staging = pool.supply(item);
    if !staging.placed {
        staging.placed = true;
        if flags.contains(JobFlags::VOUCHED) {
            place(staging, port, space, source, aux, destination, !flags.contains(JobFlags::UNINIT_DESTINATION));
        }
    }
    let Staging {
        source: source_inlet,
        aux: aux_inlet,
        source_buffer,
        aux_buffer,
        gathered: [source_done, aux_done],
        ..
    } = staging;
    let halt = match bring_in(port, space, source_inlet, source_buffer, source, source_done) {
        None => bring_in(port, space, aux_inlet, aux_buffer, aux, aux_done),
        halt => halt,
    };
    match halt {
        None => item.stage = Stage::Compute,
        Some(Halt::Ended(outcome)) => item.finish(outcome),
        Some(Halt::Parked(step)) => return step,
    }
    Step::Done
}

/// Why not all input is in.
enum Halt {
    Ended(Outcome),
    Parked(Step),
}

/// Finds out what can be used where it is.
fn place<P: MemoryPort>(
    staging: &mut Staging,
    port: &P,
    space: AddressSpace,
    source: Span,
    aux: Span,
    destination: Span,
    initialised: bool,
) {
    // Reading and writing the same bytes in place would be two views of one memory: such a source is copied first.
    if !source.overlaps(destination)
        && source.len != 0
        && let Some(window) = port.source_in_place(space, source)
    {
        staging.source = Inlet::InPlace(window);
    }
    if !aux.overlaps(destination)
        && aux.len != 0
        && let Some(window) = port.source_in_place(space, aux)
    {
        staging.aux = Inlet::InPlace(window);
    }
    if destination.len != 0
        && let Some(window) = port.target_in_place(space, destination, initialised)
    {
        staging.destination = Outlet::InPlace(window);
    }
}

fn bring_in<P: MemoryPort>(
    port: &P,
    space: AddressSpace,
    inlet: &Inlet,
    buffer: &mut Buffer,
    span: Span,
    done: &mut usize,
) -> Option<Halt> {
    if let Inlet::InPlace(_) = inlet {
        return None;
    }
    let room = buffer.room(span.len);
    while *done < span.len {
        let address = span.address.wrapping_add(*done as u64);
        match port.read(space, address, &mut room[*done..]) {
            Access::Ready(count) => *done += count.min(span.len - *done),
            Access::Fault(fault) => return Some(Halt::Ended(Outcome::faulted(fault))),
            Access::Pending(request) => return Some(Halt::Parked(Step::Parked(request))),
        }
    }
    None
}
