//! Gather: the job's input comes in.

use uaccel_queue::{JobFlags, Operation, Outcome, Status};

use arrayvec::ArrayVec;

use super::staging::{Buffer, Inlet, Outlet};
use super::{JobAccess, MANY, Pool, Stage, Staging, Step};
use crate::pieces::{Range, Unknown};
use crate::{Access, AddressSpace, MemoryPort, ReadPart, Span, Work, WorkItem};

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

/// Brings in what it can of the input of several jobs of one address space at once. It is only faster: [`gather`] does the rest, and
/// finds out what is wrong.
pub fn gather_many<P: MemoryPort>(items: &mut [WorkItem], port: &P, pool: &mut Pool) {
    for some in items.chunks_mut(MANY / 2) {
        gather_some(some, port, pool);
    }
}

fn gather_some<P: MemoryPort>(items: &mut [WorkItem], port: &P, pool: &mut Pool) {
    let Some(space) = items.first().map(|item| item.space) else { return };
    let mut parts: ArrayVec<ReadPart<'_>, MANY> = ArrayVec::new();
    let mut owners: ArrayVec<(usize, usize), MANY> = ArrayVec::new();
    for (index, item) in items.iter_mut().enumerate() {
        let flat = item.extra.is_none();
        if item.stage != Stage::Gather || item.space != space || !flat || !has_input(item) || copy_in_place(item, port)
        {
            continue;
        }
        let spans = [item.source, item.aux];
        let staging = placed(item, port, pool);
        let Staging { source, aux, source_buffer, aux_buffer, gathered, .. } = staging;
        let ways = [(source, source_buffer, spans[0]), (aux, aux_buffer, spans[1])];
        for (which, (inlet, buffer, span)) in ways.into_iter().enumerate() {
            if matches!(inlet, Inlet::Staged) && span.len != 0 && gathered[which] == 0 {
                parts.push(ReadPart { address: span.address, bytes: buffer.room(span.len) });
                owners.push((index, which));
            }
        }
    }
    if parts.len() < 2 {
        return;
    }
    let whole = port.read_many(space, &mut parts).min(parts.len());
    drop(parts);
    for (index, which) in &owners[..whole] {
        let item = &mut items[*index];
        let len = [item.source.len, item.aux.len][*which];
        if let Some(staging) = item.staging.as_deref_mut() {
            staging.gathered[*which] = len;
        }
    }
}

/// Whether the job reads memory at all.
fn has_input(item: &WorkItem) -> bool {
    !matches!(item.work, Work::Plain(Operation::Nop)) && (item.source.len != 0 || item.aux.len != 0)
}

/// Does a copy to its end, if it needs no staging; `false` if nothing was done.
#[inline]
pub(crate) fn copy_in_place<P: MemoryPort>(item: &mut WorkItem, port: &P) -> bool {
    let is_copy = matches!(item.work, Work::Plain(Operation::Copy)) && item.staging.is_none();
    let (source, destination) = (item.source, item.destination);
    let done =
        is_copy && source.len != 0 && source.len == destination.len && port.copy(item.space, source, destination);
    if done {
        item.finish(Outcome::ok(source.len as u64, destination.len as u64));
    }
    done
}

/// Gives a job staging, and finds out what can be used where it is.
fn placed<'a, P: MemoryPort>(item: &'a mut WorkItem, port: &P, pool: &mut Pool) -> &'a mut Staging {
    let (space, flags) = (item.space, item.flags);
    let (source, aux, destination) = (item.source, item.aux, item.destination);
    let staging = pool.supply(item);
    if !staging.placed {
        staging.placed = true;
        // Nobody vouches for what is in pieces.
        if flags.contains(JobFlags::VOUCHED) {
            place(staging, port, space, source, aux, destination, !flags.contains(JobFlags::UNINIT_DESTINATION));
        }
    }
    staging
}

/// Gathers for a job that has memory.
fn bring<P: MemoryPort>(item: &mut WorkItem, port: &P, pool: &mut Pool) -> Step {
    let space = item.space;
    // Put back below, unless the job ends here: it is borrowed beside the staging.
    let mut extra = item.extra.take();
    match extra.as_deref_mut().map_or(Ok(()), |extra| extra.resolve(port, space)) {
        Ok(()) => {}
        Err(Unknown::Parked(request)) => {
            item.extra = extra;
            return Step::Parked(request);
        }
        Err(Unknown::Ended(outcome)) => {
            item.finish(outcome);
            return Step::Done;
        }
    }
    if extra.is_none() && copy_in_place(item, port) {
        return Step::Done;
    }
    let source = extra.as_deref().map_or(Range::Flat(item.source), |extra| extra.source(item.source));
    let aux = Range::Flat(item.aux);
    let lens = [item.source.len, item.aux.len];
    let memory = JobAccess::new(item, port);
    let staging = placed(item, port, pool);
    let Staging {
        source: source_inlet,
        aux: aux_inlet,
        source_buffer,
        aux_buffer,
        gathered: [source_done, aux_done],
        ..
    } = staging;
    let halt = match bring_in(&memory, source_inlet, source_buffer, source, lens[0], source_done) {
        None => bring_in(&memory, aux_inlet, aux_buffer, aux, lens[1], aux_done),
        halt => halt,
    };
    item.extra = extra;
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
    memory: &JobAccess<'_, P>,
    inlet: &Inlet,
    buffer: &mut Buffer,
    range: Range<'_>,
    len: usize,
    done: &mut usize,
) -> Option<Halt> {
    if let Inlet::InPlace(_) = inlet {
        return None;
    }
    let room = buffer.room(len);
    while *done < len {
        let step = range.from(*done, len - *done);
        if step.len == 0 {
            return Some(Halt::Ended(Outcome::failed(Status::InvalidJob)));
        }
        match memory.read(step.address, &mut room[*done..*done + step.len]) {
            Access::Ready(count) => *done += count.min(step.len),
            Access::Fault(fault) => return Some(Halt::Ended(Outcome::faulted(fault))),
            Access::Pending(request) => return Some(Halt::Parked(Step::Parked(request))),
        }
    }
    None
}
