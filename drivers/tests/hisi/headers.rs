//! Headers of streams.

use flate2::{Compression, GzBuilder};
use proptest::prelude::*;
use std::io::Write;
use uaccel_queue::{Algorithm, Fault, FaultKind, JobFlags, Outcome, Status};

use crate::device::{Copies, Device};
use crate::queue::{FORMATS, Queue, forward, inverse};

/// How long the driver takes the header to be, by what it has left for the engine; or how the job ended without it.
fn header(format: Algorithm, stream: &[u8]) -> Result<usize, Outcome> {
    let device = Device::new(4);
    let mut queue = Queue::over(&device, 1);
    queue.send(0, inverse(format), stream, 10);
    let seen = || {
        let entry = device.decompress.entry(0);
        let source = queue.memory[0].0.address() as u64;
        let header = (entry.source - source) as usize;
        assert_eq!(entry.source_len as usize, stream.len() - header);
        header
    };
    if device.decompress.waiting() == 1 { Ok(seen()) } else { Err(queue.outcome()) }
}

fn failed(status: Status) -> Result<usize, Outcome> {
    Err(Outcome::failed(status))
}

#[test]
fn every_beginning_of_a_zlib_stream() {
    for first in 0..=u8::MAX {
        for second in 0..=u8::MAX {
            // RFC 1950, 2.2: deflate, a window of up to 32 KiB, a check, and no dictionary.
            let legal = first & 0xf == 8
                && first >> 4 <= 7
                && (u32::from(first) * 256 + u32::from(second)) % 31 == 0
                && second & 0x20 == 0;
            // One queue for all would be as good, but slower: its jobs are not answered.
            if legal || first % 16 == 8 && second % 8 == 0 {
                let expected = if legal { Ok(2) } else { failed(Status::Corrupt) };
                assert_eq!(header(Algorithm::Zlib, &[first, second, 3, 0]), expected, "{first:#x} {second:#x}");
            }
        }
    }
    for cut in 0..3 {
        assert_eq!(header(Algorithm::Zlib, &[0x78, 0x9c][..cut.min(2)]), failed(Status::Truncated), "{cut} bytes");
    }
}

/// A gzip header by hand: RFC 1952, 2.3.
pub(crate) fn by_hand(flags: u8, extra: &[u8], name: &[u8], comment: &[u8]) -> Vec<u8> {
    let mut header = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 2, 255];
    if flags & 4 != 0 {
        header.extend((extra.len() as u16).to_le_bytes());
        header.extend(extra);
    }
    for (flag, text) in [(8, name), (16, comment)] {
        if flags & flag != 0 {
            header.extend(text);
            header.push(0);
        }
    }
    if flags & 2 != 0 {
        let checksum = (0..header.len()).fold(!0_u32, |register, at| {
            (0..8).fold(register ^ u32::from(header[at]), |register, _| {
                register >> 1 ^ if register & 1 != 0 { 0xedb8_8320 } else { 0 }
            })
        });
        header.extend(&(!checksum).to_le_bytes()[..2]);
    }
    header
}

#[test]
fn every_flag_of_a_gzip_header() {
    for flags in 0..=u8::MAX {
        let header_bytes = by_hand(flags, &[1; 300], b"a name", b"a comment");
        let stream = [&header_bytes[..], &[3, 0]].concat();
        let expected = if flags & 0xe0 == 0 { Ok(header_bytes.len()) } else { failed(Status::Corrupt) };
        assert_eq!(header(Algorithm::Gzip, &stream), expected, "{flags:#x}");
    }
}

#[test]
fn what_is_no_gzip_header() {
    let sound = by_hand(0, b"", b"", b"");
    for at in 0..3 {
        let mut broken = [&sound[..], &[3, 0]].concat();
        broken[at] ^= 1;
        assert_eq!(header(Algorithm::Gzip, &broken), failed(Status::Corrupt), "byte {at}");
    }
    let mut sums = by_hand(2, b"", b"", b"");
    *sums.last_mut().expect("a checksum") ^= 1;
    assert_eq!(header(Algorithm::Gzip, &[&sums[..], &[3, 0]].concat()), failed(Status::Corrupt));
}

#[test]
fn gzip_headers_that_end_early() {
    let whole = by_hand(0x1e, &[7; 600], &[b'n'; 700], &[b'c'; 800]);
    for cut in (0..=whole.len()).step_by(13).chain([9, 10, 11, 12, whole.len() - 1, whole.len()]) {
        assert_eq!(header(Algorithm::Gzip, &whole[..cut]), failed(Status::Truncated), "{cut} bytes");
    }
}

