//! Whole buffers, on every device, against other libraries.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use support::{SMALL, compressing, noise, prose, simulator, small, software, texts};
use uaccel_algorithms::{Compressor, Decompressor, Error, Format, Level, Progress};
use uaccel_runtime::{Algorithm, Fallback, Operation, SimulatorBus, SpecError};

/// Decodes with a library that is none of ours.
fn decode(format: Format, packed: &[u8], text_len: usize) -> Vec<u8> {
    let mut text = Vec::new();
    match format {
        Format::Deflate => drop(flate2::read::DeflateDecoder::new(packed).read_to_end(&mut text).unwrap()),
        Format::Zlib => drop(flate2::read::ZlibDecoder::new(packed).read_to_end(&mut text).unwrap()),
        Format::Gzip => drop(flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut text).unwrap()),
        Format::Lz4Block => text = lz4::block::decompress(packed, Some(i32::try_from(text_len).unwrap())).unwrap(),
        Format::Zstd => drop(ruzstd::decoding::StreamingDecoder::new(packed).unwrap().read_to_end(&mut text).unwrap()),
        _ => unreachable!("{format} has no oracle"),
    }
    text
}

/// Encodes with a library that is none of ours.
fn encode(format: Format, text: &[u8], level: u8) -> Vec<u8> {
    let deflate = flate2::Compression::new(u32::from(level));
    let mut packed = Vec::new();
    match format {
        Format::Deflate => drop(flate2::read::DeflateEncoder::new(text, deflate).read_to_end(&mut packed).unwrap()),
        Format::Zlib => drop(flate2::read::ZlibEncoder::new(text, deflate).read_to_end(&mut packed).unwrap()),
        Format::Gzip => drop(flate2::read::GzEncoder::new(text, deflate).read_to_end(&mut packed).unwrap()),
        Format::Lz4Block => packed = lz4::block::compress(text, None, false).unwrap(),
        Format::Zstd => packed = zstd::bulk::compress(text, i32::from(level)).unwrap(),
        _ => unreachable!("{format} has no oracle"),
    }
    packed
}

fn levels(format: Format) -> Vec<u8> {
    format.algorithm().levels().map_or(Vec::new(), |levels| (levels.min..=levels.max).collect())
}

#[test]
fn other_libraries_read_every_format_at_every_level() {
    let texts = texts();
    for runtime in compressing() {
        for format in Format::ALL {
            let exact = levels(format).into_iter().map(Level::Exact);
            for level in exact.chain([Level::Default, Level::Fast, Level::Best]) {
                let compressor = Compressor::new(&runtime, format, level).unwrap();
                for text in &texts {
                    let packed = compressor.compress(text).unwrap();
                    assert!(packed.len() <= compressor.bound(text.len()).unwrap());
                    assert_eq!(
                        decode(format, &packed, text.len()),
                        *text,
                        "{format} at {level:?} on {}",
                        runtime.device()
                    );
                }
            }
        }
    }
}

#[test]
fn reads_what_other_libraries_write() {
    let texts = texts();
    for runtime in compressing() {
        for format in Format::ALL {
            let decompressor = Decompressor::new(&runtime, format).unwrap();
            for text in &texts {
                let packed = encode(format, text, 6);
                assert_eq!(
                    decompressor.decompress(&packed, usize::MAX).unwrap(),
                    *text,
                    "{format} on {}",
                    runtime.device()
                );
                assert_eq!(decompressor.decompress(&packed, text.len()).unwrap(), *text, "{format}: exactly the limit");
                let mut room = vec![0; text.len()];
                let progress = decompressor.decompress_into(&packed, &mut room).unwrap();
                assert_eq!(progress, Progress { consumed: packed.len(), produced: text.len() });
                assert_eq!(room, *text);
            }
        }
    }
}

#[test]
fn reads_zstandard_frames_that_do_not_state_their_size_and_several_in_a_row() {
    let text = prose(300_000);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&text).unwrap();
    let unstated = encoder.finish().unwrap();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let frames = [&unstated[..], &skippable, &zstd::bulk::compress(b"end", 1).unwrap()].concat();
    for runtime in compressing() {
        let decompressor = Decompressor::new(&runtime, Format::Zstd).unwrap();
        assert_eq!(decompressor.decompress(&unstated, 1 << 20).unwrap(), text);
        assert_eq!(decompressor.decompress(&frames, 1 << 20).unwrap(), [&text[..], b"end"].concat());
    }
}

