//! Everything that was found.

use serde::Serialize;

use crate::checks;
use crate::finding::{Finding, Status};
use crate::machine::{Machine, Manner};
use crate::road::Road;
use crate::tree::Tree;

/// The version of the shape of reports; it grows when a field goes or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// What an examination found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Line by line, in the order in which one thing rests on another: what fails first is to be mended first.
    pub findings: Vec<Finding>,
    /// Ways to a device.
    pub roads: Vec<Road>,
}

impl Report {
    /// Looks at a machine.
    #[must_use]
    pub fn of(tree: &dyn Tree, manner: &Manner) -> Self {
        let machine = Machine::look(tree, manner);
        let (mut findings, roads) = checks::examine(&machine);
        if machine.person.as_ref().is_some_and(|person| person.uid == 0) {
            // Root needs no sudo, and where there are no others, as in containers, has none.
            for command in findings.iter_mut().flat_map(|finding| &mut finding.commands) {
                *command = command.replace("sudo ", "");
            }
        }
        Self { schema_version: SCHEMA_VERSION, findings, roads }
    }

    /// How many lines have a status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// Whether there is an accelerator, whatever is in its way.
    #[must_use]
    pub fn has_accelerators(&self) -> bool {
        let is_there = |finding: &Finding| finding.check == "accelerator.found" && finding.status == Status::Pass;
        self.findings.iter().any(is_there) || self.roads.iter().any(|road| !road.devices.is_empty())
    }

    /// The way with the best address mode that leads somewhere.
    #[must_use]
    pub fn best_road(&self) -> Option<&Road> {
        // They stand in that order.
        self.roads.iter().find(|road| !road.devices.is_empty())
    }
}
