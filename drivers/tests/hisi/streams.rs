//! Streams: what the engine is told of them, to the byte, and what comes of it.

use proptest::prelude::*;
use uaccel_hisi_abi::zip::{Carried, Entry, Status as Engine};
use uaccel_queue::{Algorithm, JobFlags, Outcome, Status};

use crate::device::{Copies, Device};
use crate::entries::{bytes, expected};
use crate::formats::{compress, decompress};
use crate::headers::by_hand;
use crate::queue::{FORMATS, LZ4, Queue, forward, inverse};
use crate::stream::{STATE, Stream, more};

const CARRIED: Carried = Carried { context_words: [0x8123_4567, 2, 0x8003], running_len: 0xfedc_ba98, checksum: 5 };

fn text(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(|n| format!("{n} {}\n", n.wrapping_mul(40_503) % 601).into_bytes()).take(len).collect()
}

/// The bytes of a stream's entry: those of any, and flow, context, and what is carried.
fn of_a_stream(mut entry: Vec<u8>, flow: u8, stream: &Stream, carried: Carried) -> Vec<u8> {
    let mut put = |at: usize, value: u32| entry[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let [first, second, third] = carried.context_words;
    for (at, value) in
        [(0x3c, first), (0x70, second), (0x74, third), (0x78, carried.running_len), (0x7c, carried.checksum)]
    {
        put(at, value);
    }
    entry[0x1f] = 0x30 | flow;
    entry[0x58..0x60].copy_from_slice(&(stream.address() as u64 + 64).to_le_bytes());
    entry
}

/// Bits 25 to 27 of the eighth dword: finish, with state, new.
const FINISH: u8 = 2;
const STATEFUL: u8 = 4;
const NEW: u8 = 8;

#[test]
fn what_is_granted() {
    let granted = Queue::with_lz4(&Device::new(8), 1).granted;
    assert_eq!(granted.stream_state, STATE);
    for (algorithm, way) in granted.algorithms.iter() {
        assert_eq!(granted.streams.contains(algorithm, way), algorithm != Algorithm::Lz4Block);
    }
    assert_eq!(granted.streams.iter().count(), 6);
}

#[test]
fn entries_of_a_compressed_stream_to_the_byte() {
    for (kind, format, header) in [(1, Algorithm::Deflate, 0), (2, Algorithm::Zlib, 2), (3, Algorithm::Gzip, 10_u32)] {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 1);
        let mut stream = Stream::new(forward(format));
        let jobs = [(false, STATEFUL | NEW, header), (false, STATEFUL, 0), (true, STATEFUL | FINISH, 0)];
        let mut carried = Carried::default();
        for (place, (last, flow, header)) in (0_u16..).zip(jobs) {
            let token = stream.send(&mut queue, b"a text", 300, last);
            let (source, destination) = &queue.memory[0];
            let source = (source.address() as u64, 6);
            let destination = (destination.address() as u64 + u64::from(header), 300 - header);
            let entry = expected(kind, source, destination, token.raw());
            assert_eq!(bytes(&device.compress, place), of_a_stream(entry, flow, &stream, carried), "{format} {place}");
            carried = Carried { running_len: place.into(), ..CARRIED };
            device.compress.carry(carried);
            device.compress.end(Engine::Ok, last, 6, 9);
            let ended =
                Outcome { status: if last { Status::Ok } else { Status::More }, ..Outcome::ok(6, (9 + header).into()) };
            assert_eq!(queue.outcome(), ended);
            // What was there of the device's part is left alone.
            assert!(stream.bytes()[64..].iter().all(|byte| *byte == 0x5a));
        }
        // It has ended, and nothing comes behind it.
        assert_eq!(stream.run(&mut queue, b"more", 300, false).0, Outcome::failed(Status::InvalidJob));
        // But another one.
        stream.first = true;
        stream.send(&mut queue, b"more", 300, false);
        let entry = device.compress.entry(3);
        assert!(
            entry.flow.new_stream && entry.context_words == [0; 3] && entry.checksum == 0 && entry.running_len == 0
        );
    }
}

