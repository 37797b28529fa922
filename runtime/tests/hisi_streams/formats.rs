//! Another library's idea of the formats.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use uaccel_queue::Algorithm;

pub(crate) const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

pub(crate) fn text(len: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|line| format!("{line}: {}\n", line.wrapping_mul(48_271) % 1009).into_bytes())
        .take(len)
        .collect()
}

/// Its stream, with a long header where there is one.
pub(crate) fn pack(algorithm: Algorithm, text: &[u8], level: u32) -> Vec<u8> {
    let level = Compression::new(level);
    let made = match algorithm {
        Algorithm::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        Algorithm::Gzip => {
            let builder = flate2::GzBuilder::new().filename("a name").comment("a comment").extra([7; 300]);
            let mut encoder = builder.write(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
        _ => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish())
        }
    };
    made.expect("memory takes all")
}

/// Its opinion of a stream.
pub(crate) fn unpack(algorithm: Algorithm, stream: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let read = match algorithm {
        Algorithm::Zlib => flate2::read::ZlibDecoder::new(stream).read_to_end(&mut text),
        Algorithm::Gzip => flate2::read::GzDecoder::new(stream).read_to_end(&mut text),
        _ => flate2::read::DeflateDecoder::new(stream).read_to_end(&mut text),
    };
    read.expect("a sound stream");
    text
}