#[test]
fn reads_every_gzip_member_and_zeros_behind_them() {
    let (a, b) = (prose(100_000), noise(1000, 4));
    let member = |text: &[u8]| encode(Format::Gzip, text, 6);
    let members = [member(&a), member(b""), member(&b), member(&a)].concat();
    let text = [&a[..], &b, &a].concat();
    for runtime in compressing() {
        let gzip = Decompressor::new(&runtime, Format::Gzip).unwrap();
        assert_eq!(gzip.decompress(&members, usize::MAX).unwrap(), text);
        assert_eq!(gzip.decompress(&[&members[..], &[0; 513]].concat(), usize::MAX).unwrap(), text);
        let behind = [&members[..], b"garbage"].concat();
        assert!(matches!(gzip.decompress(&behind, usize::MAX), Err(Error::Corrupt(_))));
        let first = gzip.decompress_into(&members, &mut vec![0; a.len()]).unwrap();
        assert_eq!(first, Progress { consumed: member(&a).len(), produced: a.len() });
    }
}

#[test]
fn many_small_members_do_not_cost_a_copy_of_all_that_follows() {
    let bus = Arc::new(SimulatorBus::default());
    let runtime = simulator().bus(bus.clone()).build().unwrap();
    let member = encode(Format::Gzip, &prose(10_000), 6);
    let members = member.repeat(500);
    let text = Decompressor::new(&runtime, Format::Gzip).unwrap().decompress(&members, usize::MAX).unwrap();
    assert_eq!(text, prose(10_000).repeat(500));
    let counters = runtime.counters();
    assert_eq!(counters.fallbacks, 0);
    assert!(counters.jobs < 520, "{counters:?}");
    let named = bus.engine().unwrap().stats().total.bytes;
    assert!(named < 20 * text.len() as u64, "{named} bytes were named in jobs");
}

#[test]
fn other_formats_have_nothing_behind_their_end() {
    let runtime = software().build().unwrap();
    for format in [Format::Deflate, Format::Zlib, Format::Zstd] {
        let packed = encode(format, b"text", 3);
        let decompressor = Decompressor::new(&runtime, format).unwrap();
        let behind = [&packed[..], b"behind"].concat();
        assert!(decompressor.decompress(&behind, 100).is_err(), "{format}");
        let progress = decompressor.decompress_into(&behind, &mut [0; 4]).unwrap();
        assert_eq!(progress, Progress { consumed: packed.len(), produced: 4 }, "{format}");
    }
}

#[test]
fn gzip_above_the_limit_becomes_members_and_stays_on_the_device() {
    let text = [prose(500_000), noise(200_000, 5)].concat();
    for fallback in [Fallback::Never, Fallback::OnError] {
        let runtime = small().fallback(fallback).build().unwrap();
        let gzip = Compressor::new(&runtime, Format::Gzip, 9).unwrap();
        let packed = gzip.compress(&text).unwrap();
        let mut into = vec![0; gzip.bound(text.len()).unwrap()];
        let len = gzip.compress_into(&text, &mut into).unwrap();
        assert_eq!(packed, into[..len]);
        assert_eq!(decode(Format::Gzip, &packed, text.len()), text);
        // Each of the members is within the device's limit again.
        assert_eq!(Decompressor::new(&runtime, Format::Gzip).unwrap().decompress(&packed, usize::MAX).unwrap(), text);
        assert_eq!(runtime.counters().fallbacks, 0);
        let mut first_alone = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut first_alone).unwrap();
        assert!(first_alone.len() < SMALL);
    }
}