#[test]
fn entries_of_a_decompressed_stream_to_the_byte() {
    let gzip = by_hand(8, b"", b"a name", b"");
    for (kind, format, header) in
        [(1, Algorithm::Deflate, &[][..]), (2, Algorithm::Zlib, &[0x78, 0x9c]), (3, Algorithm::Gzip, &gzip)]
    {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 1);
        let mut stream = Stream::new(inverse(format));
        let source = [header, &[1, 2, 3]].concat();
        let token = stream.send(&mut queue, &source, 256, false);
        let addresses = |queue: &Queue| (queue.memory[0].0.address() as u64, queue.memory[0].1.address() as u64);
        let (from, to) = addresses(&queue);
        let entry = expected(kind, (from + header.len() as u64, 3), (to, 256), token.raw());
        let entry = of_a_stream(entry, STATEFUL | NEW, &stream, Carried::default());
        assert_eq!(bytes(&device.decompress, 0), entry, "{format}");
        device.decompress.carry(CARRIED);
        device.decompress.end(Engine::Ok, false, 2, 256);
        assert_eq!(queue.outcome(), more(header.len() as u64 + 2, 256));
        // It has what there is of the source and may have more to write: without a source there is an address all the same. The last one is not told apart.
        for (place, source) in [(1, &[][..]), (2, &[3, 4, 5, 6])] {
            let token = stream.send(&mut queue, source, 300, place == 2);
            let (from, to) = addresses(&queue);
            let from = if source.is_empty() { to } else { from };
            let entry = expected(kind, (from, source.len() as u32), (to, 300), token.raw());
            let entry = of_a_stream(entry, STATEFUL, &stream, CARRIED);
            assert_eq!(bytes(&device.decompress, place), entry, "{format} {place}");
            device.decompress.carry(CARRIED);
            device.decompress.end(if place == 1 { Engine::Ok } else { Engine::StreamEnd }, place == 2, 0, 100);
            let status = if place == 1 { Status::More } else { Status::Ok };
            assert_eq!(queue.outcome(), Outcome { status, ..Outcome::ok(0, 100) });
        }
        assert_eq!(stream.run(&mut queue, &[1], 300, true).0, Outcome::failed(Status::InvalidJob));
    }
}

#[test]
fn a_compressor_gets_no_more_than_it_has_room_for() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    // Room behind the header, and what fits: at least 9/8 of it, and in whole words if not all.
    for (source, room, given) in
        [(100, 256, 100), (227, 256, 227), (228, 256, 224), (1000, 256, 224), (1000, 1125, 1000), (1000, 1124, 996)]
    {
        for (format, header) in [(Algorithm::Deflate, 0), (Algorithm::Gzip, 10)] {
            let mut stream = Stream::new(forward(format));
            stream.send(&mut queue, &vec![7; source], room + header, true);
            let place = 0;
            let entry = device.compress.entry(place);
            assert_eq!((entry.source_len as usize, entry.flow.finish), (given, given == source), "{source} {room}");
            assert!(entry.destination_len as usize == room && entry.destination_len >= 200);
            device.compress.carry(CARRIED);
            device.compress.end(Engine::Ok, false, given as u32, 20);
            let all = Outcome {
                status: if given == source { Status::Ok } else { Status::More },
                ..Outcome::ok(given as u64, 20 + header as u64)
            };
            assert_eq!(queue.outcome(), all);
            device.reset_all();
            queue = Queue::over(&device, 1);
        }
    }
    // Even if it could have all the room that a job has.
    let mut stream = Stream::new(forward(Algorithm::Deflate));
    stream.send(&mut queue, &vec![7; 8 << 20], 8 << 20, true);
    let entry = device.compress.entry(0);
    assert_eq!((entry.source_len, entry.flow.finish), (7_456_540, false));
}

#[test]
fn the_end_behind_which_nothing_is_left_is_the_drivers() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    // Adler-32 and CRC-32 of "123456789", in the register's form: bits reversed, complement.
    let (adler, crc) = (0x091e_01de_u32, 0xcbf4_3926_u32);
    let ends = [
        (Algorithm::Deflate, 77, &[][..]),
        (Algorithm::Zlib, adler, &[0x09, 0x1e, 0x01, 0xde]),
        (Algorithm::Gzip, !crc.reverse_bits(), &[0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0]),
    ];
    for (format, checksum, trailer) in ends {
        let mut stream = Stream::new(forward(format));
        stream.send(&mut queue, b"123456789", 300, false);
        device.compress.carry(Carried { context_words: [1, 2, 3], running_len: 9, checksum });
        device.compress.end(Engine::Grown, false, 9, 20);
        assert_eq!(queue.outcome().status, Status::More);
        device.compress.doorbells();
        // Nothing, and not the last: nothing to do.
        let before = stream.bytes();
        assert_eq!(stream.run(&mut queue, b"", 300, false), (more(0, 0), vec![0xa5; 300]));
        assert!(before == stream.bytes());
        let (outcome, room) = stream.run(&mut queue, b"", 256, true);
        let end = [&[1, 0, 0, 0xff, 0xff], trailer].concat();
        assert_eq!((outcome, &room[..end.len()]), (Outcome::ok(0, end.len() as u64), &end[..]), "{format}");
        assert!(room[end.len()..].iter().all(|byte| *byte == 0xa5));
        assert_eq!(stream.run(&mut queue, b"", 256, true).0, Outcome::failed(Status::InvalidJob), "it has ended");
        assert!(device.compress.doorbells().is_empty(), "the engine was not asked");
    }
}

