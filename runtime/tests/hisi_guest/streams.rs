//! Streams of every format both ways on real data, piece by piece, against other libraries; and windows.

use uaccel_runtime::{Algorithm, Direction, Error, Runtime, Session, SessionSpec, Stream, Work};

use crate::bench::{builder, noise, runtime};
use crate::formats::{FORMATS, packed, texts, unpacked};
use crate::small_history::{decode, far_repeats};

fn spec(format: Algorithm, direction: Direction) -> SessionSpec {
    SessionSpec::compression(format, direction, None).expect("there is such a session")
}

fn stream(runtime: &Runtime, format: Algorithm, direction: Direction) -> Stream {
    runtime.stream(spec(format, direction)).expect("the device has streams of it")
}

/// Offers a source in pieces of so many bytes, and takes the result in rooms of so many: what came of it, and how much was used.
fn all(stream: &mut Stream, source: &[u8], piece: usize, room: usize) -> Result<(Vec<u8>, usize), Error> {
    let (mut made, mut used, mut offered) = (Vec::new(), 0, 0);
    loop {
        offered = source.len().min(offered + piece);
        // Memory that the device has not written to yet.
        let mut room = vec![0; room];
        let step = stream.run(&source[used..offered], &mut room, offered == source.len())?;
        made.extend_from_slice(&room[..step.produced]);
        used += step.consumed;
        if step.ended {
            return Ok((made, used));
        }
    }
}

/// Pieces and rooms: over page boundaries, and hardly any room.
const SIZES: [(usize, usize); 3] = [(70_001, 100_003), (12_345, 4000), (1 << 20, 300_000)];

#[test]
fn what_the_device_packs_piece_by_piece_another_library_unpacks() {
    let runtime = runtime();
    for format in FORMATS {
        for (name, text) in texts() {
            for (piece, room) in SIZES {
                let (packed, used) =
                    all(&mut stream(&runtime, format, Direction::Forward), &text, piece, room).unwrap();
                assert_eq!(used, text.len(), "{format}, {name}");
                assert!(unpacked(format, &packed) == text, "{format}, {name}, {piece}");
            }
        }
    }
    let counters = runtime.counters();
    assert_eq!((counters.failures, counters.fallbacks, counters.repeats, counters.resets), (0, 0, 0, 0));
}

#[test]
fn what_another_library_packs_the_device_unpacks_piece_by_piece() {
    let runtime = runtime();
    for format in FORMATS {
        for (name, text) in texts() {
            for ((piece, room), level) in SIZES.into_iter().zip([9, 1, 0]) {
                let source = packed(format, &text, level);
                let followed = [&source[..], b"behind it"].concat();
                let mut stream = stream(&runtime, format, Direction::Inverse);
                let (back, used) = all(&mut stream, &followed, piece, room).unwrap();
                assert!(back == text, "{format}, {name}, {piece}");
                assert_eq!(used, source.len(), "{format}, {name}");
            }
        }
    }
    let counters = runtime.counters();
    assert_eq!((counters.failures, counters.fallbacks, counters.repeats, counters.resets), (0, 0, 0, 0));
}

#[test]
fn streams_by_the_byte() {
    let runtime = runtime();
    let text = [b"the quick brown fox ".repeat(12), noise(3, 60)].concat();
    for format in FORMATS {
        let (made, _) = all(&mut stream(&runtime, format, Direction::Forward), &text, 1, 256).unwrap();
        assert!(unpacked(format, &made) == text, "{format}");
        let (back, _) = all(&mut stream(&runtime, format, Direction::Inverse), &made, 1, 256).unwrap();
        assert!(back == text, "{format}");
    }
}

#[test]
fn streams_that_end_early_or_are_broken_are_told_apart() {
    let runtime = runtime();
    let text = noise(4, 9000).repeat(2);
    for format in FORMATS {
        let source = packed(format, &text, 6);
        for len in [0, 1, 30, source.len() / 2, source.len() - 1] {
            let cut = all(&mut stream(&runtime, format, Direction::Inverse), &source[..len], 5000, 4000);
            assert!(matches!(cut, Err(Error::Truncated(_))), "{format} cut at {len}: {cut:?}");
        }
        let mut broken = source.clone();
        // The checksum, or the kind of the first block.
        let at = if format == Algorithm::Deflate { 0 } else { source.len() - 1 };
        broken[at] ^= 7;
        let found = all(&mut stream(&runtime, format, Direction::Inverse), &broken, 5000, 4000);
        assert!(matches!(found, Err(Error::Corrupt(_))), "{format}: {found:?}");
    }
}

#[test]
fn streams_of_many_threads_take_whatever_queue_is_free() {
    let runtime = builder().queues(2).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let runtime = &runtime;
            scope.spawn(move || {
                for (round, format) in (0..).zip(FORMATS) {
                    let text = [noise(thread, 20_000), noise(round, 3000).repeat(10)].concat();
                    let (made, _) = all(&mut stream(runtime, format, Direction::Forward), &text, 7000, 9000).unwrap();
                    assert!(unpacked(format, &made) == text, "{format}");
                    let (back, _) = all(&mut stream(runtime, format, Direction::Inverse), &made, 7000, 9000).unwrap();
                    assert!(back == text, "{format}");
                }
            });
        }
    });
    assert_eq!((runtime.counters().failures, runtime.counters().resets), (0, 0));
}

/// The blocks of a text compressed with this window, whole and as a stream.
fn windowed(runtime: &Runtime, format: Algorithm, window: u32, text: &[u8]) -> [Vec<u8>; 2] {
    let spec = || spec(format, Direction::Forward).with_window(window).expect("a window");
    let session: Session = runtime.session(spec()).expect("the device has it");
    let mut whole = vec![0; 2 * text.len()];
    let outcome = runtime.run(Work::session(&session, text, &mut whole)).unwrap();
    whole.truncate(outcome.produced as usize);
    let mut stream = runtime.stream(spec()).expect("the device has streams of it");
    let (streamed, _) = all(&mut stream, text, 10_000, 20_000).unwrap();
    let (header, trailer) = match format {
        Algorithm::Zlib => (2, 4),
        Algorithm::Gzip => (10, 8),
        _ => (0, 0),
    };
    [whole, streamed].map(|stream| {
        assert!(unpacked(format, &stream) == text, "{format}");
        stream[header..stream.len() - trailer].to_vec()
    })
}

#[test]
fn a_decoder_with_no_more_history_than_the_window_is_enough() {
    let runtime = runtime();
    let text = far_repeats();
    for format in FORMATS {
        for window in [4096, 8192, 16_384] {
            for blocks in windowed(&runtime, format, window, &text) {
                assert!(decode(&blocks, window as usize).as_ref() == Ok(&text), "{format}, {window}");
            }
            // It would notice.
            for blocks in windowed(&runtime, format, 2 * window, &text) {
                assert!(decode(&blocks, window as usize).is_err(), "{format}, {window}");
            }
        }
    }
}
