//! How long things take on hardware.

use core::str::FromStr;
use std::time::Duration;

/// How long a job takes: a fixed part, a part per byte, and what missing pages cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Taken by every job.
    pub base: Duration,
    /// Nanoseconds for each byte, of source or destination, whichever is longer.
    pub ns_per_byte: f64,
    /// Jobs in service at a time; `None` takes the model's number.
    pub engines: Option<usize>,
    /// What one missing page costs.
    pub page_fault: Duration,
    /// How often a page a job touches is missing: 0 never, 1 always.
    pub page_fault_rate: f64,
}

impl Timing {
    /// A time that is the same for all jobs.
    #[must_use]
    pub const fn fixed(base: Duration) -> Self {
        Self { base, ns_per_byte: 0.0, engines: None, page_fault: Duration::ZERO, page_fault_rate: 0.0 }
    }

    /// The same with a number of engines.
    #[must_use]
    pub const fn on(self, engines: usize) -> Self {
        Self { engines: Some(engines), ..self }
    }

    /// The service time of a job of `bytes` that meets `missing` pages.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a simulated time needs no more than 53 bits")]
    pub fn service(&self, bytes: u64, missing: u32) -> Duration {
        let bytes = Duration::try_from_secs_f64(self.ns_per_byte * bytes as f64 * 1e-9).unwrap_or_default();
        self.base.saturating_add(bytes).saturating_add(self.page_fault.saturating_mul(missing))
    }
}

/// A named timing, and where its figures are from.
///
/// As text: one `key = value` a line, `#` begins a comment; keys as in the built-in profile. `name`, `source` and `base-ns` must be there.
///
/// ```
/// use uaccel_sim::Profile;
/// let profile: Profile = "name = slow\nsource = invented\nbase-ns = 1000\nns-per-byte = 2".parse()?;
/// assert_eq!(profile.timing.service(500, 0).as_nanos(), 2000);
/// # Ok::<(), uaccel_sim::ProfileError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// Where the figures are from.
    pub source: String,
    /// The figures.
    pub timing: Timing,
}

/// Why a text is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A line is not `key = value`.
    #[error("line {0} is not of the form 'key = value'")]
    Line(usize),
    /// A key is unknown.
    #[error("line {line} has the unknown key '{key}'")]
    Key {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A value is not a number, or not a possible one.
    #[error("line {line}: '{value}' is no possible value of {key}")]
    Value {
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// A key that must be there is not.
    #[error("the profile has no '{0}'")]
    Missing(&'static str),
}

impl Profile {
    /// Deflate on HiSilicon's ZIP engine, fitted to published figures.
    ///
    /// # Panics
    /// Never: the text is part of the crate, and a test reads it.
    #[must_use]
    pub fn hisilicon_zip() -> Self {
        include_str!("../profiles/hisilicon-zip.profile").parse().expect("the built-in profile is well formed")
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let (mut name, mut source, mut base) = (None, None, None);
        let mut timing = Timing::fixed(Duration::ZERO);
        for (line, content) in text.lines().enumerate().map(|(index, content)| (index + 1, content.trim())) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (key, value) = content.split_once('=').ok_or(ProfileError::Line(line))?;
            let (key, value) = (key.trim(), value.trim());
            let refuse = || ProfileError::Value { line, key: key.to_owned(), value: value.to_owned() };
            let time = || value.parse().map(Duration::from_nanos).map_err(|_| refuse());
            let number =
                |most: f64| value.parse().ok().filter(|number| (0.0..=most).contains(number)).ok_or_else(refuse);
            match key {
                "name" => name = Some(value.to_owned()),
                "source" => source = Some(value.to_owned()),
                "base-ns" => base = Some(time()?),
                "ns-per-byte" => timing.ns_per_byte = number(1e9)?,
                "engines" => {
                    timing.engines = Some(value.parse().ok().filter(|engines| *engines > 0).ok_or_else(refuse)?)
                }
                "page-fault-ns" => timing.page_fault = time()?,
                "page-fault-rate" => timing.page_fault_rate = number(1.0)?,
                _ => return Err(ProfileError::Key { line, key: key.to_owned() }),
            }
        }
        timing.base = base.ok_or(ProfileError::Missing("base-ns"))?;
        Ok(Self {
            name: name.ok_or(ProfileError::Missing("name"))?,
            source: source.ok_or(ProfileError::Missing("source"))?,
            timing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profile_gives_the_published_figures_back() {
        let timing = Profile::hisilicon_zip().timing;
        let block = timing.service(8192, 0).as_secs_f64();
        assert!((8192.0 / block / 1e6 - 557.0).abs() < 30.0, "one 8 KiB block takes {block} s");
        let small = timing.service(1024, 0).as_secs_f64();
        assert!((1e-3 / small - 354.9).abs() < 10.0, "one 1 KiB block takes {small} s");
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said() {
        let parse = |text: &str| text.parse::<Profile>().unwrap_err();
        assert_eq!(parse("name"), ProfileError::Line(1));
        assert_eq!(parse("\nspeed = 1"), ProfileError::Key { line: 2, key: "speed".into() });
        assert_eq!(parse("name = a\nbase-ns = 1"), ProfileError::Missing("source"));
        for bad in ["engines = 0", "page-fault-rate = 2", "ns-per-byte = -1", "ns-per-byte = NaN", "base-ns = soon"] {
            assert!(matches!(parse(bad), ProfileError::Value { line: 1, .. }), "{bad}");
        }
    }
}
