//! Sizes as people write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes, written `4096`, `4k`, `64KiB` or `1m`. The suffixes are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub usize);

/// Why a text is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no size; sizes look like 512, 4k, 64KiB, 1m")]
pub struct NoSize(String);

/// The largest size a job is made of.
const MOST: usize = 1 << 30;

impl FromStr for ByteSize {
    type Err = NoSize;

    fn from_str(text: &str) -> Result<Self, NoSize> {
        let refuse = || NoSize(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
        let (number, suffix) = lower.split_at(digits);
        let factor = match suffix.trim_end_matches('b').trim_end_matches('i') {
            "" => 1,
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            _ => return Err(refuse()),
        };
        let number: usize = number.parse().map_err(|_| refuse())?;
        number.checked_mul(factor).filter(|bytes| (1..=MOST).contains(bytes)).map(Self).ok_or_else(refuse)
    }
}

impl fmt::Display for ByteSize {
    /// The shortest exact form, or one decimal where there is none of up to five characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")];
        let exact = units.into_iter().find(|(unit, _)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let text = match (exact, units.into_iter().find(|(unit, _)| self.0 >= *unit)) {
            (Some((unit, suffix)), _) => format!("{}{suffix}", self.0 / unit),
            (None, Some((unit, suffix))) if self.0 >= 10_000 => format!("{:.1}{suffix}", self.0 as f64 / unit as f64),
            _ => self.0.to_string(),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_in_all_spellings() {
        for (text, bytes) in
            [("1", 1), ("4k", 4096), ("64KiB", 65_536), ("64kb", 65_536), ("1M", 1 << 20), ("1g", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "0", "k", "4x", "-1", "1.5k", "2g", "99999999999999999999k"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_short() {
        for (bytes, text) in
            [(100, "100"), (4096, "4k"), (4097, "4097"), (1 << 20, "1m"), (6_500_000, "6.2m"), (66_000, "64.5k")]
        {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!(format!("[{:>5}]", ByteSize(4096)), "[   4k]");
    }
}
