//! What a digest comes to.

use std::fmt;

/// A digest or a message authentication code: 32 or 64 bytes.
///
/// Displays as lower-case hexadecimal digits. Comparing takes a time that depends on the values; codes from outside are checked with
/// [`Mac::verify`](crate::Mac::verify).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DigestValue {
    bytes: [u8; Self::MOST],
    len: usize,
}

impl DigestValue {
    /// The length of the longest, in bytes.
    pub(crate) const MOST: usize = 64;

    /// The first `len` bytes of `bytes`.
    pub(crate) fn new(mut bytes: [u8; Self::MOST], len: usize) -> Self {
        let len = len.min(Self::MOST);
        // Compared as a whole.
        bytes[len..].fill(0);
        Self { bytes, len }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsRef<[u8]> for DigestValue {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for DigestValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DigestValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
