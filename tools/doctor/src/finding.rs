//! What was found: lines with a status, a reason, and what mends it.

use serde::Serialize;

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// In the way of something on this machine.
    Fail,
    /// Works, and is less safe or less than it seems.
    Warn,
    /// Not there, and nothing on this machine needs it.
    Absent,
    /// Cannot be told from here.
    Unknown,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, as `iommu.present`; the same in every version.
    pub check: &'static str,
    /// The device, group, node or socket that it is about.
    pub subject: Option<String>,
    /// How it stands.
    pub status: Status,
    /// What was found, and why that is so.
    pub why: String,
    /// What to do about it, in words.
    pub advice: Option<String>,
    /// What to type, in this order.
    pub commands: Vec<String>,
}

impl Finding {
    fn new(check: &'static str, status: Status, why: impl Into<String>) -> Self {
        Self { check, subject: None, status, why: why.into(), advice: None, commands: Vec::new() }
    }

    /// All is well.
    pub fn pass(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Pass, why)
    }

    /// Something is in the way.
    pub fn fail(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Fail, why)
    }

    /// Something is not what it seems.
    pub fn warn(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Warn, why)
    }

    /// Something is missing that nobody here misses.
    pub fn absent(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Absent, why)
    }

    /// Nobody says.
    pub fn unknown(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Unknown, why)
    }

    /// In the way if it is needed, else only not there.
    pub fn missing(check: &'static str, needed: bool, why: impl Into<String>) -> Self {
        Self::new(check, if needed { Status::Fail } else { Status::Absent }, why)
    }

    /// About this device, group or node.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What to do, in words.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What to type next.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// What to do, in words, and what to type.
    #[must_use]
    pub fn mend(self, (advice, commands): (String, Vec<String>)) -> Self {
        commands.into_iter().fold(self.advise(advice), Self::run)
    }
}
