//! Texts, and what another library makes of them.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use uaccel_runtime::Algorithm;

pub(crate) fn text(len: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|line| format!("{line}: {}\n", line.wrapping_mul(48_271) % 1009).into_bytes())
        .take(len)
        .collect()
}

/// Another library's stream.
pub(crate) fn pack(algorithm: Algorithm, text: &[u8]) -> Vec<u8> {
    macro_rules! with {
        ($encoder:ident) => {{
            let mut encoder = flate2::write::$encoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }};
    }
    match algorithm {
        Algorithm::Zlib => with!(ZlibEncoder),
        Algorithm::Gzip => with!(GzEncoder),
        _ => with!(DeflateEncoder),
    }
}

/// Another library's opinion of a stream.
pub(crate) fn unpack(algorithm: Algorithm, stream: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match algorithm {
        Algorithm::Zlib => flate2::read::ZlibDecoder::new(stream).read_to_end(&mut text).unwrap(),
        Algorithm::Gzip => flate2::read::GzDecoder::new(stream).read_to_end(&mut text).unwrap(),
        _ => flate2::read::DeflateDecoder::new(stream).read_to_end(&mut text).unwrap(),
    };
    text
}
