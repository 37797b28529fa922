//! Every format and level against two libraries that share no code with the unit, in both directions.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use flate2::Compression;
use support::{compress, decompress, formats, levels, prose, size, texts};
use uaccel_queue::{Algorithm, Status};
use uaccel_units::{Input, Scratch, bound};

/// Decodes with one library after the other, and compares with the text.
fn decoded_elsewhere(algorithm: Algorithm, stream: &[u8], text: &[u8]) {
    let len = text.len();
    match algorithm {
        Algorithm::Deflate => {
            let mut out = Vec::new();
            flate2::read::DeflateDecoder::new(stream).read_to_end(&mut out).expect("miniz_oxide decodes");
            assert_eq!(out, text);
            assert_eq!(zlib_rs_decodes(stream, len, -15), text);
            let mut out = vec![0; len];
            assert_eq!(libdeflater::Decompressor::new().deflate_decompress(stream, &mut out), Ok(len));
            assert_eq!(out, text);
        }
        Algorithm::Zlib => {
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(stream).read_to_end(&mut out).expect("miniz_oxide decodes");
            assert_eq!(out, text);
            assert_eq!(zlib_rs_decodes(stream, len, 15), text);
            let mut out = vec![0; len];
            assert_eq!(libdeflater::Decompressor::new().zlib_decompress(stream, &mut out), Ok(len));
            assert_eq!(out, text);
        }
        Algorithm::Gzip => {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(stream).read_to_end(&mut out).expect("miniz_oxide decodes");
            assert_eq!(out, text);
            assert_eq!(zlib_rs_decodes(stream, len, 31), text);
            let mut out = vec![0; len];
            assert_eq!(libdeflater::Decompressor::new().gzip_decompress(stream, &mut out), Ok(len));
            assert_eq!(out, text);
        }
        Algorithm::Lz4Block => {
            let room = i32::try_from(len).expect("small");
            assert_eq!(lz4::block::decompress(stream, Some(room)).expect("the C library decodes"), text);
            assert_eq!(lz4_flex::block::decompress(stream, len).expect("lz4_flex decodes"), text);
        }
        #[cfg(feature = "zstd")]
        Algorithm::Zstd => {
            let mut out = Vec::with_capacity(len);
            ruzstd::decoding::FrameDecoder::new().decode_all_to_vec(stream, &mut out).expect("ruzstd decodes");
            assert_eq!(out, text);
            let mut out = vec![0; len];
            assert_eq!(zstd_safe::decompress(out.as_mut_slice(), stream), Ok(len));
            assert_eq!(out, text);
        }
        _ => unreachable!("{algorithm} has no oracle"),
    }
}

fn zlib_rs_decodes(stream: &[u8], len: usize, window_bits: i32) -> Vec<u8> {
    let mut out = vec![0; len];
    let (written, code) = zlib_rs::decompress_slice(&mut out, stream, zlib_rs::InflateConfig { window_bits });
    assert_eq!(code, zlib_rs::ReturnCode::Ok);
    written.to_vec()
}

fn zlib_rs_encodes(text: &[u8], level: u8, window_bits: i32) -> Vec<u8> {
    let config = zlib_rs::DeflateConfig { window_bits, ..zlib_rs::DeflateConfig::new(i32::from(level)) };
    let mut out = vec![0; zlib_rs::compress_bound(text.len()) + 18];
    let (written, code) = zlib_rs::compress_slice(&mut out, text, config);
    assert_eq!(code, zlib_rs::ReturnCode::Ok);
    written.to_vec()
}

