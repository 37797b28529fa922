//! What should have come out, from libraries that neither the simulator nor the CPU path is made of.
//!
//! | workload | device and CPU path work with | checked with |
//! | --- | --- | --- |
//! | deflate, zlib, gzip | libdeflate, zlib-rs | miniz_oxide |
//! | LZ4 block | lz4_flex | the C library |
//! | Zstandard | the C library | ruzstd |
//! | AES-GCM, ChaCha20-Poly1305 | AWS-LC | RustCrypto |
//! | AES-CBC, AES-CTR | AWS-LC | RustCrypto |
//! | AES-XTS | AES of RustCrypto, the mode in the units | AES of AWS-LC, the mode in `xts.rs` |
//! | SHA-2, HMAC | RustCrypto | AWS-LC |
//! | CRC-32C; CRC-32 | crc-fast; crc32fast | crc32c; crc-fast |

mod xts;

use std::io::{Read as _, Write as _};

use aes::cipher::consts::U16;
use aes::cipher::{BlockModeEncrypt, BlockSizeUser, KeyIvInit, StreamCipher};
use aes_gcm::aead::{Aead, AeadCore, KeyInit, KeySizeUser, Payload};
use flate2::Compression;
use uaccel_runtime::{Algorithm, Family};

use crate::workload::Workload;

/// Why an oracle has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{library}: {reason}")]
pub struct Refusal {
    library: &'static str,
    reason: String,
}

fn refusal(library: &'static str) -> impl Fn(String) -> Refusal {
    move |reason| Refusal { library, reason }
}

/// Who checks a workload.
#[must_use]
pub fn library(workload: Workload) -> &'static str {
    match workload {
        Workload::Nop => "its status",
        Workload::Copy | Workload::Fill | Workload::Compare => "the bytes",
        Workload::Crc32c => "crc32c",
        Workload::Crc32 => "crc-fast",
        Workload::Session(algorithm, _) => session_library(algorithm),
    }
}

fn session_library(algorithm: Algorithm) -> &'static str {
    match (algorithm, algorithm.family()) {
        (Algorithm::Lz4Block, _) => "liblz4",
        (Algorithm::Zstd, _) => "ruzstd",
        (_, Family::Compression) => "miniz_oxide",
        (_, Family::Aead) => "RustCrypto",
        (Algorithm::Aes128Xts | Algorithm::Aes256Xts, _) => "AWS-LC",
        (_, Family::Cipher) => "RustCrypto",
        _ => "AWS-LC",
    }
}

/// CRC-32C.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32 as gzip has it.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "a 32-bit checksum in a 64-bit return type")]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

/// Decompresses a whole stream of at most `len` bytes of text; one byte more shows that there is too much. Gzip may have several members.
///
/// # Errors
/// What the library says about the stream.
pub fn decompress(algorithm: Algorithm, stream: &[u8], len: usize) -> Result<Vec<u8>, Refusal> {
    let refuse = refusal(session_library(algorithm));
    let limit = len as u64 + 1;
    let mut text = Vec::with_capacity(len + 1);
    match algorithm {
        Algorithm::Deflate => {
            flate2::read::DeflateDecoder::new(stream).take(limit).read_to_end(&mut text).map_err(|e| e.to_string())
        }
        Algorithm::Zlib => {
            flate2::read::ZlibDecoder::new(stream).take(limit).read_to_end(&mut text).map_err(|e| e.to_string())
        }
        Algorithm::Gzip => {
            flate2::read::MultiGzDecoder::new(stream).take(limit).read_to_end(&mut text).map_err(|e| e.to_string())
        }
        Algorithm::Lz4Block => {
            let room = i32::try_from(len).map_err(|_| refuse("too long".to_owned()))?;
            lz4::block::decompress(stream, Some(room)).map(|made| text = made).map(|()| 0).map_err(|e| e.to_string())
        }
        Algorithm::Zstd => ruzstd::decoding::StreamingDecoder::new(stream)
            .map_err(|e| e.to_string())
            .and_then(|decoder| decoder.take(limit).read_to_end(&mut text).map_err(|e| e.to_string())),
        other => Err(format!("{other} compresses nothing")),
    }
    .map_err(refuse)?;
    Ok(text)
}

