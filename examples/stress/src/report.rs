//! What came of a run.

use std::collections::BTreeMap;

use crate::checker::{Finding, Tally};

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What the histories say.
    pub tally: Tally,
    /// Rules that were broken.
    pub findings: Vec<Finding>,
    /// Whatever else went wrong.
    pub problems: Vec<String>,
    /// Events that took place, by what they were.
    pub events: BTreeMap<&'static str, u64>,
    /// Lives of clients.
    pub lives: u64,
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.tally.findings == 0 && self.problems.is_empty()
    }
}
