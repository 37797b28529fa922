//! What a job does.

use core::fmt;

/// What a job does. The discriminants are stable: device interfaces use them as they are.
///
/// Which of a job's fields an operation reads is fixed here; a driver reads no other.
///
/// | operation | source | destination | aux | immediate | session |
/// | --- | --- | --- | --- | --- | --- |
/// | `Nop` | – | – | – | – | – |
/// | `Copy` | bytes | as many bytes | – | – | – |
/// | `Fill` | – | bytes | – | 8-byte pattern, repeated from the start | – |
/// | `Compare` | bytes | – | as many bytes | – | – |
/// | `Crc32c`, `Crc32` | bytes | – | – | 4-byte value to continue from, 0 to begin | – |
/// | `Compress`, `Decompress` | bytes | room | of a [stream](crate::stream) its state, else – | – | yes |
/// | `Seal` | plaintext | room for ciphertext and 16-byte tag | associated data | 12-byte nonce | yes |
/// | `Open` | ciphertext and tag | room for the plaintext | associated data | 12-byte nonce | yes |
/// | `Encrypt`, `Decrypt` | text | room for as many bytes | – | 16-byte IV | yes |
/// | `Digest` | bytes | room for the digest | – | – | yes |
///
/// The tag follows the ciphertext, as RFC 5116 has it. Numbers in `immediate` are little endian. "As many bytes" means that the two
/// lengths are equal; a driver answers a job where they are not with [`Status::InvalidJob`](crate::Status::InvalidJob). So it does with a text
/// to encrypt or decrypt whose length the algorithm does not take ([`Algorithm::text_lengths`](crate::Algorithm::text_lengths)).
///
/// # In place
///
/// What a job writes does not overlap what it reads, since devices read and write in pieces and in any order. There are two exceptions. A
/// `Copy` whose source and destination are the same is sound on every device. And an operation of
/// [`Capabilities::in_place`](crate::Capabilities::in_place) may have a destination that begins where its source does; then
/// [`JobFlags::UNINIT_DESTINATION`](crate::JobFlags::UNINIT_DESTINATION) is not set, and what the destination holds if the job fails
/// half-way is neither the one nor the other text. All else is refused by the runtime; a driver that meets it answers [`Status::InvalidJob`](crate::Status::InvalidJob) or gives the right result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Operation {
    /// Completes, and does nothing else.
    Nop = 0,
    /// Copies the source to the destination.
    Copy = 1,
    /// Fills the destination with a repeated 8-byte pattern.
    Fill = 2,
    /// Compares source and aux; `produced` is the offset of the first difference, or the length if there is none.
    Compare = 3,
    /// CRC-32C (Castagnoli, reflected polynomial `0x82F63B78`), as iSCSI and DSA compute it; the result is the checksum.
    Crc32c = 4,
    /// CRC-32 (ISO-HDLC, reflected polynomial `0xEDB88320`), as gzip computes it; the result is the checksum.
    Crc32 = 5,
    /// Compresses the source.
    Compress = 16,
    /// Decompresses one stream, member or frame from the start of the source.
    Decompress = 17,
    /// Encrypts and authenticates; the tag follows the ciphertext.
    Seal = 18,
    /// Verifies and decrypts. On a wrong tag the destination holds no plaintext.
    Open = 19,
    /// Writes a digest or MAC to the destination.
    Digest = 20,
    /// Encrypts, without authentication.
    Encrypt = 21,
    /// Decrypts, without authentication: what was altered decrypts to something else.
    Decrypt = 22,
}

impl Operation {
    /// Every operation this version names.
    pub const ALL: [Self; 13] = [
        Self::Nop,
        Self::Copy,
        Self::Fill,
        Self::Compare,
        Self::Crc32c,
        Self::Crc32,
        Self::Compress,
        Self::Decompress,
        Self::Seal,
        Self::Open,
        Self::Digest,
        Self::Encrypt,
        Self::Decrypt,
    ];

    /// Whether a job of this operation names a session.
    #[must_use]
    pub const fn needs_session(self) -> bool {
        self as u8 >= Self::Compress as u8
    }

    /// The name used on command lines and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nop => "nop",
            Self::Copy => "copy",
            Self::Fill => "fill",
            Self::Compare => "compare",
            Self::Crc32c => "crc-32c",
            Self::Crc32 => "crc-32",
            Self::Compress => "compress",
            Self::Decompress => "decompress",
            Self::Seal => "seal",
            Self::Open => "open",
            Self::Digest => "digest",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
        }
    }

    /// The operation with this discriminant, if there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::Nop,
            1 => Self::Copy,
            2 => Self::Fill,
            3 => Self::Compare,
            4 => Self::Crc32c,
            5 => Self::Crc32,
            16 => Self::Compress,
            17 => Self::Decompress,
            18 => Self::Seal,
            19 => Self::Open,
            20 => Self::Digest,
            21 => Self::Encrypt,
            22 => Self::Decrypt,
            _ => return None,
        })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
