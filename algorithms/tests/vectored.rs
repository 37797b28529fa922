//! Texts and streams in pieces, on the CPU, on an engine that takes them in one piece, and on one that takes them as they are.

mod support;

use std::io::{IoSlice, IoSliceMut, Read as _};
use std::time::Duration;

use support::{SMALL, noise, prose, runtimes, small, software};
use uaccel_algorithms::{Compressor, Decompressor, Error, Format, Level, Progress};
use uaccel_runtime::{Fallback, HISI_ZIP_SIMULATOR, Runtime};

const FORMATS: [Format; 3] = [Format::Deflate, Format::Zlib, Format::Gzip];

/// An engine that takes lists.
fn listing() -> Runtime {
    let builder = Runtime::builder().device(HISI_ZIP_SIMULATOR).fallback(Fallback::Never);
    builder.deadline(Duration::from_secs(120)).build().unwrap()
}

fn all() -> Vec<Runtime> {
    runtimes().into_iter().chain([listing()]).collect()
}

/// Another library's opinion of a stream, or of several members.
fn unpack(format: Format, packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match format {
        Format::Zlib => flate2::read::ZlibDecoder::new(packed).read_to_end(&mut text).unwrap(),
        Format::Gzip => flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut text).unwrap(),
        _ => flate2::read::DeflateDecoder::new(packed).read_to_end(&mut text).unwrap(),
    };
    text
}

fn cut(bytes: &[u8], len: usize) -> Vec<IoSlice<'_>> {
    let pieces = bytes.chunks(len).map(IoSlice::new);
    // With one that is empty in between.
    pieces.flat_map(|piece| [piece, IoSlice::new(&[])]).collect()
}

#[test]
fn a_text_in_pieces_is_compressed_as_one() {
    let text = [prose(40_000), noise(5_000, 1)].concat();
    for runtime in all() {
        for format in FORMATS {
            let compressor = Compressor::new(&runtime, format, Level::Default).unwrap();
            for len in [1, 77, 4_096, 45_000] {
                let packed = compressor.compress_vectored(&cut(&text, len)).unwrap();
                assert!(unpack(format, &packed) == text, "{format} by {len} on {}", runtime.device());
            }
            for nothing in [&[][..], &[IoSlice::new(&[])]] {
                assert_eq!(unpack(format, &compressor.compress_vectored(nothing).unwrap()), b"");
            }
        }
        let gathered = if runtime.granted().scatter { 0 } else { 9 };
        assert_eq!(runtime.counters().gathered, gathered, "on {}", runtime.device());
    }
}

#[test]
fn formats_that_only_the_cpu_has_take_pieces_too() {
    let runtime = software().build().unwrap();
    let text = prose(10_000);
    for format in [Format::Lz4Block, Format::Zstd] {
        let packed = Compressor::new(&runtime, format, Level::Default).unwrap().compress_vectored(&cut(&text, 999));
        let packed = packed.unwrap();
        let mut back = vec![0; 10_000];
        let (first, second) = back.split_at_mut(1);
        let progress = Decompressor::new(&runtime, format)
            .unwrap()
            .decompress_vectored_into(&cut(&packed, 100), &mut [IoSliceMut::new(first), IoSliceMut::new(second)]);
        assert_eq!(progress.unwrap(), Progress { consumed: packed.len(), produced: 10_000 });
        assert!(back == text);
    }
}

#[test]
fn a_stream_in_pieces_is_decompressed_into_pieces() {
    let text = prose(40_000);
    for runtime in all() {
        for format in FORMATS {
            let packed = Compressor::new(&runtime, format, 6).unwrap().compress(&text).unwrap();
            assert!(unpack(format, &packed) == text);
            let behind = [&packed[..], b"behind"].concat();
            let decompressor = Decompressor::new(&runtime, format).unwrap();
            let mut back = vec![0; 40_001];
            let mut into: Vec<_> = back.chunks_mut(1_000).map(IoSliceMut::new).collect();
            let progress = decompressor.decompress_vectored_into(&cut(&behind, 500), &mut into).unwrap();
            assert_eq!(progress, Progress { consumed: packed.len(), produced: 40_000 }, "{format}");
            assert!(back[..40_000] == text, "{format} on {}", runtime.device());
            let mut into: Vec<_> = back[..39_999].chunks_mut(1_000).map(IoSliceMut::new).collect();
            let error = decompressor.decompress_vectored_into(&cut(&packed, 500), &mut into).unwrap_err();
            assert!(matches!(error, Error::OutputTooSmall { room: 39_999, .. }), "{format}: {error}");
        }
    }
}

#[test]
fn gzip_above_the_limit_becomes_members_from_pieces() {
    let text = [prose(500_000), noise(200_000, 5)].concat();
    for fallback in [Fallback::Never, Fallback::OnError] {
        let runtime = small().fallback(fallback).build().unwrap();
        let gzip = Compressor::new(&runtime, Format::Gzip, 9).unwrap();
        let packed = gzip.compress_vectored(&cut(&text, 10_007)).unwrap();
        assert_eq!(packed, gzip.compress(&text).unwrap(), "the same members as of one piece");
        assert!(unpack(Format::Gzip, &packed) == text);
        assert_eq!(runtime.counters().fallbacks, 0);
    }
    // And without a copy where there are lists.
    let runtime = listing();
    let text = text.repeat(30);
    assert!(text.len() as u64 > runtime.granted().max_transfer);
    let packed = Compressor::new(&runtime, Format::Gzip, 9).unwrap().compress_vectored(&cut(&text, 100_003)).unwrap();
    assert!(unpack(Format::Gzip, &packed) == text);
    assert_eq!((runtime.counters().gathered, runtime.counters().fallbacks), (0, 0));
}

#[test]
fn what_needs_state_goes_to_the_cpu_above_the_limit() {
    let text = prose(SMALL + 1);
    let runtime = small().build().unwrap();
    let packed = Compressor::new(&runtime, Format::Zlib, 6).unwrap().compress_vectored(&cut(&text, 1_000)).unwrap();
    assert!(unpack(Format::Zlib, &packed) == text);
    assert_eq!((runtime.counters().fallbacks, runtime.counters().fallback_bytes), (1, text.len() as u64));
    let never = small().fallback(Fallback::Never).build().unwrap();
    let error = Compressor::new(&never, Format::Zlib, 6).unwrap().compress_vectored(&cut(&text, 1_000)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit, .. } if limit == SMALL as u64), "{error}");
}
