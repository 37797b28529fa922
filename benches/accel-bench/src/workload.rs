//! What is measured.

use std::fmt;
use std::str::FromStr;

use uaccel_runtime::{Algorithm, Direction, Family};

/// One kind of job, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// Nothing: the way to the device and back.
    Nop,
    /// A copy.
    Copy,
    /// A fill with a pattern.
    Fill,
    /// A comparison of equal or nearly equal ranges.
    Compare,
    /// CRC-32C.
    Crc32c,
    /// CRC-32 as gzip has it.
    Crc32,
    /// Compression, encryption, a digest: whatever needs a session.
    Session(Algorithm, Direction),
}

/// Names of the algorithms without a session, with what they stand for.
const PLAIN: [(&str, Workload); 6] = [
    ("nop", Workload::Nop),
    ("copy", Workload::Copy),
    ("fill", Workload::Fill),
    ("compare", Workload::Compare),
    ("crc-32c", Workload::Crc32c),
    ("crc-32", Workload::Crc32),
];

/// Which directions of an algorithm are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Directions {
    /// Compress and decompress, encrypt and decrypt.
    #[default]
    Both,
    /// Only compress, encrypt.
    Forward,
    /// Only decompress, decrypt.
    Inverse,
}

impl Workload {
    /// The names a user can give, in display order.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        PLAIN.iter().map(|(name, _)| *name).chain(Algorithm::ALL.map(Algorithm::name)).collect()
    }

    /// What a name stands for: an algorithm in its directions. Empty if the name is unknown.
    #[must_use]
    pub fn named(name: &str, directions: Directions) -> Vec<Self> {
        if let Some((_, workload)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return vec![*workload];
        }
        let Ok(algorithm) = name.parse::<Algorithm>() else { return Vec::new() };
        let forward = Self::Session(algorithm, Direction::Forward);
        let inverse = Self::Session(algorithm, Direction::Inverse);
        match directions {
            // A digest has one direction, whatever was asked for.
            _ if algorithm.family() == Family::Digest => vec![forward],
            Directions::Both => vec![forward, inverse],
            Directions::Forward => vec![forward],
            Directions::Inverse => vec![inverse],
        }
    }

    /// The algorithm's name.
    #[must_use]
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Session(algorithm, _) => algorithm.name(),
            plain => PLAIN.iter().find(|(_, workload)| *workload == plain).map_or("", |(name, _)| *name),
        }
    }

    /// What is done with the algorithm, where that is a choice.
    #[must_use]
    pub fn operation(self) -> Option<&'static str> {
        let Self::Session(algorithm, direction) = self else { return None };
        match (algorithm.family(), direction) {
            (Family::Compression, Direction::Forward) => Some("compress"),
            (Family::Compression, Direction::Inverse) => Some("decompress"),
            (Family::Aead | Family::Cipher, Direction::Forward) => Some("encrypt"),
            (Family::Aead | Family::Cipher, Direction::Inverse) => Some("decrypt"),
            _ => None,
        }
    }

    /// Whether it makes its input smaller, so that a ratio says something.
    #[must_use]
    pub fn compresses(self) -> bool {
        matches!(self, Self::Session(algorithm, Direction::Forward) if algorithm.family() == Family::Compression)
    }

    /// The name in keys of the JSON report: `gzip.compress`, `copy`.
    #[must_use]
    pub fn key(self) -> String {
        self.operation()
            .map_or_else(|| self.algorithm().to_owned(), |operation| format!("{}.{operation}", self.algorithm()))
    }
}

/// By the name in keys.
impl FromStr for Workload {
    type Err = NoWorkload;

    fn from_str(key: &str) -> Result<Self, NoWorkload> {
        let all = Self::names().into_iter().flat_map(|name| Self::named(name, Directions::Both));
        all.into_iter().find(|workload| workload.key() == key).ok_or_else(|| NoWorkload(key.to_owned()))
    }
}

/// A key that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no workload")]
pub struct NoWorkload(String);

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation() {
            Some(operation) => f.pad(&format!("{} {operation}", self.algorithm())),
            None => f.pad(self.algorithm()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_for_something() {
        for name in Workload::names() {
            let workloads = Workload::named(name, Directions::Both);
            assert!(!workloads.is_empty(), "{name}");
            assert!(workloads.iter().all(|workload| workload.algorithm() == name));
            assert!(workloads.iter().all(|workload| workload.key().parse() == Ok(*workload)));
        }
        assert!(Workload::named("gunzip", Directions::Both).is_empty());
        assert_eq!(Workload::named("sha-256", Directions::Inverse).len(), 1);
        assert_eq!(Workload::named("gzip", Directions::Both)[1].to_string(), "gzip decompress");
        assert_eq!(Workload::named("aes-128-gcm", Directions::Forward)[0].key(), "aes-128-gcm.encrypt");
    }
}
