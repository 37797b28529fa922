//! A node in `/dev`, and who may open it.

use serde::{Deserialize, Serialize};

use crate::person::Person;

/// What is known of a node without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Permission bits, as in `chmod`.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// What the kernel says of reading and writing by whoever asked, access lists included. None where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
}

/// The kernel's word on opening a node for reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Yes.
    Granted,
    /// No.
    Denied,
}

/// Permission bits for reading and writing, of one of the three classes.
const READ_WRITE: u32 = 0o6;

impl Node {
    /// Whether `person` may open it for reading and writing. None if it is not known who asks.
    #[must_use]
    pub(crate) fn lets(&self, person: Option<&Person>) -> Option<bool> {
        if let Some(access) = self.access {
            return Some(access == Access::Granted);
        }
        let person = person?;
        // The first class that fits decides alone (path_resolution(7)).
        let class = if person.uid == self.uid {
            self.mode >> 6
        } else if person.groups.contains(&self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        Some(person.overrides_permissions() || class & READ_WRITE == READ_WRITE)
    }

    /// Owner and permissions, as in `root:44 0660`.
    #[must_use]
    pub(crate) fn owners(&self) -> String {
        format!("owner {}, group {}, mode {:04o}", self.uid, self.gid, self.mode & 0o7777)
    }
}
