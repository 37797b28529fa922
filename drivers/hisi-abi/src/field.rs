//! Numbers in bytes.

/// The two bytes at `at`.
pub(crate) const fn get16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The four bytes at `at`.
pub(crate) const fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The eight bytes at `at`.
pub(crate) const fn get64(bytes: &[u8], at: usize) -> u64 {
    get32(bytes, at) as u64 | (get32(bytes, at + 4) as u64) << 32
}

/// Puts bytes at `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}