#[test]
fn what_needs_state_goes_to_the_cpu_above_the_limit_and_is_counted() {
    let text = prose(SMALL + 1);
    for format in [Format::Deflate, Format::Zlib, Format::Lz4Block, Format::Zstd] {
        let runtime = small().build().unwrap();
        let packed = Compressor::new(&runtime, format, Level::Default).unwrap().compress(&text).unwrap();
        assert_eq!(decode(format, &packed, text.len()), text);
        let counters = runtime.counters();
        assert_eq!((counters.fallbacks, counters.fallback_bytes), (1, text.len() as u64), "{format}");

        let unpacked = Decompressor::new(&runtime, format).unwrap().decompress(&packed, usize::MAX).unwrap();
        assert_eq!(unpacked, text);
        assert!(runtime.counters().fallbacks > 1, "{format}");

        let never = small().fallback(Fallback::Never).build().unwrap();
        let error = Compressor::new(&never, format, Level::Default).unwrap().compress(&text).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit, .. } if limit == SMALL as u64), "{format}: {error}");
        let error = Decompressor::new(&never, format).unwrap().decompress(&packed, usize::MAX).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit, .. } if limit == SMALL as u64), "{format}: {error}");
        assert_eq!(never.counters().fallbacks, 0);
    }
}

#[test]
fn a_member_above_the_limit_is_decoded_in_one_pass_and_counted_once() {
    // Too large in its packed form, and only as text.
    for text in [noise(5 * SMALL, 6), vec![0; 50 * SMALL]] {
        let packed = encode(Format::Gzip, &text, 6);
        let runtime = small().build().unwrap();
        let gzip = Decompressor::new(&runtime, Format::Gzip).unwrap();
        assert_eq!(gzip.decompress(&packed, text.len()).unwrap(), text);
        let counters = runtime.counters();
        assert_eq!((counters.fallbacks, counters.fallback_bytes), (1, packed.len() as u64));
        let error = gzip.decompress(&packed, text.len() - 1).unwrap_err();
        assert!(matches!(error, Error::OutputTooSmall { .. }), "{error}");
        let never = small().fallback(Fallback::Never).build().unwrap();
        let error = Decompressor::new(&never, Format::Gzip).unwrap().decompress(&packed, text.len()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}

#[test]
fn streams_that_end_early_are_truncated_wherever_they_end() {
    let text = prose(2000);
    for runtime in compressing() {
        for format in [Format::Deflate, Format::Zlib, Format::Gzip, Format::Zstd] {
            let packed = encode(format, &text, 6);
            let decompressor = Decompressor::new(&runtime, format).unwrap();
            for len in (0..packed.len()).step_by(7) {
                let error = decompressor.decompress(&packed[..len], 1 << 20).unwrap_err();
                assert!(matches!(error, Error::Truncated(_)), "{format}, {len} bytes: {error}");
                assert!(decompressor.decompress_into(&packed[..len], &mut vec![0; 2000]).is_err());
            }
        }
    }
}

#[test]
fn broken_streams_never_give_another_text() {
    let text = prose(2000);
    for runtime in [software().build().unwrap(), simulator().build().unwrap()] {
        for format in [Format::Zlib, Format::Gzip] {
            let packed = encode(format, &text, 6);
            let decompressor = Decompressor::new(&runtime, format).unwrap();
            for at in (0..packed.len()).step_by(5) {
                let mut broken = packed.clone();
                broken[at] ^= 0x10;
                match decompressor.decompress(&broken, 1 << 20) {
                    // Time, flags and system of a gzip header are free.
                    Ok(result) => assert_eq!((result == text, at < 10), (true, true), "{format}, byte {at}"),
                    Err(Error::Corrupt(_) | Error::Truncated(_) | Error::OutputTooSmall { .. }) => {}
                    Err(error) => panic!("{format}, byte {at}: {error}"),
                }
            }
        }
        for format in Format::ALL {
            let error = Decompressor::new(&runtime, format).unwrap().decompress(&[0xff; 100], 1 << 20).unwrap_err();
            assert!(matches!(error, Error::Corrupt(_) | Error::Truncated(_)), "{format}: {error}");
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    let text = vec![0; 20 << 20];
    for runtime in compressing() {
        for format in Format::ALL {
            let packed = encode(format, &text, 6);
            let decompressor = Decompressor::new(&runtime, format).unwrap();
            for limit in [0, 1, 1000, 100_000, text.len() - 1] {
                match decompressor.decompress(&packed, limit) {
                    Err(Error::OutputTooSmall { operation: Operation::Decompress, room, needed }) => {
                        assert_eq!(room, limit as u64, "{format} on {}", runtime.device());
                        assert!(needed.is_none_or(|needed| needed == text.len() as u64), "{format}: {needed:?}");
                    }
                    other => panic!("{format} at {limit} on {}: {other:?}", runtime.device()),
                }
            }
        }
    }
}

#[test]
fn a_room_that_is_a_byte_too_small_says_what_is_enough() {
    let text = noise(5000, 7);
    for runtime in compressing() {
        for format in Format::ALL {
            let compressor = Compressor::new(&runtime, format, Level::Default).unwrap();
            let packed = compressor.compress(&text).unwrap();
            let mut room = vec![0; packed.len() - 1];
            match compressor.compress_into(&text, &mut room) {
                Err(Error::OutputTooSmall { operation: Operation::Compress, needed: Some(needed), room }) => {
                    assert_eq!(room, packed.len() as u64 - 1);
                    let mut enough = vec![0; usize::try_from(needed).unwrap()];
                    assert_eq!(compressor.compress_into(&text, &mut enough).unwrap(), packed.len());
                }
                other => panic!("{format} on {}: {other:?}", runtime.device()),
            }
            let mut exact = vec![0; packed.len()];
            assert_eq!(compressor.compress_into(&text, &mut exact).unwrap(), packed.len(), "{format}");
        }
    }
}

#[test]
fn levels_that_do_not_exist_are_named() {
    let runtime = software().build().unwrap();
    for (format, level, min, max) in
        [(Format::Gzip, 10, 0, 9), (Format::Zstd, 0, 1, 19), (Format::Zstd, 20, 1, 19), (Format::Lz4Block, 1, 0, 0)]
    {
        let error = Compressor::new(&runtime, format, level).unwrap_err();
        let expected = SpecError::Level { algorithm: format.algorithm(), level, min, max };
        assert!(matches!(&error, Error::Session(error) if *error == expected), "{error}");
    }
    assert_eq!(Compressor::new(&runtime, Format::Gzip, None).unwrap().level(), 6);
    assert_eq!(Compressor::new(&runtime, Format::Gzip, Some(0)).unwrap().level(), 0);
    assert_eq!(Format::of(Algorithm::Sha256), None);
}

#[test]
fn a_batch_answers_in_order_whatever_the_depth() {
    let texts: Vec<_> =
        (0..300).map(|n| [prose(n * 37 % 9000), noise(n % 50, 8)].concat()).chain([prose(3 * SMALL)]).collect();
    let slices: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    for builder in [
        software(),
        simulator(),
        simulator().depth(3),
        small().depth(1),
        small().fallback(Fallback::Auto { below: 2000 }),
    ] {
        let runtime = builder.build().unwrap();
        for format in Format::ALL {
            let compressor = Compressor::new(&runtime, format, Level::Fast).unwrap();
            let batch = compressor.compress_batch(&slices);
            assert_eq!(batch.len(), texts.len());
            for (packed, text) in batch.into_iter().zip(&texts) {
                assert_eq!(decode(format, &packed.unwrap(), text.len()), *text, "{format} on {}", runtime.device());
            }
        }
        assert!(Compressor::new(&runtime, Format::Zlib, 1).unwrap().compress_batch(&[]).is_empty());
    }
}

#[test]
fn small_jobs_stay_on_the_cpu_if_the_policy_says_so() {
    let runtime = simulator().fallback(Fallback::Auto { below: 1000 }).build().unwrap();
    let gzip = Compressor::new(&runtime, Format::Gzip, 1).unwrap();
    gzip.compress(&[0; 999]).unwrap();
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (0, 1));
    gzip.compress(&[0; 1000]).unwrap();
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (1, 1));
    assert!(gzip.compress_batch(&[&[0; 999], &[0; 1000], &[0; 10], &[0; 5000]]).iter().all(Result::is_ok));
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (3, 3));
}

#[test]
fn gzip_reads_it() {
    let Ok(found) = Command::new("gzip").arg("--version").output() else { return };
    assert!(found.status.success());
    let text = prose(300_000);
    for runtime in compressing() {
        let packed = Compressor::new(&runtime, Format::Gzip, 6).unwrap().compress(&text).unwrap();
        let mut gzip = Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = gzip.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&packed).unwrap());
        let output = gzip.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success() && output.stdout == text);
    }
}