/// What other libraries make of the text.
fn encoded_elsewhere(algorithm: Algorithm, level: Option<u8>, text: &[u8]) -> Vec<Vec<u8>> {
    let level = level.unwrap_or(0);
    let compression = Compression::new(u32::from(level));
    let mut fast =
        libdeflater::Compressor::new(libdeflater::CompressionLvl::new(i32::from(level.min(9))).expect("valid"));
    let mut room = vec![0; fast.gzip_compress_bound(text.len())];
    match algorithm {
        Algorithm::Deflate => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), compression);
            encoder.write_all(text).expect("memory");
            let len = fast.deflate_compress(text, &mut room).expect("room");
            room.truncate(len);
            vec![encoder.finish().expect("memory"), zlib_rs_encodes(text, level, -15), room]
        }
        Algorithm::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), compression);
            encoder.write_all(text).expect("memory");
            let len = fast.zlib_compress(text, &mut room).expect("room");
            room.truncate(len);
            vec![encoder.finish().expect("memory"), zlib_rs_encodes(text, level, 15), room]
        }
        Algorithm::Gzip => {
            // With every optional field that the library can write.
            let mut encoder = flate2::GzBuilder::new()
                .filename("name")
                .comment("a comment")
                .extra([1, 2, 3, 4])
                .mtime(1)
                .write(Vec::new(), compression);
            encoder.write_all(text).expect("memory");
            let len = fast.gzip_compress(text, &mut room).expect("room");
            room.truncate(len);
            vec![encoder.finish().expect("memory"), zlib_rs_encodes(text, level, 31), room]
        }
        Algorithm::Lz4Block => {
            let best = lz4::block::CompressionMode::HIGHCOMPRESSION(9);
            vec![
                lz4::block::compress(text, None, false).expect("memory"),
                lz4::block::compress(text, Some(best), false).expect("memory"),
                lz4_flex::block::compress(text),
            ]
        }
        #[cfg(feature = "zstd")]
        Algorithm::Zstd => {
            let mut out = vec![0; zstd_safe::compress_bound(text.len())];
            let mut context = zstd_safe::CCtx::create();
            context.set_parameter(zstd_safe::CParameter::CompressionLevel(i32::from(level))).expect("valid");
            context.set_parameter(zstd_safe::CParameter::ChecksumFlag(true)).expect("valid");
            let len = context.compress2(out.as_mut_slice(), text).expect("room");
            out.truncate(len);
            vec![ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest), out]
        }
        _ => unreachable!("{algorithm} has no oracle"),
    }
}

#[test]
fn other_libraries_decode_what_the_unit_encodes_at_every_level() {
    for algorithm in formats() {
        for level in levels(algorithm) {
            for text in texts() {
                decoded_elsewhere(algorithm, &compress(algorithm, level, text), text);
            }
        }
    }
}

#[test]
fn the_unit_decodes_what_other_libraries_encode_at_every_level() {
    for algorithm in formats() {
        for level in levels(algorithm) {
            for text in texts() {
                for stream in encoded_elsewhere(algorithm, level, text) {
                    let (outcome, back) = decompress(algorithm, &stream, text.len());
                    assert_eq!(outcome.status, Status::Ok, "{algorithm} at {level:?}, {} bytes", text.len());
                    assert_eq!(size(outcome.consumed), stream.len(), "{algorithm} at {level:?}");
                    assert_eq!(&back, text);
                }
            }
        }
    }
}

#[test]
fn level_zero_stores_and_higher_levels_compress_better() {
    let text = prose(200_000);
    for algorithm in [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip] {
        let [stored, fast, best] = [0, 1, 9].map(|level| compress(algorithm, Some(level), &text).len());
        assert!(stored > text.len(), "{algorithm}: {stored}");
        assert!(best < fast && fast < text.len() / 2, "{algorithm}: {fast}, {best}");
    }
    #[cfg(feature = "zstd")]
    {
        let [fast, best] = [1, 19].map(|level| compress(Algorithm::Zstd, Some(level), &text).len());
        assert!(best < fast && fast < text.len() / 2, "{fast}, {best}");
    }
}

#[test]
fn one_scratch_serves_all_formats_and_levels_in_turn_without_leaving_a_trace() {
    let mut scratch = Scratch::new();
    for round in 0..2 {
        for algorithm in formats() {
            for level in levels(algorithm) {
                let text = &texts()[3 + round];
                let room = size(bound(algorithm, text.len() as u64).expect("has a bound"));
                let unit = support::compressor(algorithm, level);
                let (_, stream) = support::run_with(&mut scratch, &unit, &Input::new(text), room);
                assert_eq!(
                    stream,
                    compress(algorithm, level, text),
                    "{algorithm} at {level:?} depends on what ran before"
                );
                let unit = support::decompressor(algorithm);
                let (outcome, back) = support::run_with(&mut scratch, &unit, &Input::new(&stream), text.len());
                assert_eq!((outcome.status, &back), (Status::Ok, text));
                // A failure in between leaves no trace either.
                let (outcome, _) = support::run_with(&mut scratch, &unit, &Input::new(&stream), text.len() / 2);
                assert_eq!(outcome.status, Status::OutputTooSmall);
            }
        }
    }
}

