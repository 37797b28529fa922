//! Another library's decoder with little history: it sees references that point too far back.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// Noise that comes again after some thousand bytes, so that every window has something to miss.
pub(crate) fn far_repeats() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    let mut text = Vec::new();
    for period in [3_600, 7_000, 14_000, 20_000, 30_000] {
        let begun = text.len();
        text.extend(std::iter::repeat_with(&mut noise).take(period));
        text.extend_from_within(begun..);
    }
    text
}

/// Decodes a raw deflate stream with a history of so many bytes, a power of two; why not, if it cannot be done.
pub(crate) fn decode(mut stream: &[u8], history: usize) -> Result<Vec<u8>, TINFLStatus> {
    let (mut engine, mut room, mut at, mut text) = (DecompressorOxide::new(), vec![0; history], 0, Vec::new());
    loop {
        let (status, used, made) = decompress(&mut engine, stream, &mut room, at, TINFL_FLAG_HAS_MORE_INPUT);
        text.extend_from_slice(&room[at..at + made]);
        stream = &stream[used..];
        at = (at + made) % history;
        match status {
            TINFLStatus::Done if stream.is_empty() => return Ok(text),
            TINFLStatus::HasMoreOutput => {}
            status => return Err(status),
        }
    }
}