#[test]
fn a_stream_of_nothing_is_one_all_the_same() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    for format in FORMATS {
        for jobs in 1..4 {
            let mut stream = Stream::new(forward(format));
            for _ in 1..jobs {
                assert_eq!(stream.run(&mut queue, b"", 256, false), (more(0, 0), vec![0xa5; 256]));
            }
            let (outcome, room) = stream.run(&mut queue, b"", 256, true);
            assert_eq!((outcome.status, outcome.consumed), (Status::Ok, 0));
            assert_eq!(decompress(format, &room[..outcome.produced as usize]), b"");
        }
    }
    assert!(device.compress.doorbells().is_empty(), "the engine was not asked");
}

#[test]
fn a_header_comes_whole_or_the_job_comes_again() {
    let gzip = by_hand(0x1e, &[7; 60], b"a name", b"a comment");
    for (format, header) in [(Algorithm::Zlib, &[0x78, 0x9c][..]), (Algorithm::Gzip, &gzip)] {
        let device = Device::new(8);
        let mut queue = Queue::over(&device, 1);
        let mut stream = Stream::new(inverse(format));
        for len in 0..=header.len() {
            assert_eq!(stream.run(&mut queue, &header[..len], 256, false), (more(0, 0), vec![0xa5; 256]), "{len}");
        }
        // Nothing but the header is no stream.
        let mut short = Stream::new(inverse(format));
        assert_eq!(short.run(&mut queue, header, 256, true).0, Outcome::failed(Status::Truncated));
        assert!(device.decompress.doorbells().is_empty());
        stream.send(&mut queue, &[header, &[9]].concat(), 256, false);
        let entry = device.decompress.entry(0);
        assert!(entry.flow.new_stream && entry.source_len == 1);
        assert_eq!(entry.source, queue.memory[0].0.address() as u64 + header.len() as u64);
        device.decompress.carry(CARRIED);
        device.decompress.end(Engine::Ok, false, 1, 0);
        assert_eq!(queue.outcome(), more(header.len() as u64 + 1, 0));
        // A broken one is none, however short.
        let mut broken = Stream::new(inverse(format));
        assert_eq!(broken.run(&mut queue, &[1; 10], 256, false).0, Outcome::failed(Status::Corrupt));
    }
    // Nor does one come again that no job could hold.
    let (device, mut endless) = (Device::new(8), by_hand(8, b"", &[b'n'; 8 << 20], b""));
    endless.truncate(8 << 20);
    let mut queue = Queue::over(&device, 1);
    let mut stream = Stream::new(inverse(Algorithm::Gzip));
    assert_eq!(stream.run(&mut queue, &endless[1..], 256, false).0, Outcome::failed(Status::Corrupt));
    stream.first = true;
    assert_eq!(stream.run(&mut queue, &endless[..(8 << 20) - 1], 256, false).0, more(0, 0));
    assert_eq!(stream.run(&mut queue, &endless, 256, false).0, Outcome::failed(Status::Unsupported));
}

#[test]
fn memory_nobody_vouches_for_is_copied_by_the_transport() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    let mut ask = |copies| {
        *device.copies.lock().expect("no panic inside") = copies;
        let stream = Stream::new(forward(Algorithm::Zlib));
        queue.build_with(0, forward(Algorithm::Zlib), b"", 256, |job| {
            job.flags = JobFlags::STREAM | JobFlags::FIRST | JobFlags::LAST;
            (job.aux, job.aux_len) = (stream.address(), STATE);
        });
        queue.submit(&[0]).expect("the queue works");
        queue.outcome().status
    };
    assert_eq!(ask(Copies::Refused), Status::Unsupported);
    assert_eq!(ask(Copies::Below(0)), Status::Fault);
    assert_eq!(ask(Copies::Below(usize::MAX)), Status::Ok);
}

#[test]
fn jobs_that_cannot_be_are_not_sent() {
    let device = Device::new(8);
    let mut queue = Queue::with_lz4(&device, 1);
    let stream = Stream::new(forward(Algorithm::Zlib));
    let state = stream.address();
    let mut ended = |session, change: &dyn Fn(&mut uaccel_queue::Job)| {
        queue.build_with(0, session, b"text", 256, |job| {
            job.flags |= JobFlags::STREAM | JobFlags::FIRST;
            (job.aux, job.aux_len) = (state, STATE);
            change(job);
        });
        queue.submit(&[0]).expect("the queue works");
        queue.outcome().status
    };
    let (compress, decompress) = (forward(Algorithm::Zlib), inverse(Algorithm::Zlib));
    for session in [compress, decompress] {
        assert_eq!(ended(session, &|job| job.flags |= JobFlags::CHAINED), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.flags |= JobFlags::SCATTER), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.destination_len = 255), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.destination_len = (8 << 20) + 1), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.source_len = (8 << 20) + 1), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.aux_len = STATE - 1), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.aux = std::ptr::null()), Status::InvalidJob);
        assert_eq!(ended(session, &|job| job.aux = state.wrapping_add(32)), Status::InvalidJob);
        // Nothing has been known of it so far.
        assert_eq!(ended(session, &|job| job.flags.remove(JobFlags::FIRST)), Status::InvalidJob);
    }
    assert_eq!(ended(compress, &|job| job.session = decompress), Status::BadSession);
    assert_eq!(ended(LZ4, &|_| {}), Status::InvalidJob);
    assert!(device.compress.doorbells().is_empty() && device.decompress.doorbells().is_empty());
}

