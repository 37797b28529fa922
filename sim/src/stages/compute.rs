//! Compute: bytes become bytes.

use core::mem;

use uaccel_queue::{Operation, Outcome, Status};
use uaccel_units::{Input, Scratch, Unit, plain};

use super::staging::{Buffer, Inlet, Outlet};
use super::{Stage, Staging};
use crate::{Span, Task, Work, WorkItem};

/// The tag of every AEAD we have.
const TAG: usize = 16;

/// Does the work. Needs no port, so it may run anywhere.
pub fn compute(item: &mut WorkItem, scratch: &mut Scratch) {
    debug_assert_eq!(item.stage, Stage::Compute);
    item.stage = Stage::Scatter;
    let Some(staging) = item.staging.as_deref_mut() else {
        // Gather gives staging to every job that has memory, and ends the others.
        item.finish(Outcome::ok(0, 0));
        return;
    };
    item.outcome = match &item.work {
        Work::Plain(Operation::Copy) => copy(staging, item.source, item.destination),
        work => {
            let room = useful_room(work, item.source.len, item.destination.len);
            let Staging { source, aux, destination, source_buffer, aux_buffer, destination_buffer, .. } = staging;
            let source = bytes(source, source_buffer, item.source);
            let aux = bytes(aux, aux_buffer, item.aux);
            let destination = match destination {
                Outlet::InPlace(window) => &mut window.bytes()[..room],
                Outlet::Staged => destination_buffer.room(room),
            };
            match work {
                Work::Plain(operation) => simple(*operation, source, aux, &item.operand, destination),
                Work::Session(unit) => unit.run(scratch, &Input { source, aux, immediate: item.operand }, destination),
                Work::Own(own) => own.compute(&Task { source, aux, operand: item.operand }, scratch, destination),
            }
        }
    };
    let mut second = false;
    if let (Work::Own(own), Some(extra), Status::Ok) = (&item.work, &mut item.extra, item.outcome.status) {
        extra.aftermath = own.aftermath().unwrap_or_default();
        second = !extra.aftermath.bytes.is_empty();
    }
    let nothing_to_bring_out =
        !second && (matches!(staging.destination, Outlet::InPlace(_)) || produced(&item.work, &item.outcome) == 0);
    if item.outcome.status != Status::Ok || nothing_to_bring_out {
        item.stage = Stage::Complete;
    }
}

/// How many bytes of the destination the outcome stands for.
pub(super) fn produced(work: &Work, outcome: &Outcome) -> usize {
    match work {
        Work::Plain(Operation::Copy | Operation::Fill) | Work::Session(_) | Work::Own(_) => {
            usize::try_from(outcome.produced).unwrap_or(0)
        }
        Work::Plain(_) => 0,
    }
}

/// How much of the room can be of use: what nobody will write need not be prepared.
fn useful_room(work: &Work, source: usize, room: usize) -> usize {
    let useful = match work {
        Work::Session(unit) => match unit.operation() {
            Operation::Seal => source.saturating_add(TAG),
            Operation::Open => source.saturating_sub(TAG),
            Operation::Encrypt | Operation::Decrypt => source,
            Operation::Digest => unit.algorithm().digest_len().unwrap_or(usize::MAX),
            _ => usize::MAX,
        },
        _ => usize::MAX,
    };
    useful.min(room)
}

fn bytes<'a>(inlet: &'a Inlet, buffer: &'a Buffer, span: Span) -> &'a [u8] {
    match inlet {
        Inlet::InPlace(window) => window.bytes(),
        Inlet::Staged => buffer.bytes(span.len),
    }
}

/// Copies, in as few steps as the places allow.
fn copy(staging: &mut Staging, source: Span, destination: Span) -> Outcome {
    if source.len != destination.len {
        return Outcome::failed(Status::InvalidJob);
    }
    let Staging { source: inlet, destination: outlet, source_buffer, destination_buffer, .. } = staging;
    match (&*inlet, outlet) {
        (Inlet::Staged, Outlet::Staged) => mem::swap(source_buffer, destination_buffer),
        (Inlet::InPlace(window), Outlet::Staged) => {
            destination_buffer.room(destination.len).copy_from_slice(window.bytes())
        }
        (inlet, Outlet::InPlace(window)) => window.copy_from(bytes(inlet, source_buffer, source)),
    }
    Outcome::ok(source.len as u64, destination.len as u64)
}

fn simple(operation: Operation, source: &[u8], aux: &[u8], operand: &[u8; 16], destination: &mut [u8]) -> Outcome {
    let [a, b, c, d, e, f, g, h, ..] = *operand;
    let seed = u32::from_le_bytes([a, b, c, d]);
    let len = source.len() as u64;
    match operation {
        Operation::Nop => Outcome::ok(0, 0),
        Operation::Fill => {
            plain::fill(u64::from_le_bytes([a, b, c, d, e, f, g, h]), destination);
            Outcome::ok(0, destination.len() as u64)
        }
        Operation::Compare if aux.len() != source.len() => Outcome::failed(Status::InvalidJob),
        Operation::Compare => Outcome::ok(len, plain::compare(source, aux) as u64),
        Operation::Crc32c => Outcome::ok(len, 0).with_checksum(plain::crc32c(seed, source)),
        Operation::Crc32 => Outcome::ok(len, 0).with_checksum(plain::crc32(seed, source)),
        _ => Outcome::failed(Status::Unsupported),
    }
}

/// Whether this build computes the algorithm, for models that describe themselves.
#[must_use]
pub(crate) fn computes(algorithm: uaccel_queue::Algorithm, direction: uaccel_queue::Direction) -> bool {
    Unit::supports(algorithm, direction)
}
