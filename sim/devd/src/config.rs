//! What a server is started with.

use core::str::FromStr;
use std::path::PathBuf;
use std::time::Duration;

use uaccel_sim::{Plan, WarpConfig, WarpConfigError};

use crate::limits::Limits;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct DaemonConfig {
    /// The socket's path.
    pub socket: PathBuf,
    /// Who may connect, as permissions of the socket: whoever may write to it.
    pub mode: u32,
    /// The devices.
    pub devices: Vec<DeviceConfig>,
    /// Threads that do the work of each device; `None` takes one less than there are CPUs, but at least one.
    pub workers: Option<usize>,
    /// The CPU the first worker of the first device is bound to; `None` lets the system choose.
    pub pin: Option<usize>,
    /// Threads of each device for long jobs; `None` takes as many as workers.
    pub lanes: Option<usize>,
    /// What the devices do slowly, or wrong.
    pub plan: Plan,
    /// How long the memory of a client may keep a thread waiting before the client is given up.
    pub memory_patience: Duration,
    /// How long somebody may be connected without a word.
    pub greeting: Duration,
    /// Who may have how much.
    pub limits: Limits,
}

impl DaemonConfig {
    /// One Warp engine, `warp0`, for the user who starts the server, at this path.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            mode: 0o600,
            devices: vec![DeviceConfig::new("warp0")],
            workers: None,
            pin: None,
            lanes: None,
            plan: Plan::default(),
            memory_patience: Duration::from_secs(5),
            greeting: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// One device.
///
/// As text: its name, then settings, as in `warp0,queues=64,engines=4,entries=4096,sessions=256,max-transfer=4194304`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// What clients call it, behind `devd:`.
    pub name: String,
    /// The engine.
    pub warp: WarpConfig,
}

/// Why a text is no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceConfigError {
    /// The name is impossible.
    #[error("'{0}' is no name: letters, digits, '-', '_' and '.', 1 to 32 of them")]
    Name(String),
    /// A setting is not `key=value`.
    #[error("'{0}' is not of the form key=value")]
    Form(String),
    /// A setting is unknown.
    #[error("there is no setting '{0}'; there are queues, engines, entries, sessions, max-transfer")]
    Key(String),
    /// A value is impossible.
    #[error("'{value}' is no possible value of {key}")]
    Value {
        /// The setting.
        key: String,
        /// The value.
        value: String,
    },
    /// There can be no such engine.
    #[error(transparent)]
    Engine(#[from] WarpConfigError),
}

impl DeviceConfig {
    /// An engine of the usual size, with 256 queues: more than one user can have.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), warp: WarpConfig { queues: 256, ..WarpConfig::default() } }
    }
}

impl FromStr for DeviceConfig {
    type Err = DeviceConfigError;

    fn from_str(text: &str) -> Result<Self, DeviceConfigError> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
            return Err(DeviceConfigError::Name(name.to_owned()));
        }
        let mut device = Self::new(name);
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| DeviceConfigError::Form(part.to_owned()))?;
            let warp = &mut device.warp;
            match key {
                "queues" => warp.queues = number(key, value)?,
                "engines" => warp.engines = number(key, value)?,
                "entries" => warp.entries = number(key, value)?,
                "sessions" => warp.sessions = number(key, value)?,
                "max-transfer" => warp.max_transfer = number(key, value)?,
                _ => return Err(DeviceConfigError::Key(key.to_owned())),
            }
        }
        device.warp.check()?;
        Ok(device)
    }
}

fn number<T: FromStr>(key: &str, value: &str) -> Result<T, DeviceConfigError> {
    value.parse().map_err(|_| DeviceConfigError::Value { key: key.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_and_what_is_wrong_is_said() {
        let device: DeviceConfig =
            "fast-1,queues=8,engines=2,entries=256,sessions=16,max-transfer=65536".parse().unwrap();
        assert_eq!(device.name, "fast-1");
        assert_eq!(device.warp, WarpConfig { queues: 8, engines: 2, entries: 256, sessions: 16, max_transfer: 65536 });
        let refuse = |text: &str| text.parse::<DeviceConfig>().unwrap_err();
        assert_eq!(refuse(",queues=1"), DeviceConfigError::Name(String::new()));
        assert_eq!(refuse("a/b"), DeviceConfigError::Name("a/b".into()));
        assert_eq!(refuse("a,queues"), DeviceConfigError::Form("queues".into()));
        assert_eq!(refuse("a,speed=1"), DeviceConfigError::Key("speed".into()));
        assert!(matches!(refuse("a,queues=-1"), DeviceConfigError::Value { .. }));
        assert_eq!(refuse("a,entries=3"), DeviceConfigError::Engine(WarpConfigError::Entries(3)));
    }
}
