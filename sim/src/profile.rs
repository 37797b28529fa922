//! How long things take on hardware.

mod point;
mod timing;

use core::str::FromStr;
use std::time::Duration;

pub use point::Point;
pub use timing::Timing;

/// A named timing, and where its figures are from.
///
/// As text: one `key = value` a line, `#` begins a comment; keys as in the built-in profile. `name`, `source` and `base-ns` must be there; `point` may be there
/// several times.
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
    /// What was published, to be held against what the timing makes of it.
    pub points: Vec<Point>,
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
        let (mut timing, mut points) = (Timing::fixed(Duration::ZERO), Vec::new());
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
                "accompanied-ns" => timing.accompanied = time()?,
                "point" => points.push(Point::parse(value).ok_or_else(refuse)?),
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
            points,
        })
    }
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profile_has_the_published_points() {
        let profile = Profile::hisilicon_zip();
        assert_eq!(profile.points.len(), 10);
        let one = profile.points[0];
        assert_eq!((one.depth, one.bytes, one.missing, one.megabytes_per_second), (1, 1024, 0, 363.4));
        // One at a time there is nothing to be calculated but the service.
        for point in profile.points.iter().filter(|point| point.depth == 1) {
            let service = profile.timing.service(point.bytes, 0).as_secs_f64();
            let ratio = point.bytes as f64 / service / 1e6 / point.megabytes_per_second;
            assert!((0.85..=1.15).contains(&ratio), "{point:?}: {ratio}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_text_is_said() {
        let parse = |text: &str| text.parse::<Profile>().unwrap_err();
        assert_eq!(parse("name"), ProfileError::Line(1));
        assert_eq!(parse("\nspeed = 1"), ProfileError::Key { line: 2, key: "speed".into() });
        assert_eq!(parse("name = a\nbase-ns = 1"), ProfileError::Missing("source"));
        for bad in [
            "point = 1 2 3",
            "point = 0 8192 0 100",
            "engines = 0",
            "page-fault-rate = 2",
            "ns-per-byte = -1",
            "ns-per-byte = NaN",
            "base-ns = soon",
        ] {
            assert!(matches!(parse(bad), ProfileError::Value { line: 1, .. }), "{bad}");
        }
    }
}
