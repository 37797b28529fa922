//! Which transformation a session performs.

use core::fmt;
use core::ops::RangeInclusive;
use core::str::FromStr;

/// An algorithm that needs a session: it has a key, a level or an expanded state worth keeping between jobs.
///
/// The discriminants are stable: device interfaces use them as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[non_exhaustive]
pub enum Algorithm {
    /// Raw deflate, RFC 1951.
    Deflate = 1,
    /// Deflate in a zlib wrapper, RFC 1950.
    Zlib = 2,
    /// Deflate in a gzip member, RFC 1952. One job reads or writes one member.
    Gzip = 3,
    /// LZ4 block format, without a size prefix.
    Lz4Block = 4,
    /// Zstandard frame, RFC 8878.
    Zstd = 5,
    /// AES-128 in Galois/Counter mode, NIST SP 800-38D; 96-bit nonce, 128-bit tag.
    Aes128Gcm = 32,
    /// AES-256 in Galois/Counter mode, NIST SP 800-38D; 96-bit nonce, 128-bit tag.
    Aes256Gcm = 33,
    /// ChaCha20-Poly1305, RFC 8439; 96-bit nonce, 128-bit tag.
    ChaCha20Poly1305 = 34,
    /// AES-128 in cipher block chaining, NIST SP 800-38A section 6.2; whole blocks, no padding.
    Aes128Cbc = 48,
    /// AES-256 in cipher block chaining, NIST SP 800-38A section 6.2; whole blocks, no padding.
    Aes256Cbc = 49,
    /// AES-128 in counter mode, NIST SP 800-38A section 6.5; the IV is the first counter block, a big-endian number of 128 bits.
    Aes128Ctr = 50,
    /// AES-256 in counter mode, NIST SP 800-38A section 6.5; the IV is the first counter block, a big-endian number of 128 bits.
    Aes256Ctr = 51,
    /// XTS-AES-128, IEEE 1619 and NIST SP 800-38E, with ciphertext stealing; the IV is the tweak, and the key is two keys of 16 bytes.
    Aes128Xts = 52,
    /// XTS-AES-256, IEEE 1619 and NIST SP 800-38E, with ciphertext stealing; the IV is the tweak, and the key is two keys of 32 bytes.
    Aes256Xts = 53,
    /// SHA-256, FIPS 180-4.
    Sha256 = 64,
    /// SHA-512, FIPS 180-4.
    Sha512 = 65,
    /// HMAC over SHA-256, RFC 2104; any key length.
    HmacSha256 = 96,
}

/// What kind of work an [`Algorithm`] does; it fixes which operations a session of it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// [`Operation::Compress`](crate::Operation::Compress) and [`Operation::Decompress`](crate::Operation::Decompress).
    Compression,
    /// [`Operation::Seal`](crate::Operation::Seal) and [`Operation::Open`](crate::Operation::Open).
    Aead,
    /// [`Operation::Encrypt`](crate::Operation::Encrypt) and [`Operation::Decrypt`](crate::Operation::Decrypt).
    Cipher,
    /// [`Operation::Digest`](crate::Operation::Digest).
    Digest,
}

impl Algorithm {
    /// Every algorithm this version names, in display order.
    pub const ALL: [Self; 17] = [
        Self::Deflate,
        Self::Zlib,
        Self::Gzip,
        Self::Lz4Block,
        Self::Zstd,
        Self::Aes128Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes128Cbc,
        Self::Aes256Cbc,
        Self::Aes128Ctr,
        Self::Aes256Ctr,
        Self::Aes128Xts,
        Self::Aes256Xts,
        Self::Sha256,
        Self::Sha512,
        Self::HmacSha256,
    ];