/// Compresses, for jobs that decompress. The level counts as far as the library has it.
///
/// # Errors
/// What the library says.
pub fn compress(algorithm: Algorithm, level: Option<u8>, text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let refuse = refusal(session_library(algorithm));
    let level = Compression::new(u32::from(level.unwrap_or(6)).min(9));
    match algorithm {
        Algorithm::Deflate => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
        }
        Algorithm::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
        }
        Algorithm::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).and_then(|()| encoder.finish()).map_err(|e| e.to_string())
        }
        Algorithm::Lz4Block => lz4::block::compress(text, None, false).map_err(|e| e.to_string()),
        Algorithm::Zstd => Ok(ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)),
        other => Err(format!("{other} compresses nothing")),
    }
    .map_err(refuse)
}

/// Encrypts and authenticates; the tag follows the ciphertext.
///
/// # Errors
/// If the key does not fit, or the text is too long.
pub fn seal(algorithm: Algorithm, key: &[u8], nonce: [u8; 12], aad: &[u8], text: &[u8]) -> Result<Vec<u8>, Refusal> {
    fn with<C: Aead + KeyInit + KeySizeUser + AeadCore>(
        key: &[u8],
        nonce: [u8; 12],
        aad: &[u8],
        msg: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let refuse = refusal("RustCrypto");
        let cipher = C::new_from_slice(key).map_err(|e| refuse(e.to_string()))?;
        let nonce = aes_gcm::aead::Nonce::<C>::try_from(&nonce[..]).map_err(|e| refuse(e.to_string()))?;
        cipher.encrypt(&nonce, Payload { msg, aad }).map_err(|e| refuse(e.to_string()))
    }
    match algorithm {
        Algorithm::Aes128Gcm => with::<aes_gcm::Aes128Gcm>(key, nonce, aad, text),
        Algorithm::Aes256Gcm => with::<aes_gcm::Aes256Gcm>(key, nonce, aad, text),
        Algorithm::ChaCha20Poly1305 => with::<chacha20poly1305::ChaCha20Poly1305>(key, nonce, aad, text),
        other => Err(refusal("RustCrypto")(format!("{other} encrypts nothing"))),
    }
}

/// Encrypts, without authentication.
///
/// # Errors
/// If the key does not fit, or the algorithm takes no such text.
pub fn encrypt(algorithm: Algorithm, key: &[u8], iv: [u8; 16], text: &[u8]) -> Result<Vec<u8>, Refusal> {
    fn cbc<M: KeyIvInit + BlockModeEncrypt + BlockSizeUser<BlockSize = U16>>(
        key: &[u8],
        iv: [u8; 16],
        text: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let refuse = refusal("RustCrypto");
        let mut made = text.to_vec();
        let (blocks, rest) = aes::Block::slice_as_chunks_mut(&mut made);
        if !rest.is_empty() {
            return Err(refuse(format!("{} bytes are no whole blocks", text.len())));
        }
        M::new_from_slices(key, &iv).map_err(|e| refuse(e.to_string()))?.encrypt_blocks(blocks);
        Ok(made)
    }
    fn ctr<M: KeyIvInit + StreamCipher>(key: &[u8], iv: [u8; 16], text: &[u8]) -> Result<Vec<u8>, Refusal> {
        let refuse = refusal("RustCrypto");
        let mut made = text.to_vec();
        let mut mode = M::new_from_slices(key, &iv).map_err(|e| refuse(e.to_string()))?;
        mode.try_apply_keystream(&mut made).map_err(|e| refuse(e.to_string()))?;
        Ok(made)
    }
    match algorithm {
        Algorithm::Aes128Cbc => cbc::<cbc::Encryptor<aes::Aes128>>(key, iv, text),
        Algorithm::Aes256Cbc => cbc::<cbc::Encryptor<aes::Aes256>>(key, iv, text),
        Algorithm::Aes128Ctr => ctr::<ctr::Ctr128BE<aes::Aes128>>(key, iv, text),
        Algorithm::Aes256Ctr => ctr::<ctr::Ctr128BE<aes::Aes256>>(key, iv, text),
        Algorithm::Aes128Xts | Algorithm::Aes256Xts => {
            let library = session_library(algorithm);
            xts::encrypt(key, iv, text).ok_or_else(|| refusal(library)("the key or the text does not fit".to_owned()))
        }
        other => Err(refusal("RustCrypto")(format!("{other} encrypts nothing"))),
    }
}

