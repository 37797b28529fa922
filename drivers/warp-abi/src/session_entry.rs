//! The session entry: what the host writes before it opens a session (section 3.5).

/// A session entry.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00 | 2 | algorithm |
/// | 0x02 | 1 | direction: 0 forward, 1 inverse |
/// | 0x03 | 1 | level |
/// | 0x04 | 2 | key length |
/// | 0x06 | 2 | reserved, 0 |
/// | 0x08 | 248 | key, the rest 0 |
///
/// The host clears the key when the command has completed; the device keeps its own expanded form.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionEntry {
    /// The algorithm's number.
    pub algorithm: u16,
    /// 0 forward, 1 inverse.
    pub direction: u8,
    /// The compression level.
    pub level: u8,
    /// The key's length, at most [`SessionEntry::MAX_KEY`].
    pub key_len: u16,
    /// The key, the rest 0.
    pub key: [u8; SessionEntry::MAX_KEY],
}

/// Why a session entry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionEntryError {
    /// Reserved bits are set.
    #[error("session entry has reserved bits set: {0:#06x}")]
    Reserved(u16),
    /// The direction is neither 0 nor 1.
    #[error("session entry has direction {0}")]
    Direction(u8),
    /// The key is longer than the entry.
    #[error("session entry has a key of {0} bytes")]
    KeyLength(u16),
}

impl SessionEntry {
    /// Bytes of an entry.
    pub const SIZE: usize = 256;
    /// Bytes a key can have.
    pub const MAX_KEY: usize = 248;
    /// Words of an entry.
    pub const WORDS: usize = Self::SIZE / 8;

    /// The entry as words in the order of their addresses.
    #[must_use]
    pub fn encode(&self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        words[0] = u64::from(self.algorithm)
            | u64::from(self.direction) << 16
            | u64::from(self.level) << 24
            | u64::from(self.key_len) << 32;
        for (word, bytes) in words[1..].iter_mut().zip(self.key.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }

    /// Reads an entry from its words.
    ///
    /// # Errors
    /// [`SessionEntryError`] if a field is out of range.
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub fn decode(words: &[u64; Self::WORDS]) -> Result<Self, SessionEntryError> {
        let head = words[0];
        let (reserved, direction, key_len) = ((head >> 48) as u16, (head >> 16) as u8, (head >> 32) as u16);
        if reserved != 0 {
            return Err(SessionEntryError::Reserved(reserved));
        }
        if direction > 1 {
            return Err(SessionEntryError::Direction(direction));
        }
        if usize::from(key_len) > Self::MAX_KEY {
            return Err(SessionEntryError::KeyLength(key_len));
        }
        let mut key = [0; Self::MAX_KEY];
        for (bytes, word) in key.as_chunks_mut().0.iter_mut().zip(&words[1..]) {
            *bytes = word.to_le_bytes();
        }
        Ok(Self { algorithm: head as u16, direction, level: (head >> 24) as u8, key_len, key })
    }
}

impl std::fmt::Debug for SessionEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs.
        f.debug_struct("SessionEntry")
            .field("algorithm", &self.algorithm)
            .field("direction", &self.direction)
            .field("level", &self.level)
            .field("key_len", &self.key_len)
            .finish_non_exhaustive()
    }
}
