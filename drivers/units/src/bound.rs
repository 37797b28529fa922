//! How much room a forward job can need.

use uaccel_queue::{Algorithm, Family};

use crate::aead::TAG_LEN;

/// The room, in bytes, that is always enough for one forward job of `algorithm` over `source_len` bytes.
///
/// - Compression: the worst case of either engine at any level and window, so that a host and a simulated device which are built with
///   different features agree. The result saturates at `u64::MAX`.
/// - Seal: `source_len` and the 16 bytes of the tag.
/// - Encrypt: `source_len`.
/// - Digest: the length of the digest.
///
/// There is no such bound for decompression: what comes out is up to the stream. Open makes 16 bytes less than it reads, Decrypt as many. `None` means
/// an algorithm this version does not know.
#[must_use]
pub fn bound(algorithm: Algorithm, source_len: u64) -> Option<u64> {
    match algorithm {
        Algorithm::Deflate => Some(deflate(source_len)),
        // Two bytes of header, four of Adler-32: RFC 1950 section 2.2.
        Algorithm::Zlib => Some(deflate(source_len).saturating_add(6)),
        // Ten bytes of header, eight of CRC-32 and length: RFC 1952 section 2.3.
        Algorithm::Gzip => Some(deflate(source_len).saturating_add(18)),
        Algorithm::Lz4Block => Some(lz4(source_len)),
        Algorithm::Zstd => Some(zstd(source_len)),
        _ if algorithm.family() == Family::Aead => Some(source_len.saturating_add(TAG_LEN as u64)),
        _ if algorithm.family() == Family::Cipher => Some(source_len),
        // Widening: a digest is some tens of bytes.
        _ => algorithm.digest_len().map(|len| len as u64),
    }
}

/// libdeflate falls back to stored blocks of at least 5000 bytes, five bytes of header each. zlib-rs does not at level 1, nor for a block that is longer than
/// its window, where fixed Huffman codes spend nine bits on half of all literals; the small constants are its end-of-block and rounding.
fn deflate(len: u64) -> u64 {
    let stored = 5_u64.saturating_mul(len.div_ceil(5000).max(1));
    let fixed = len.div_ceil(8).saturating_add(5);
    len.saturating_add(stored.max(fixed))
}

/// What `lz4_flex` insists on before it writes straight into the destination. The format itself needs less, `len + len / 255 + 16`,
/// and a room of that size does work, at the price of a copy.
fn lz4(len: u64) -> u64 {
    len.saturating_add(len / 10).saturating_add(21)
}

/// `ZSTD_COMPRESSBOUND` of zstd.h: three bytes of header per block of 128 KiB, and a margin for small inputs.
fn zstd(len: u64) -> u64 {
    const BLOCK: u64 = 128 << 10;
    let margin = if len < BLOCK { (BLOCK - len) >> 11 } else { 0 };
    len.saturating_add(len >> 8).saturating_add(margin)
}
