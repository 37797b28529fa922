//! Streams that are cut, damaged or hostile, and rooms that are tight.

mod support;

use proptest::prelude::*;
use support::{compress, compressor, decompress, formats, levels, noise, prose, run, size, texts};
use uaccel_queue::{Algorithm, Status};
use uaccel_units::{Input, bound};

/// Small streams with stored, fixed and dynamic blocks, so that every offset can be tried.
fn small_texts() -> [Vec<u8>; 6] {
    [vec![], b"a".to_vec(), prose(60), prose(1500), noise(200), [prose(300), noise(100), vec![7; 300]].concat()]
}

#[test]
fn every_prefix_of_a_stream_is_truncated_whatever_the_room() {
    for algorithm in formats().filter(|algorithm| *algorithm != Algorithm::Lz4Block) {
        for level in [1, 6, 9].map(Some) {
            for text in small_texts() {
                let stream = compress(algorithm, level, &text);
                for end in 0..stream.len() {
                    for room in [text.len(), text.len() + 1, text.len() + 1000] {
                        let (outcome, _) = decompress(algorithm, &stream[..end], room);
                        assert_eq!(
                            outcome.status,
                            Status::Truncated,
                            "{algorithm} at {level:?}: {end} of {} bytes, room {room} for {}",
                            stream.len(),
                            text.len()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_prefix_of_an_lz4_block_is_truncated_or_a_block_of_a_prefix() {
    // The format has no end mark: what is cut after the literals of a sequence is a whole block again.
    for text in small_texts() {
        let stream = compress(Algorithm::Lz4Block, None, &text);
        for end in 0..stream.len() {
            let (outcome, back) = decompress(Algorithm::Lz4Block, &stream[..end], text.len());
            match outcome.status {
                Status::Truncated => {}
                Status::Ok => assert!(text.starts_with(&back)),
                other => panic!("{end} of {}: {other:?}", stream.len()),
            }
        }
    }
}

#[test]
fn a_flipped_bit_never_panics_or_overruns_and_is_caught_where_there_is_a_checksum() {
    for algorithm in formats() {
        for text in small_texts() {
            let stream = compress(algorithm, None, &text);
            for bit in 0..stream.len() * 8 {
                let mut damaged = stream.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                for room in [text.len(), text.len() + 300] {
                    let (outcome, back) = decompress(algorithm, &damaged, room);
                    match outcome.status {
                        Status::Ok if matches!(algorithm, Algorithm::Zlib | Algorithm::Gzip) => {
                            assert_eq!(back, text, "{algorithm}, bit {bit}: damage not seen");
                        }
                        Status::Ok | Status::Corrupt | Status::Truncated | Status::OutputTooSmall => {}
                        other => panic!("{algorithm}, bit {bit}: {other:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn a_damaged_checksum_is_corrupt_even_if_nothing_else_is() {
    for algorithm in [Algorithm::Zlib, Algorithm::Gzip] {
        for text in small_texts() {
            let mut stream = compress(algorithm, None, &text);
            *stream.last_mut().expect("not empty") ^= 0x80;
            assert_eq!(decompress(algorithm, &stream, text.len()).0.status, Status::Corrupt, "{algorithm}");
        }
    }
}

#[test]
fn a_zlib_stream_that_wants_a_dictionary_is_corrupt() {
    // CMF 78, FLG with FDICT and a right check; then the dictionary's identifier and a stream.
    let stream = [0x78, 0x20 + 29 - 27, 0, 0, 0, 1, 0x03, 0, 0, 0, 0, 1];
    let check = u16::from_be_bytes([stream[0], stream[1]]) % 31;
    let mut stream = stream;
    stream[1] += u8::try_from((31 - check) % 31).expect("small");
    assert_ne!(stream[1] & 0x20, 0);
    assert_eq!(decompress(Algorithm::Zlib, &stream, 100).0.status, Status::Corrupt);
}

#[test]
fn an_exact_room_is_enough_for_the_text_and_one_byte_less_is_not() {
    for algorithm in formats() {
        for text in texts() {
            let stream = compress(algorithm, None, text);
            let (outcome, back) = decompress(algorithm, &stream, text.len());
            assert_eq!((outcome.status, &back), (Status::Ok, text), "{algorithm}");
            if text.is_empty() {
                continue;
            }
            for room in [text.len() - 1, text.len() / 2, 0] {
                let (outcome, _) = decompress(algorithm, &stream, room);
                assert_eq!(outcome.status, Status::OutputTooSmall, "{algorithm}: room {room} for {}", text.len());
                let told = if algorithm == Algorithm::Zstd { text.len() as u64 } else { 0 };
                assert_eq!((outcome.consumed, outcome.produced), (0, told), "{algorithm}");
            }
        }
    }
}

#[test]
fn an_exact_room_is_enough_for_the_stream_and_one_byte_less_is_not() {
    for algorithm in formats() {
        for level in levels(algorithm) {
            for text in texts() {
                let stream = compress(algorithm, level, text);
                let unit = compressor(algorithm, level);
                let (outcome, again) = run(&unit, &Input::new(text), stream.len());
                assert_eq!(outcome.status, Status::Ok, "{algorithm} at {level:?}, {} bytes", text.len());
                assert_eq!(again, stream, "{algorithm} at {level:?}: the stream depends on the room");
                for room in [stream.len() - 1, 0] {
                    let (outcome, _) = run(&unit, &Input::new(text), room);
                    assert_eq!(
                        outcome.status,
                        Status::OutputTooSmall,
                        "{algorithm} at {level:?}, {} bytes",
                        text.len()
                    );
                    assert_eq!(outcome.produced, bound(algorithm, text.len() as u64).expect("has a bound"));
                }
            }
        }
    }
}

#[test]
fn a_bomb_stops_at_the_room() {
    let bomb = vec![0; 8 << 20];
    for algorithm in formats() {
        let stream = compress(algorithm, None, &bomb);
        assert!(stream.len() * 200 < bomb.len(), "{algorithm}: no bomb");
        let (outcome, _) = decompress(algorithm, &stream, 1000);
        assert_eq!(outcome.status, Status::OutputTooSmall, "{algorithm}");
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_frame_cannot_make_the_caller_believe_in_a_text_it_could_not_hold() {
    // A header that states 2⁶⁰ bytes (descriptor: eight-byte content size, window 1 KiB), then one last RLE block of 100 bytes.
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0b1100_0000, 0];
    frame.extend((1_u64 << 60).to_le_bytes());
    frame.extend([0b0010_0011, 0b0000_0011, 0, b'z']);
    let (outcome, _) = decompress(Algorithm::Zstd, &frame, 10);
    assert_eq!((outcome.status, outcome.produced), (Status::OutputTooSmall, 0));
    let (outcome, _) = decompress(Algorithm::Zstd, &frame, 1000);
    assert_eq!(outcome.status, Status::Corrupt);
}

#[cfg(feature = "zstd")]
#[test]
fn a_skippable_zstd_frame_is_a_frame_of_nothing() {
    let mut frames = vec![0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let border = frames.len();
    frames.extend(compress(Algorithm::Zstd, None, b"text"));
    let (outcome, back) = decompress(Algorithm::Zstd, &frames, 10);
    assert_eq!((outcome.status, size(outcome.consumed), back.len()), (Status::Ok, border, 0));
    assert_eq!(decompress(Algorithm::Zstd, &frames[border..], 10).1, b"text");
    assert_eq!(decompress(Algorithm::Zstd, &frames[..border - 1], 10).0.status, Status::Truncated);
}

#[test]
fn the_bound_is_enough_for_what_compresses_worst() {
    for algorithm in formats() {
        for level in levels(algorithm) {
            for len in [0, 1, 2, 8, 9, 100, 4999, 5000, 5001, 65_536, 150_000] {
                // High bytes take nine bits in a fixed Huffman block.
                let dense: Vec<u8> = noise(len).into_iter().map(|byte| byte | 0x90).collect();
                for text in [noise(len), dense] {
                    // `compress` gives that room and insists on success.
                    compress(algorithm, level, &text);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_are_no_stream_and_no_trouble(bytes in prop::collection::vec(any::<u8>(), 0..200), room in 0_usize..500) {
        for algorithm in formats() {
            let (outcome, _) = decompress(algorithm, &bytes, room);
            prop_assert!(matches!(
                outcome.status,
                Status::Ok | Status::Corrupt | Status::Truncated | Status::OutputTooSmall
            ));
            prop_assert!(size(outcome.consumed) <= bytes.len());
        }
    }

    #[test]
    fn arbitrary_texts_come_back(pieces in prop::collection::vec((any::<u8>(), 1_usize..300), 0..30), level in 0_u8..=9) {
        let text: Vec<u8> = pieces.into_iter().flat_map(|(byte, len)| std::iter::repeat_n(byte, len)).collect();
        for algorithm in formats() {
            let level = algorithm.levels().map(|levels| level.clamp(levels.min, levels.max));
            let stream = compress(algorithm, level, &text);
            let (outcome, back) = decompress(algorithm, &stream, text.len());
            prop_assert_eq!(outcome.status, Status::Ok);
            prop_assert_eq!(size(outcome.consumed), stream.len());
            prop_assert_eq!(&back, &text);
        }
    }

    #[test]
    fn spliced_streams_are_handled(cut in 0_usize..400, insert in prop::collection::vec(any::<u8>(), 0..8), room in 0_usize..2000) {
        let text = [prose(700), noise(50)].concat();
        for algorithm in formats() {
            let mut stream = compress(algorithm, None, &text);
            let at = cut.min(stream.len());
            stream.splice(at..(at + 3).min(stream.len()), insert.iter().copied());
            let (outcome, _) = decompress(algorithm, &stream, room);
            prop_assert!(matches!(
                outcome.status,
                Status::Ok | Status::Corrupt | Status::Truncated | Status::OutputTooSmall
            ));
        }
    }
}
