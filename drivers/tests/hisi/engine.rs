//! An honest engine: deflate, and the trailers.

use std::{ptr, slice};

use uaccel_hisi_abi::zip::{
    Buffers, COMPRESS, Ended, Entry, Flow, ListEntry, ListHead, Request, Results, Status as Engine, WINDOWS,
};
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
    assert_eq!(entry.flow, Flow::WHOLE, "whole streams");
    assert_ne!(entry.source_len, 0, "something to read");
    let (source, destination) = match entry.buffers {
        Buffers::Flat => {
            (vec![(entry.source, entry.source_len as usize)], vec![(entry.destination, entry.destination_len as usize)])
        }
        Buffers::Listed { source_skip, destination_skip } => (
            stretches(entry.source, source_skip as usize, entry.source_len as usize),
            stretches(entry.destination, destination_skip as usize, entry.destination_len as usize),
        ),
    };
    let source = gather(&source);
    let source = &source[..];
    let (algorithm, header) = header(entry.request);
    let direction = if kind == COMPRESS { Direction::Forward } else { Direction::Inverse };
    let mut spec = SessionSpec::compression(algorithm, direction, None).expect("the default level");
    if kind == COMPRESS && algorithm.windows().is_some() {
        spec = spec.with_window(WINDOWS[usize::from(entry.window)]).expect("a window");
    }
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
    scatter(&destination, &made[..produced as usize]);
    Results { consumed: consumed as u32, produced: produced as u32, ended }
}

fn run(unit: &Unit, source: &[u8], destination: &mut [u8]) -> Outcome {
    unit.run(&mut Scratch::default(), &Input { source, aux: &[], immediate: [0; 16] }, destination)
}

/// Where the bytes are that a chain of lists names, but for the first ones: addresses and lengths.
fn stretches(mut list: u64, mut skip: usize, mut left: usize) -> Vec<(u64, usize)> {
    let (mut stretches, mut seen, mut whole) = (Vec::new(), 0, None);
    while list != 0 {
        assert_eq!(list % ListHead::ALIGN, 0, "lists are aligned");
        let head = ListHead::decode(&read(list));
        assert!(head.entries <= head.room && head.room <= ListHead::MOST, "{head:?}");
        assert_eq!(*whole.get_or_insert(head.chain), head.chain, "each list knows the whole");
        for entry in 0..head.entries {
            let ListEntry { address, len } =
                ListEntry::decode(&read(list + (ListHead::SIZE + usize::from(entry) * ListEntry::SIZE) as u64));
            assert_ne!(len, 0, "pieces have bytes");
            let skipped = skip.min(len as usize);
            let taken = left.min(len as usize - skipped);
            stretches.push((address + skipped as u64, taken));
            (skip, left) = (skip - skipped, left - taken);
        }
        seen += head.entries;
        list = head.next;
    }
    assert_eq!((whole, left), (Some(seen), 0), "as many entries and bytes as were said");
    stretches
}

fn read<const LEN: usize>(address: u64) -> [u8; LEN] {
    // SAFETY: a list of a job in flight, which nobody writes.
    unsafe { ptr::with_exposed_provenance::<[u8; LEN]>(address as usize).read() }
}

fn gather(stretches: &[(u64, usize)]) -> Vec<u8> {
    let piece = |(address, len): &(u64, usize)| {
        // SAFETY: the memory of a job in flight, which is vouched for.
        unsafe { slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(*address as usize), *len) }
    };
    stretches.iter().filter(|(_, len)| *len > 0).flat_map(piece).copied().collect()
}

fn scatter(stretches: &[(u64, usize)], mut bytes: &[u8]) {
    for (address, len) in stretches {
        let (piece, rest) = bytes.split_at(bytes.len().min(*len));
        let destination = ptr::with_exposed_provenance_mut::<u8>(*address as usize);
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), destination, piece.len()) };
        bytes = rest;
    }
}
