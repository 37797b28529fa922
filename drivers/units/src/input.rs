//! What one job hands to a unit.

/// What one job hands to a unit, besides the room for its output.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The bytes to transform; for `Open`, the ciphertext with its tag.
    pub source: &'a [u8],
    /// Associated data of `Seal` and `Open`: authenticated, not encrypted. Empty for all else.
    pub aux: &'a [u8],
    /// The nonce of `Seal` and `Open`. Never `Seal` twice with the same key and nonce. Zero for all else.
    pub nonce: [u8; 12],
}

impl<'a> Input<'a> {
    /// The input of an operation that reads nothing but its source.
    #[must_use]
    pub const fn new(source: &'a [u8]) -> Self {
        Self { source, aux: &[], nonce: [0; 12] }
    }

    /// The input of `Seal` or `Open`.
    #[must_use]
    pub const fn aead(source: &'a [u8], aux: &'a [u8], nonce: [u8; 12]) -> Self {
        Self { source, aux, nonce }
    }
}
