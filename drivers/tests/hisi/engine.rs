//! An honest engine: deflate, and the trailers.

use std::{ptr, slice};

use uaccel_hisi_abi::zip::{Buffers, COMPRESS, Ended, Entry, Flow, Request, Results, Status as Engine};
use uaccel_queue::{Algorithm, Direction, Outcome, SessionSpec, Status};
use uaccel_units::{Input, Scratch, Unit};

/// Headers, which are not the engine's business, but its library's.
fn header(request: Request) -> (Algorithm, &'static [u8]) {
    match request {
        Request::Deflate => (Algorithm::Deflate, &[]),
        Request::Zlib => (Algorithm::Zlib, &[0x78, 0x9c]),
        Request::Gzip => (Algorithm::Gzip, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
        Request::Lz4 => (Algorithm::Lz4Block, &[]),
        other => panic!("{other:?} was not granted"),
    }
}

/// Does what an entry asks for. Its memory is vouched for.
pub(crate) fn work(kind: u16, entry: &Entry) -> Results {
    assert_eq!((entry.flow, entry.buffers), (Flow::WHOLE, Buffers::Flat), "whole streams");
    assert_ne!(entry.source_len, 0, "something to read");
    let source: *const u8 = ptr::with_exposed_provenance(entry.source as usize);
    // SAFETY: the memory of a job in flight, which is vouched for.
    let source = unsafe { slice::from_raw_parts(source, entry.source_len as usize) };
    let (algorithm, header) = header(entry.request);
    let direction = if kind == COMPRESS { Direction::Forward } else { Direction::Inverse };
    let spec = SessionSpec::compression(algorithm, direction, None).expect("the default level");
    let unit = Unit::new(&spec).expect("a unit");
    let room = entry.destination_len as usize;
    let (outcome, made, consumed) = if kind == COMPRESS {
        let mut made = vec![0; room + header.len()];
        let outcome = run(&unit, source, &mut made);
        (outcome, made.split_off(header.len()), outcome.consumed)
    } else {
        let mut made = vec![0; room];
        let outcome = run(&unit, &[header, source].concat(), &mut made);
        (outcome, made, outcome.consumed.saturating_sub(header.len() as u64))
    };
    let produced =
        if kind == COMPRESS { outcome.produced - outcome.produced.min(header.len() as u64) } else { outcome.produced };
    let ended = match outcome.status {
        Status::Ok if kind == COMPRESS => Ended::new(Engine::Ok, false),
        Status::Ok => Ended::new(Engine::StreamEnd, true),
        Status::OutputTooSmall => Ended::new(Engine::NoSpace, false),
        Status::Truncated => Ended::new(Engine::Truncated, false),
        _ => Ended::new(Engine::Corrupt, false),
    };
    if outcome.status != Status::Ok {
        return Results { consumed: 0, produced: 0, ended };
    }
    let destination: *mut u8 = ptr::with_exposed_provenance_mut(entry.destination as usize);
    // SAFETY: as above; no longer than the room.
    unsafe { ptr::copy_nonoverlapping(made.as_ptr(), destination, produced as usize) };
    Results { consumed: consumed as u32, produced: produced as u32, ended }
}

fn run(unit: &Unit, source: &[u8], destination: &mut [u8]) -> Outcome {
    unit.run(&mut Scratch::default(), &Input { source, aux: &[], immediate: [0; 16] }, destination)
}