#[test]
fn memory_nobody_vouches_for_is_copied_by_the_transport() {
    let gzip = [&by_hand(8, b"", &[b'n'; 2000], b"")[..], &[3, 0]].concat();
    let zlib = [0x78, 0x9c, 3, 0];
    for (format, stream, len) in [(Algorithm::Gzip, &gzip[..], 2011), (Algorithm::Zlib, &zlib[..], 2)] {
        for copies in [None, Some(usize::MAX), Some(1000)] {
            let device = Device::new(4);
            let mut queue = Queue::over(&device, 2);
            queue.build_with(0, inverse(format), stream, 10, |job| job.flags = JobFlags::empty());
            queue.build_with(1, forward(format), stream, 100, |job| job.flags = JobFlags::empty());
            let source = queue.memory[0].0.address().addr();
            let destination = queue.memory[1].1.address().addr();
            let limit = |from: usize| copies.map_or(Copies::Refused, |limit| Copies::Below(from.saturating_add(limit)));
            *device.copies.lock().expect("free") = limit(source);
            queue.submit(&[0]).expect("the queue works");
            // Nothing of the header is at its address any more.
            *device.copies.lock().expect("free") = limit(destination.wrapping_sub(999));
            queue.submit(&[1]).expect("the queue works");
            let answers = queue.poll().expect("the queue works");
            let fault = |address, kind| Outcome::faulted(Fault { address: address as u64, kind });
            match copies {
                None => {
                    let refused = Outcome::failed(Status::Unsupported);
                    assert_eq!(answers, [(0, refused), (1, refused)]);
                }
                Some(1000) => {
                    // The second byte of the destination, and a byte of the long header.
                    assert_eq!(answers.last(), Some(&(1, fault(destination + 1, FaultKind::Write))));
                    let Some((0, outcome)) = answers.first().filter(|_| answers.len() == 2) else {
                        assert_eq!((answers.len(), len), (1, 2), "a short header is read");
                        continue;
                    };
                    assert_eq!(*outcome, fault(source + 1000, FaultKind::Read));
                }
                Some(_) => {
                    assert_eq!(answers, []);
                    assert_eq!(device.decompress.entry(0).source, (source + len) as u64);
                    assert_eq!(device.compress.waiting(), 1);
                    assert_eq!(queue.memory[1].1.bytes()[..2], if len == 2 { [0x78, 0x9c] } else { [0x1f, 0x8b] });
                }
            }
        }
    }
}

#[test]
fn raw_deflate_needs_no_copies() {
    let device = Device::new(4);
    let mut queue = Queue::over(&device, 2);
    queue.build_with(0, inverse(Algorithm::Deflate), &[3, 0], 10, |job| job.flags = JobFlags::empty());
    queue.build_with(1, forward(Algorithm::Deflate), &[3, 0], 10, |job| job.flags = JobFlags::empty());
    queue.submit(&[0, 1]).expect("the queue works");
    assert_eq!((device.compress.waiting(), device.decompress.waiting()), (1, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// What another library makes, with names and all, decompresses.
    #[test]
    fn members_of_another_library(
        text in prop::collection::vec(any::<u8>(), 0..2000),
        name in prop::option::of("[a-z]{0,600}"),
        comment in prop::option::of("[a-z ]{0,600}"),
        extra in prop::option::of(prop::collection::vec(any::<u8>(), 0..700)),
        time: u32,
    ) {
        let mut builder = GzBuilder::new().mtime(time);
        if let Some(name) = name { builder = builder.filename(name); }
        if let Some(comment) = comment { builder = builder.comment(comment); }
        if let Some(extra) = extra { builder = builder.extra(extra); }
        let mut encoder = builder.write(Vec::new(), Compression::fast());
        encoder.write_all(&text).expect("memory takes all");
        let stream = encoder.finish().expect("memory takes all");
        let device = Device::honest(4);
        let mut queue = Queue::over(&device, 1);
        let (outcome, room) = queue.run(inverse(Algorithm::Gzip), &stream, text.len());
        prop_assert_eq!(outcome, Outcome::ok(stream.len() as u64, text.len() as u64));
        prop_assert_eq!(room, text);
    }

    /// No panic, nothing beyond the source, whatever the bytes.
    #[test]
    fn any_bytes_have_a_header_or_none(
        mut bytes in prop::collection::vec(any::<u8>(), 0..600),
        flags in prop::option::of(0..0x20_u8),
    ) {
        if let (Some(flags), [a, b, c, d, ..]) = (flags, &mut bytes[..]) {
            [*a, *b, *c, *d] = [0x1f, 0x8b, 8, flags];
        }
        for format in FORMATS {
            match header(format, &bytes) {
                Ok(header) => prop_assert!(header < bytes.len()),
                Err(outcome) => prop_assert!(
                    matches!(outcome.status, Status::Corrupt | Status::Truncated), "{:?}", outcome
                ),
            }
        }
    }
}
