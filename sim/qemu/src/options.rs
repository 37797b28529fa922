//! What stands behind the comma on QEMU's command line.

use uaccel_sim::WarpConfig;
use uaccel_sim::hisi::qm::{Config, Vectors};
use uaccel_warp_abi::control_page;

/// What stands behind the comma of `-plugin libuaccel_qemu.so,…`.
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `trace=on` or `off` | print what goes over the bus, on standard error | off |
/// | `pasid-bits=N` | width of PASIDs, 1 to 20 | 16 |
/// | `workers=N` | threads that compute, 1 to 256 | CPUs less one, at least one |
/// | `queues=N` | `warp`: queues, 1 to 64 | 16 |
/// | `max-transfer=N` | `warp`: most bytes a job reads or writes, with `K` or `M` behind the number for KiB or MiB | 4M |
/// | `hisi-queues=N` | `hisi-zip`: queues, 1 to 64 | 64 |
/// | `hisi-vectors=1` or `4` | `hisi-zip`: interrupt vectors; with one, nobody is told of errors | 4 |
/// | `hisi-error-after=N` | `hisi-zip`: after this many jobs, once, there is an error that needs a reset | never |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether to print what goes over the bus.
    pub trace: bool,
    /// Width of PASIDs.
    pub pasid_bits: u8,
    /// Threads that compute.
    pub workers: usize,
    /// The Warp engine.
    pub warp: WarpConfig,
    /// The ZIP function.
    pub hisi: HisiOptions,
}

/// What is said of the ZIP function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HisiOptions {
    /// Queues.
    pub queues: u16,
    /// Interrupt vectors.
    pub vectors: Vectors,
    /// After how many jobs there is an error that needs a reset.
    pub error_after: Option<u64>,
}

impl Default for HisiOptions {
    fn default() -> Self {
        Self { queues: Config::MAX_QUEUES, vectors: Vectors::Four, error_after: None }
    }
}

/// Why an option is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// There is no such option.
    #[error(
        "there is no option `{0}`; there are trace, pasid-bits, workers, queues, max-transfer, hisi-queues, hisi-vectors and hisi-error-after"
    )]
    Unknown(String),
    /// It needs a value.
    #[error("option `{0}` needs a value: {0}=…")]
    NoValue(String),
    /// The value cannot be.
    #[error("option {name}={value} is not possible: {expected}")]
    Value {
        /// Which option.
        name: &'static str,
        /// The value that was given.
        value: String,
        /// What would be possible.
        expected: &'static str,
    },
}

impl Default for Options {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            trace: false,
            pasid_bits: 16,
            workers: cpus.saturating_sub(1).max(1),
            warp: WarpConfig { queues: 16, ..WarpConfig::default() },
            hisi: HisiOptions::default(),
        }
    }
}

impl Options {
    /// Reads the options.
    ///
    /// # Errors
    /// The first one that is refused.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        for argument in arguments {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            match name {
                "trace" => options.trace = switch("trace", value)?,
                "queues" => options.warp.queues = number("queues", value, 1..=control_page::MAX_QUEUES, "1 to 64")?,
                "pasid-bits" => options.pasid_bits = number("pasid-bits", value, 1..=20, "1 to 20")?,
                "max-transfer" => {
                    let (digits, unit) = match value.strip_suffix(['K', 'M']) {
                        Some(digits) if value.ends_with('K') => (digits, 1 << 10),
                        Some(digits) => (digits, 1 << 20),
                        None => (value, 1),
                    };
                    const EXPECTED: &str = "4096 to 1024M";
                    let wrong =
                        || OptionsError::Value { name: "max-transfer", value: value.to_owned(), expected: EXPECTED };
                    options.warp.max_transfer = digits
                        .parse::<u32>()
                        .ok()
                        .and_then(|count| count.checked_mul(unit))
                        .filter(|bytes| (4096..=1 << 30).contains(bytes))
                        .ok_or_else(wrong)?;
                }
                "hisi-queues" => {
                    options.hisi.queues = number("hisi-queues", value, 1..=Config::MAX_QUEUES, "1 to 64")?;
                }
                "hisi-vectors" => options.hisi.vectors = vectors(value)?,
                "hisi-error-after" => {
                    let jobs = number("hisi-error-after", value, 1..=u64::from(u32::MAX), "1 to 4294967295")?;
                    options.hisi.error_after = Some(jobs);
                }
                "workers" => options.workers = number("workers", value, 1..=256, "1 to 256")?,
                other => return Err(OptionsError::Unknown(other.to_owned())),
            }
        }
        Ok(options)
    }
}

fn switch(name: &'static str, value: &str) -> Result<bool, OptionsError> {
    match value {
        "" => Err(OptionsError::NoValue(name.to_owned())),
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(OptionsError::Value { name, value: other.to_owned(), expected: "on or off" }),
    }
}

fn vectors(value: &str) -> Result<Vectors, OptionsError> {
    const NAME: &str = "hisi-vectors";
    match value {
        "" => Err(OptionsError::NoValue(NAME.to_owned())),
        "1" => Ok(Vectors::One),
        "4" => Ok(Vectors::Four),
        other => Err(OptionsError::Value { name: NAME, value: other.to_owned(), expected: "1 or 4" }),
    }
}

fn number<T: std::str::FromStr + PartialOrd>(
    name: &'static str,
    value: &str,
    range: std::ops::RangeInclusive<T>,
    expected: &'static str,
) -> Result<T, OptionsError> {
    if value.is_empty() {
        return Err(OptionsError::NoValue(name.to_owned()));
    }
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| OptionsError::Value {
        name,
        value: value.to_owned(),
        expected,
    })
}