/// A digest, or with a key a MAC.
///
/// # Errors
/// If the algorithm is none.
pub fn digest(algorithm: Algorithm, key: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    use aws_lc_rs::{digest, hmac};
    match algorithm {
        Algorithm::Sha256 => Ok(digest::digest(&digest::SHA256, bytes).as_ref().to_vec()),
        Algorithm::Sha512 => Ok(digest::digest(&digest::SHA512, bytes).as_ref().to_vec()),
        Algorithm::HmacSha256 => Ok(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec()),
        other => Err(refusal("AWS-LC")(format!("{other} is no digest"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_oracle_compresses_it_decompresses() {
        let text = b"a rose is a rose is a rose".repeat(100);
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == Family::Compression) {
            let stream = compress(algorithm, None, &text).expect("compresses");
            assert!(stream.len() < text.len());
            assert_eq!(decompress(algorithm, &stream, text.len()).expect("decompresses"), text, "{algorithm}");
            assert!(
                decompress(algorithm, &stream[..stream.len() / 2], text.len()).is_ok_and(|made| made != text)
                    || decompress(algorithm, &stream[..stream.len() / 2], text.len()).is_err()
            );
        }
        assert!(compress(Algorithm::Sha256, None, &text).is_err());
    }

    #[test]
    fn published_answers() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        // FIPS 180-4, the message "abc".
        assert_eq!(digest(Algorithm::Sha256, &[], b"abc").expect("a digest")[..4], [0xba, 0x78, 0x16, 0xbf]);
        // RFC 4231, test case 2.
        let mac = digest(Algorithm::HmacSha256, b"Jefe", b"what do ya want for nothing?").expect("a MAC");
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        // The AES-GCM specification, test case 1: no text, all zeros.
        let tag = seal(Algorithm::Aes128Gcm, &[0; 16], [0; 12], &[], &[]).expect("seals");
        assert_eq!(tag[..4], [0x58, 0xe2, 0xfc, 0xce]);
        assert!(seal(Algorithm::Aes128Gcm, &[0; 15], [0; 12], &[], &[]).is_err());
        // NIST SP 800-38A, F.2.1 and F.5.1: their first block.
        let key = [0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c];
        let text = [0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a];
        let made = |algorithm, iv| encrypt(algorithm, &key, iv, &text).expect("encrypts");
        let from = |start: u8| std::array::from_fn(|at| start + u8::try_from(at).expect("16 of them"));
        assert_eq!(made(Algorithm::Aes128Cbc, from(0))[..4], [0x76, 0x49, 0xab, 0xac]);
        assert_eq!(made(Algorithm::Aes128Ctr, from(0xf0))[..4], [0x87, 0x4d, 0x61, 0x91]);
        assert!(encrypt(Algorithm::Aes128Cbc, &key, [0; 16], &text[1..]).is_err());
        // IEEE 1619, vector 15: a block and a byte.
        let key: Vec<u8> = (0xf0..=0xff).rev().chain((0xb0..=0xbf).rev()).collect();
        let iv = [0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let made = encrypt(Algorithm::Aes128Xts, &key, iv, &from(0).into_iter().chain([16]).collect::<Vec<u8>>());
        let made = made.expect("encrypts");
        assert_eq!((made.len(), &made[..4], made[16]), (17, &[0x6c, 0x16, 0x25, 0xdb][..], 0xed));
        assert!(encrypt(Algorithm::Aes128Xts, &key, iv, &text[1..]).is_err());
    }
}
