//! What one job hands to a unit.

/// What one job hands to a unit, besides the room for its output.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The bytes to transform; for `Open`, the ciphertext with its tag.
    pub source: &'a [u8],
    /// Associated data of `Seal` and `Open`: authenticated, not encrypted. Empty for all else.
    pub aux: &'a [u8],
    /// The small operand: the IV of `Encrypt` and `Decrypt`; in the first 12 bytes, the nonce of `Seal` and `Open`. Zero for all else.
    /// Never `Seal` twice with the same key and nonce, nor `Encrypt` in counter mode with counters that meet.
    pub immediate: [u8; 16],
}

impl<'a> Input<'a> {
    /// The input of an operation that reads nothing but its source.
    #[must_use]
    pub const fn new(source: &'a [u8]) -> Self {
        Self { source, aux: &[], immediate: [0; 16] }
    }

    /// The input of `Seal` or `Open`.
    #[must_use]
    pub const fn aead(source: &'a [u8], aux: &'a [u8], nonce: [u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = nonce;
        Self { source, aux, immediate: [a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0] }
    }

    /// The input of `Encrypt` or `Decrypt`.
    #[must_use]
    pub const fn cipher(source: &'a [u8], iv: [u8; 16]) -> Self {
        Self { source, aux: &[], immediate: iv }
    }

    /// The nonce of `Seal` and `Open`.
    pub(crate) fn nonce(&self) -> [u8; 12] {
        let [nonce @ .., _, _, _, _] = self.immediate;
        nonce
    }
}