#[test]
fn a_gzip_member_ends_where_the_next_begins() {
    let (first, second) = (&texts()[3], &texts()[5]);
    let mut file = compress(Algorithm::Gzip, None, first);
    let border = file.len();
    file.extend(compress(Algorithm::Gzip, None, second));

    let (outcome, back) = decompress(Algorithm::Gzip, &file, 1 << 20);
    assert_eq!((outcome.status, size(outcome.consumed), &back), (Status::Ok, border, first));
    let (outcome, back) = decompress(Algorithm::Gzip, &file[border..], 1 << 20);
    assert_eq!((outcome.status, &back), (Status::Ok, second));
}

#[test]
fn bytes_after_a_stream_are_left_alone() {
    for algorithm in formats().filter(|algorithm| *algorithm != Algorithm::Lz4Block) {
        for text in texts() {
            for tail in [&[0][..], &[0xFF; 9], b"\x1f\x8b\x08"] {
                let mut stream = compress(algorithm, None, text);
                let end = stream.len();
                stream.extend_from_slice(tail);
                let (outcome, back) = decompress(algorithm, &stream, text.len());
                assert_eq!(
                    (outcome.status, size(outcome.consumed)),
                    (Status::Ok, end),
                    "{algorithm}, {} bytes",
                    text.len()
                );
                assert_eq!(&back, text);
            }
        }
    }
}

#[test]
fn gzip_header_fields_are_checked_as_far_as_the_standard_defines_them() {
    let plain = compress(Algorithm::Gzip, None, b"text");
    let body = &plain[10..];
    let with_header_crc = |wrong: u8| {
        let mut member = vec![0x1f, 0x8b, 8, 0b10, 0, 0, 0, 0, 0, 255];
        let crc = crc32fast::hash(&member).to_le_bytes();
        member.extend([crc[0] ^ wrong, crc[1]]);
        member.extend_from_slice(body);
        member
    };
    assert_eq!(decompress(Algorithm::Gzip, &with_header_crc(0), 4).0.status, Status::Ok);
    assert_eq!(decompress(Algorithm::Gzip, &with_header_crc(1), 4).0.status, Status::Corrupt);

    for (offset, value) in [(0, 0), (1, 0), (2, 7), (3, 0x20), (3, 0x40), (3, 0x80)] {
        let mut member = plain.clone();
        member[offset] = value;
        assert_eq!(decompress(Algorithm::Gzip, &member, 4).0.status, Status::Corrupt, "byte {offset} = {value}");
    }
    for offset in 1..=8 {
        let mut member = plain.clone();
        let at = member.len() - offset;
        member[at] ^= 1;
        assert_eq!(decompress(Algorithm::Gzip, &member, 4).0.status, Status::Corrupt, "trailer, {offset} from the end");
    }
}

/// `gzip` of the system, fed through a pipe; `None`, said loudly, if there is none.
fn gzip(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = match Command::new("gzip").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!(
                "\n*** NOT TESTED against gzip(1): {error}. Install it, or this machine proves nothing about it. ***\n"
            );
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("gzip reads"));
        child.wait_with_output().expect("gzip ends")
    });
    assert!(output.status.success(), "gzip {arguments:?}: {}", output.status);
    Some(output.stdout)
}

#[test]
fn the_systems_gzip_and_the_unit_read_each_other() {
    for text in texts() {
        for level in [0, 1, 6, 9] {
            let Some(back) = gzip(&["-dc"], &compress(Algorithm::Gzip, Some(level), text)) else { return };
            assert_eq!(&back, text);
        }
        for level in ["-1", "-6", "-9"] {
            let Some(stream) = gzip(&["-c", level], text) else { return };
            let (outcome, back) = decompress(Algorithm::Gzip, &stream, text.len());
            assert_eq!((outcome.status, size(outcome.consumed), &back), (Status::Ok, stream.len(), text));
        }
    }
}
