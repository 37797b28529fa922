//! What a machine says of itself in its files.

use serde::{Deserialize, Serialize};

use crate::daemon_socket::DaemonSocket;
use crate::node::Node;

/// Why a file says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// It is not there.
    #[error("not there")]
    Absent,
    /// It is there, for others.
    #[error("permission denied")]
    Denied,
    /// Something else, by the name of the error.
    #[error("{0}")]
    Failed(String),
}

/// The files of a machine: this one's ([`Disk`](crate::Disk)), or those that were written down ([`Recording`](crate::Recording)).
/// Paths are absolute, as on the machine itself.
pub trait Tree {
    /// What a file holds, as far as `keep` lets it through. Whoever writes answers down writes down what was let through.
    ///
    /// # Errors
    /// Why there is nothing.
    fn read(&self, path: &str, keep: Keep) -> Result<Vec<u8>, Gap>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// Why there are none.
    fn list(&self, path: &str) -> Result<Vec<String>, Gap>;

    /// Where a symbolic link leads to, as it is written.
    ///
    /// # Errors
    /// Why it leads nowhere.
    fn link(&self, path: &str) -> Result<String, Gap>;

    /// Who may open a node in `/dev`.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn node(&self, path: &str) -> Result<Node, Gap>;

    /// Opens a node for reading and writing, and closes it at once.
    ///
    /// # Errors
    /// Why it did not open: the name of the error, as [`Gap::Failed`] or [`Gap::Denied`].
    fn open(&self, path: &str) -> Result<(), Gap>;

    /// The socket of `uaccel-devd`, if that can be told. With `ask` its daemon is asked for its devices.
    fn daemon(&self, ask: bool) -> Option<DaemonSocket>;
}

/// Lets through what is looked at, and nothing else: recordings are shown to other people.
pub type Keep = fn(&[u8]) -> Vec<u8>;

/// Lets everything through.
#[must_use]
pub fn all(text: &[u8]) -> Vec<u8> {
    text.to_vec()
}

impl dyn Tree + '_ {
    /// A file's text without white space at its ends.
    ///
    /// # Errors
    /// Why there is none.
    pub fn text(&self, path: &str) -> Result<String, Gap> {
        self.text_of(path, all)
    }

    /// The text that `keep` lets through.
    ///
    /// # Errors
    /// Why there is none.
    pub fn text_of(&self, path: &str, keep: Keep) -> Result<String, Gap> {
        Ok(String::from_utf8_lossy(&self.read(path, keep)?).trim().to_owned())
    }

    /// A decimal number, or a hexadecimal one after `0x`. None if there is no such file, or no number in it.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<u64> {
        let text = self.text(path).ok()?;
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// The last part of where a link leads: the name of a driver, the number of a group.
    #[must_use]
    pub fn link_name(&self, path: &str) -> Option<String> {
        let target = self.link(path).ok()?;
        target.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned)
    }

    /// The names in a folder; none if it is not there.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        self.list(path).unwrap_or_default()
    }

    /// Whether a folder is there.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        !matches!(self.list(path), Err(Gap::Absent))
    }
}
