//! Operations that need no session.
//!
//! They work on slices. Memory that another process may change while they run is not a slice; whoever has such memory works on a
//! private copy.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C (Castagnoli; RFC 3720 section 12.1, RFC 3385) of `bytes`, appended to what `continue_from` is the checksum of; 0 begins.
///
/// ```
/// use uaccel_units::plain::crc32c;
/// assert_eq!(crc32c(0, b"123456789"), 0xE306_9283);
/// assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xE306_9283);
/// ```
#[must_use]
pub fn crc32c(continue_from: u32, bytes: &[u8]) -> u32 {
    if continue_from == 0 {
        return crc_fast::crc32_iscsi(bytes);
    }
    // The library's register holds the complement of the checksum.
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!continue_from));
    digest.update(bytes);
    low(digest.finalize())
}

/// CRC-32 (RFC 1952 section 8) of `bytes`, appended to what `continue_from` is the checksum of; 0 begins.
///
/// ```
/// use uaccel_units::plain::crc32;
/// assert_eq!(crc32(0, b"123456789"), 0xCBF4_3926);
/// assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xCBF4_3926);
/// ```
#[must_use]
pub fn crc32(continue_from: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(continue_from);
    hasher.update(bytes);
    hasher.finalize()
}

/// Adler-32 (RFC 1950 section 8.2) of `bytes`, appended to what `continue_from` is the checksum of; 1 begins.
///
/// ```
/// use uaccel_units::plain::adler32;
/// assert_eq!(adler32(1, b"Wikipedia"), 0x11E6_0398);
/// assert_eq!(adler32(adler32(1, b"Wiki"), b"pedia"), 0x11E6_0398);
/// ```
#[must_use]
pub fn adler32(continue_from: u32, bytes: &[u8]) -> u32 {
    zlib_rs::adler32::adler32(continue_from, bytes)
}

/// Fills `destination` with the eight bytes of `pattern`, least significant first, repeated from the start; the last repetition may
/// be cut short.
pub fn fill(pattern: u64, destination: &mut [u8]) {
    let pattern = pattern.to_le_bytes();
    let mut words = destination.chunks_exact_mut(pattern.len());
    for word in &mut words {
        word.copy_from_slice(&pattern);
    }
    let rest = words.into_remainder();
    let len = rest.len();
    rest.copy_from_slice(&pattern[..len]);
}

/// The offset of the first byte in which the two differ, or the length of the shorter if they do not differ within it.
#[must_use]
pub fn compare(a: &[u8], b: &[u8]) -> usize {
    // Whole pieces go through the library's memory comparison, which says only whether they differ.
    const PIECE: usize = 256;
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let equal = a.chunks(PIECE).zip(b.chunks(PIECE)).take_while(|(a, b)| a == b).map(|(a, _)| a.len()).sum();
    let differs = |(a, b): (&u8, &u8)| a != b;
    a[equal..].iter().zip(&b[equal..]).position(differs).map_or(len, |offset| equal + offset)
}

/// The checksum in the low half of the library's result.
fn low(checksum: u64) -> u32 {
    let [a, b, c, d, ..] = checksum.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
