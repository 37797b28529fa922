//! Bytes to work on.

/// Bytes without pattern, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    // SplitMix64, by its published constants.
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Bytes that compress: words from a small vocabulary, with some noise between.
pub(crate) fn prose(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&[u8]; 8] =
        [b"queue ", b"device ", b"the ", b"of a ", b"completion ", b"\n", b"memory and ", b"not before the answer "];
    let mut bytes = Vec::with_capacity(len + 32);
    for random in noise(seed, len.div_ceil(2) + 1) {
        match random {
            0..248 => bytes.extend_from_slice(WORDS[usize::from(random % 8)]),
            _ => bytes.push(random),
        }
        if bytes.len() >= len {
            break;
        }
    }
    bytes.resize(len, b'.');
    bytes
}

/// Bytes written in hexadecimal.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2), "two digits a byte");
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal")).collect()
}
