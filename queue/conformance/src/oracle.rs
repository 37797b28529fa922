//! Right answers by other means.

pub(crate) mod aes;

use std::io::{Read, Write};

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, bufread};
use uaccel_queue::Algorithm;

/// A reflected CRC-32, bit by bit.
pub(crate) fn crc(polynomial: u32, continue_from: u32, bytes: &[u8]) -> u32 {
    let mut register = !continue_from;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = (register >> 1) ^ if register & 1 != 0 { polynomial } else { 0 };
        }
    }
    !register
}

/// The text in a stream, according to another library.
pub(crate) fn decompress(algorithm: Algorithm, stream: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    match algorithm {
        Algorithm::Deflate => DeflateDecoder::new(stream).read_to_end(&mut text).map(drop),
        Algorithm::Zlib => ZlibDecoder::new(stream).read_to_end(&mut text).map(drop),
        Algorithm::Gzip => GzDecoder::new(stream).read_to_end(&mut text).map(drop),
        Algorithm::Zstd => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(stream).expect("a frame");
            decoder.read_to_end(&mut text).map(drop)
        }
        Algorithm::Lz4Block => {
            text = lz4_block(stream);
            Ok(())
        }
        _ => panic!("{algorithm} does not compress"),
    }
    .unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    text
}

/// The text in a stream that has nothing behind its end, according to another library.
pub(crate) fn decompress_all(algorithm: Algorithm, stream: &[u8]) -> Vec<u8> {
    let (mut text, mut rest) = (Vec::new(), stream);
    match algorithm {
        Algorithm::Deflate => bufread::DeflateDecoder::new(&mut rest).read_to_end(&mut text),
        Algorithm::Zlib => bufread::ZlibDecoder::new(&mut rest).read_to_end(&mut text),
        Algorithm::Gzip => bufread::GzDecoder::new(&mut rest).read_to_end(&mut text),
        _ => return decompress(algorithm, stream),
    }
    .unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    assert!(rest.is_empty(), "{algorithm}: {} bytes behind the end", rest.len());
    text
}

/// A stream with this text, by another library; `None` where there is none to ask.
pub(crate) fn compress(algorithm: Algorithm, text: &[u8]) -> Option<Vec<u8>> {
    let level = Compression::new(6);
    Some(match algorithm {
        Algorithm::Deflate => finish(DeflateEncoder::new(Vec::new(), level), text, DeflateEncoder::finish),
        Algorithm::Zlib => finish(ZlibEncoder::new(Vec::new(), level), text, ZlibEncoder::finish),
        Algorithm::Gzip => finish(GzEncoder::new(Vec::new(), level), text, GzEncoder::finish),
        Algorithm::Zstd => ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest),
        Algorithm::Lz4Block => lz4_literals(text),
        _ => return None,
    })
}

fn finish<W: Write>(mut encoder: W, text: &[u8], finish: impl FnOnce(W) -> std::io::Result<Vec<u8>>) -> Vec<u8> {
    encoder.write_all(text).expect("memory takes all");
    finish(encoder).expect("memory takes all")
}

/// Decodes an LZ4 block, from the format's description.
fn lz4_block(mut block: &[u8]) -> Vec<u8> {
    fn byte(block: &mut &[u8]) -> usize {
        let (first, rest) = block.split_first().expect("block goes on");
        *block = rest;
        usize::from(*first)
    }
    fn length(block: &mut &[u8], nibble: usize) -> usize {
        let mut len = nibble;
        if nibble == 15 {
            loop {
                let more = byte(block);
                len += more;
                if more != 255 {
                    break;
                }
            }
        }
        len
    }
    let mut text = Vec::new();
    while !block.is_empty() {
        let token = byte(&mut block);
        let literals = length(&mut block, token >> 4);
        text.extend_from_slice(&block[..literals]);
        block = &block[literals..];
        if block.is_empty() {
            break;
        }
        let offset = byte(&mut block) | byte(&mut block) << 8;
        for _ in 0..length(&mut block, token & 15) + 4 {
            text.push(text[text.len() - offset]);
        }
    }
    text
}

/// An LZ4 block of literals only.
fn lz4_literals(text: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    if text.len() < 15 {
        block.push(u8::try_from(text.len() << 4).expect("a nibble"));
    } else {
        block.push(0xf0);
        let rest = text.len() - 15;
        block.extend(std::iter::repeat_n(255, rest / 255));
        block.push(u8::try_from(rest % 255).expect("a remainder"));
    }
    block.extend_from_slice(text);
    block
}
