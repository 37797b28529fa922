//! The machine that the lab runs on.

use std::fs;

use crate::apt::keyring;
use crate::error::LabError;
use crate::tool;

/// Programs that the lab calls, beside apt, with what brings them. All are part of every Debian system.
const TOOLS: [(&str, &str); 3] = [
    ("dpkg-deb", "as root: apt-get install dpkg"),
    ("tar", "as root: apt-get install tar"),
    ("unshare", "as root: apt-get install util-linux"),
];

/// What os-release(5) says of it.
#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Its name for people.
    pub(crate) name: String,
    id: String,
    codename: String,
}

impl Host {
    /// Reads it from the machine.
    pub(crate) fn look() -> Self {
        Self::of(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn of(text: &str) -> Self {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
                .map_or(String::new(), |value| value.trim_matches(['"', '\'']).to_owned())
        };
        let name = value("PRETTY_NAME");
        Self {
            name: if name.is_empty() { "unknown system".to_owned() } else { name },
            id: value("ID"),
            codename: value("VERSION_CODENAME"),
        }
    }

    /// Whether packages of Debian can be fetched and run with what is installed. Gives the keyring that they are checked with.
    pub(crate) fn check(&self) -> Result<&'static str, LabError> {
        if std::env::consts::ARCH != "x86_64" {
            return Err(LabError::Processor { found: std::env::consts::ARCH });
        }
        if self.id != "debian" || !tool::is_there("apt-get") {
            return Err(LabError::NotDebian { system: self.name.clone() });
        }
        for (tool, cure) in TOOLS {
            if !tool::is_there(tool) {
                return Err(LabError::Missing { tool, cure });
            }
        }
        keyring().ok_or(LabError::Missing {
            tool: "Debian's keyring",
            cure: "as root: apt-get install debian-archive-keyring",
        })
    }

    /// The suites with this machine's own first if it is among them: a plug-in built here needs a C library that is as new.
    pub(crate) fn first_own<T: Copy>(&self, suites: &[(&'static str, T)]) -> Vec<(&'static str, T)> {
        let own = if self.codename.is_empty() { "sid" } else { self.codename.as_str() };
        let (first, rest): (Vec<_>, Vec<_>) = suites.iter().copied().partition(|(suite, _)| *suite == own);
        [first, rest].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: [(&str, ()); 3] = [("trixie-backports", ()), ("sid", ()), ("forky", ())];

    fn order(text: &str) -> Vec<&'static str> {
        Host::of(text).first_own(&SUITES).into_iter().map(|(suite, ())| suite).collect()
    }

    #[test]
    fn a_stable_system_takes_backports_and_a_newer_one_its_own_suite() {
        assert_eq!(order("ID=debian\nVERSION_CODENAME=bookworm\n"), ["trixie-backports", "sid", "forky"]);
        assert_eq!(order("ID=debian\nVERSION_CODENAME=forky\n"), ["forky", "trixie-backports", "sid"]);
        assert_eq!(order("ID=debian\n"), ["sid", "trixie-backports", "forky"]);
    }

    #[test]
    fn another_system_is_named_in_the_refusal() {
        let error = Host::of("PRETTY_NAME=\"Some Linux 9\"\nID=some\n").check().unwrap_err();
        assert!(error.to_string().contains("Some Linux 9"), "{error}");
    }
}