#[test]
fn what_stands_in_a_state_is_not_believed() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    for stage in [0, 4, u32::MAX] {
        let mut stream = Stream::new(inverse(Algorithm::Deflate));
        (stream.first, _) = (false, stream.set(5, stage));
        assert_eq!(stream.run(&mut queue, b"text", 256, true).0, Outcome::failed(Status::InvalidJob));
    }
    // The words are the engine's: what stands there goes to it, whatever it is.
    let mut stream = Stream::new(inverse(Algorithm::Deflate));
    stream.send(&mut queue, b"text", 256, false);
    device.decompress.carry(CARRIED);
    device.decompress.end(Engine::Ok, false, 4, 0);
    assert_eq!(queue.outcome(), more(4, 0));
    let [a, b, c] = CARRIED.context_words;
    assert_eq!(stream.words()[..5], [a, b, c, CARRIED.running_len, CARRIED.checksum]);
    (0..5).for_each(|word| stream.set(word, u32::MAX - word as u32));
    stream.send(&mut queue, b"text", 256, false);
    let Entry { context_words, running_len, checksum, .. } = device.decompress.entry(1);
    assert_eq!(
        [&context_words[..], &[running_len, checksum]].concat(),
        (0..5).map(|word| u32::MAX - word).collect::<Vec<_>>()
    );
}

#[test]
fn a_state_that_is_put_back_is_where_the_stream_stood() {
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, 1);
    let text = text(3000);
    for format in FORMATS {
        let mut stream = Stream::new(forward(format));
        let (outcome, mut written) = stream.run(&mut queue, &text[..1000], 2000, false);
        written.truncate(outcome.produced as usize);
        let state = stream.bytes();
        stream.run(&mut queue, &[1; 1000], 2000, false);
        stream.put(&state);
        let (outcome, rest) = stream.run(&mut queue, &text[1000..], 4000, true);
        assert_eq!(outcome.status, Status::Ok);
        written.extend_from_slice(&rest[..outcome.produced as usize]);
        assert!(decompress(format, &written) == text, "{format}");
    }
}

#[test]
fn no_stream_is_cut_short() {
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, 1);
    for format in FORMATS {
        let whole = compress(format, b"a text, a text, and a text");
        for len in 0..whole.len() {
            let mut stream = Stream::new(inverse(format));
            assert_eq!(
                stream.all(&mut queue, &whole[..len], &[3], &[256]),
                Err(Status::Truncated),
                "{format} at {len}"
            );
        }
        let mut stream = Stream::new(inverse(format));
        let followed = [&whole[..], b"what follows"].concat();
        let text = b"a text, a text, and a text".to_vec();
        assert_eq!(stream.all(&mut queue, &followed, &[500], &[256]), Ok((text, whole.len())), "{format}");
        if format != Algorithm::Deflate {
            let mut broken = whole.clone();
            *broken.last_mut().expect("a trailer") ^= 1;
            let mut stream = Stream::new(inverse(format));
            assert_eq!(stream.all(&mut queue, &broken, &[7], &[256]), Err(Status::Corrupt), "{format}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Both ways against another library, in pieces of any size.
    #[test]
    fn streams_in_any_pieces(
        len in 0_usize..8000,
        noise in prop::collection::vec(any::<u8>(), 0..600),
        sizes in prop::collection::vec(prop_oneof![1 => 0_usize..20, 3 => 100_usize..5000], 1..6),
        rooms in prop::collection::vec(256_usize..4000, 1..4),
    ) {
        prop_assume!(sizes.iter().any(|size| *size > 0));
        let device = Device::honest(8);
        let mut queue = Queue::over(&device, 1);
        let text = [&noise[..], &text(len)].concat();
        for format in FORMATS {
            let (stream, used) = Stream::new(forward(format)).all(&mut queue, &text, &sizes, &rooms).expect("sound");
            prop_assert_eq!(used, text.len());
            prop_assert!(decompress(format, &stream) == text, "{}", format);
            let theirs = compress(format, &text);
            let (back, used) = Stream::new(inverse(format)).all(&mut queue, &theirs, &sizes, &rooms).expect("sound");
            prop_assert!(back == text && used == theirs.len(), "{}", format);
        }
    }
}
