//! Versions as Debian writes them, as far as the lab compares them.

use std::fmt;

/// A version of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(String);

impl Version {
    /// As a package list has it: `[epoch:]upstream[-revision]` (deb-version(7)).
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The first two numbers of the upstream version.
    pub(crate) fn release(&self) -> (u32, u32) {
        let mut numbers = self
            .without_epoch()
            .split(|letter: char| !letter.is_ascii_digit())
            .map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// Without the epoch, which would put a colon into a path.
    pub(crate) fn without_epoch(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(_, rest)| rest)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_past_epoch_and_revision() {
        assert_eq!(Version::new("1:11.1.3+ds-1~bpo13+1").release(), (11, 1));
        assert_eq!(Version::new("7.3.4-1~bpo13+1").release(), (7, 3));
        assert_eq!(Version::new("7.10-1").release(), (7, 10));
        assert_eq!(Version::new("8").release(), (8, 0));
        assert_eq!(Version::new("").release(), (0, 0));
        assert_eq!(Version::new("1:11.1.3+ds-1").without_epoch(), "11.1.3+ds-1");
    }
}
