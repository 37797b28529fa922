//! Compressors that are held to a window: by another library's decoder that has no more history than that.

mod support;

use std::io::{Read as _, Write as _};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_PARSE_ZLIB_HEADER};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use support::{compressing, noise, simulator, software};
use uaccel_algorithms::{Compressor, Decompressor, Error, Format, Level, read, write};
use uaccel_runtime::{Fallback, SpecError};

const FORMATS: [Format; 3] = [Format::Deflate, Format::Zlib, Format::Gzip];

/// 300 KiB in which what was there comes again after 1 000 to 30 000 bytes.
fn text() -> Vec<u8> {
    let text = [1_000, 6_000, 30_000].into_iter().flat_map(|period| noise(period, 5).repeat(3));
    text.collect::<Vec<_>>().repeat(3)
}

/// The text of streams of a format, each decoded with so much history and no more.
fn unpack(format: Format, mut packed: &[u8], history: usize) -> Result<Vec<u8>, TINFLStatus> {
    let flags = if format == Format::Zlib { TINFL_FLAG_PARSE_ZLIB_HEADER } else { 0 };
    let mut text = Vec::new();
    while !packed.is_empty() {
        // RFC 1952, 2.3: of headers without optional fields.
        packed = if format == Format::Gzip { &packed[10..] } else { packed };
        let (mut engine, mut room, mut at) = (DecompressorOxide::new(), vec![0; history], 0);
        loop {
            let (status, used, made) =
                decompress(&mut engine, packed, &mut room, at, flags | TINFL_FLAG_HAS_MORE_INPUT);
            text.extend_from_slice(&room[at..at + made]);
            packed = &packed[used..];
            at = (at + made) % history;
            match status {
                TINFLStatus::Done => break,
                TINFLStatus::HasMoreOutput => {}
                status => return Err(status),
            }
        }
        packed = if format == Format::Gzip { &packed[8..] } else { packed };
    }
    Ok(text)
}

#[test]
fn every_way_to_compress_keeps_to_the_window() {
    let text = text();
    for runtime in compressing() {
        for format in FORMATS {
            let compressor = Compressor::new(&runtime, format, Level::Best).unwrap().with_window(4096).unwrap();
            assert_eq!((compressor.window(), compressor.level()), (Some(4096), 9));
            let mut room = vec![0; compressor.bound(text.len()).unwrap()];
            let len = compressor.compress_into(&text, &mut room).unwrap();
            room.truncate(len);
            let mut packed = vec![compressor.compress(&text).unwrap(), room];
            packed.extend(compressor.compress_batch(&[&text, &text]).into_iter().map(Result::unwrap));
            for packed in packed {
                assert!(unpack(format, &packed, 4096).as_ref() == Ok(&text), "{format} on {}", runtime.device());
                let back = Decompressor::new(&runtime, format).unwrap().decompress(&packed, text.len()).unwrap();
                assert!(back == text);
            }
            // And the check would have noticed.
            let all = Compressor::new(&runtime, format, Level::Best).unwrap().compress(&text).unwrap();
            assert_eq!(unpack(format, &all, 4096), Err(TINFLStatus::Failed), "{format}");
        }
    }
}

#[test]
fn so_do_adaptors() {
    // More than the small engine takes: there it is packed piece by piece.
    let text = text();
    for runtime in compressing() {
        macro_rules! with {
            ($format:expr, $encoder:ident) => {{
                let mut packed = Vec::new();
                let encoder = read::$encoder::new(&runtime, &text[..], 6).unwrap();
                encoder.with_window(8192).unwrap().read_to_end(&mut packed).unwrap();
                assert!(unpack($format, &packed, 8192).as_ref() == Ok(&text), "{} on {}", $format, runtime.device());
                let mut encoder = write::$encoder::new(&runtime, Vec::new(), 6).unwrap().with_window(8192).unwrap();
                encoder.write_all(&text).unwrap();
                let packed = encoder.finish().unwrap();
                assert!(unpack($format, &packed, 8192).as_ref() == Ok(&text), "{} on {}", $format, runtime.device());
            }};
        }
        with!(Format::Zlib, ZlibEncoder);
        with!(Format::Deflate, DeflateEncoder);
        with!(Format::Gzip, GzEncoder);
    }
}

#[test]
fn what_the_engine_does_not_keep_to_is_for_the_cpu_if_the_policy_allows_it() {
    let runtime = simulator().build().unwrap();
    let compressor = Compressor::new(&runtime, Format::Zlib, 6).unwrap().with_window(4096).unwrap();
    compressor.compress(b"text").unwrap();
    assert_eq!(runtime.counters().fallbacks, 1);
    let compressor = compressor.with_window(32_768).unwrap();
    compressor.compress(b"text").unwrap();
    assert_eq!(runtime.counters().fallbacks, 1, "it keeps to that");
    let runtime = simulator().fallback(Fallback::Never).build().unwrap();
    let compressor = Compressor::new(&runtime, Format::Zlib, 6).unwrap();
    let result = compressor.with_window(4096).and_then(|compressor| compressor.compress(b"text"));
    assert!(result.unwrap_err().is_device_failure());
}

#[test]
fn windows_that_a_format_does_not_have_are_refused() {
    let runtime = software().build().unwrap();
    for (format, window) in
        [(Format::Zlib, 511), (Format::Gzip, 32_769), (Format::Zstd, 4096), (Format::Lz4Block, 4096)]
    {
        let result = Compressor::new(&runtime, format, Level::Default).unwrap().with_window(window);
        assert!(matches!(result, Err(Error::Session(SpecError::Window { .. }))), "{format}: {result:?}");
    }
    let mut inner = Vec::new();
    let encoder = write::GzEncoder::new(&runtime, &mut inner, 6).unwrap();
    assert!(matches!(encoder.with_window(4), Err(Error::Session(_))));
    assert_eq!(inner, b"", "an encoder that was refused writes nothing");
    let mut encoder = write::ZlibEncoder::new(&runtime, Vec::new(), 6).unwrap();
    encoder.write_all(&vec![0; 5 << 20]).unwrap();
    assert!(matches!(encoder.with_window(4096), Err(Error::InvalidInput { .. })), "the stream has begun");
    let mut encoder = write::GzEncoder::with_chunk(&runtime, Vec::new(), 6, 1000).unwrap();
    encoder.write_all(&vec![0; 3000]).unwrap();
    assert!(matches!(encoder.with_window(4096), Err(Error::InvalidInput { .. })), "members are packed already");
}