    /// The kind of work.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Deflate | Self::Zlib | Self::Gzip | Self::Lz4Block | Self::Zstd => Family::Compression,
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => Family::Aead,
            Self::Aes128Cbc
            | Self::Aes256Cbc
            | Self::Aes128Ctr
            | Self::Aes256Ctr
            | Self::Aes128Xts
            | Self::Aes256Xts => Family::Cipher,
            Self::Sha256 | Self::Sha512 | Self::HmacSha256 => Family::Digest,
        }
    }

    /// The key length in bytes where the algorithm fixes one; `Some(0)` for algorithms without a key, `None` for any length.
    #[must_use]
    pub const fn key_len(self) -> Option<usize> {
        match self {
            Self::Aes128Gcm | Self::Aes128Cbc | Self::Aes128Ctr => Some(16),
            Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::Aes256Cbc | Self::Aes256Ctr | Self::Aes128Xts => Some(32),
            Self::Aes256Xts => Some(64),
            Self::HmacSha256 => None,
            _ => Some(0),
        }
    }

    /// The levels a compressor of this algorithm accepts, and the default one; `None` where a level means nothing.
    #[must_use]
    pub const fn levels(self) -> Option<Levels> {
        match self {
            Self::Deflate | Self::Zlib | Self::Gzip => Some(Levels { min: 0, max: 9, default: 6 }),
            Self::Zstd => Some(Levels { min: 1, max: 19, default: 3 }),
            _ => None,
        }
    }

    /// The largest window of any algorithm that has windows to choose from: 32 KiB (RFC 1951, 3.2.5).
    pub const LARGEST_WINDOW: u32 = 1 << 15;

    /// The windows that a compressor can be told to keep to, from the smallest to the largest, which is the default: how many bytes back a reference may point. `None`
    /// where there is no such choice.
    #[must_use]
    pub const fn windows(self) -> Option<RangeInclusive<u32>> {
        match self {
            // The smallest that compressors make: RFC 1950 knows of 256 bytes, which zlib has never written.
            Self::Deflate | Self::Zlib | Self::Gzip => Some(512..=Self::LARGEST_WINDOW),
            _ => None,
        }
    }

    /// The lengths of text a cipher takes; `None` for other families.
    #[must_use]
    pub const fn text_lengths(self) -> Option<TextLengths> {
        match self {
            Self::Aes128Cbc | Self::Aes256Cbc => Some(TextLengths { min: 0, max: u64::MAX, multiple_of: 16 }),
            Self::Aes128Ctr | Self::Aes256Ctr => Some(TextLengths { min: 0, max: u64::MAX, multiple_of: 1 }),
            // No more than 2^20 blocks under one tweak: SP 800-38E section 4.
            Self::Aes128Xts | Self::Aes256Xts => Some(TextLengths { min: 16, max: 16 << 20, multiple_of: 1 }),
            _ => None,
        }
    }

    /// The length in bytes of what a digest writes to its destination; `None` for other families.
    #[must_use]
    pub const fn digest_len(self) -> Option<usize> {
        match self {
            Self::Sha256 | Self::HmacSha256 => Some(32),
            Self::Sha512 => Some(64),
            _ => None,
        }
    }

    /// The name used on command lines, in reports and in device attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Zlib => "zlib",
            Self::Gzip => "gzip",
            Self::Lz4Block => "lz4",
            Self::Zstd => "zstd",
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Aes256Gcm => "aes-256-gcm",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::Aes128Cbc => "aes-128-cbc",
            Self::Aes256Cbc => "aes-256-cbc",
            Self::Aes128Ctr => "aes-128-ctr",
            Self::Aes256Ctr => "aes-256-ctr",
            Self::Aes128Xts => "aes-128-xts",
            Self::Aes256Xts => "aes-256-xts",
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
            Self::HmacSha256 => "hmac-sha-256",
        }
    }

    /// The algorithm with this discriminant, if there is one.
    #[must_use]
    pub fn from_raw(raw: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| *algorithm as u16 == raw)
    }
}

/// A closed range of compression levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Levels {
    /// Fastest.
    pub min: u8,
    /// Smallest output.
    pub max: u8,
    /// Taken when the caller names none.
    pub default: u8,
}

impl Levels {
    /// Whether `level` lies in the range.
    #[must_use]
    pub const fn contains(self, level: u8) -> bool {
        self.min <= level && level <= self.max
    }
}

/// Which lengths of text a cipher takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextLengths {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// What a length is a multiple of.
    pub multiple_of: u64,
}

impl TextLengths {
    /// Whether a text of `len` bytes is taken.
    #[inline]
    #[must_use]
    pub const fn contains(self, len: u64) -> bool {
        self.min <= len && len <= self.max && len.is_multiple_of(self.multiple_of)
    }
}

impl fmt::Display for TextLengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max, self.multiple_of) {
            (0, u64::MAX, 1) => f.write_str("any number of bytes"),
            (0, u64::MAX, block) => write!(f, "whole blocks of {block} bytes"),
            (min, max, 1) => write!(f, "{min} to {max} bytes"),
            (min, max, block) => write!(f, "{min} to {max} bytes in whole blocks of {block}"),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is not one of [`Algorithm::name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm '{0}'; known are: {known}", known = Algorithm::ALL.map(Algorithm::name).join(", "))]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}
