//! Machines that were written down, and what is expected of them.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::fs;
use std::path::PathBuf;

use uaccel_doctor::{Finding, Manner, Recording, Report, Status};

/// The file of a recording.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(format!("{name}.json"))
}

/// A recording.
pub(crate) fn machine(name: &str) -> Recording {
    let text = fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Recording::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is found on it, by somebody who opens nodes.
pub(crate) fn examine(machine: &Recording) -> Report {
    Report::of(machine, &Manner { open: true, ..Manner::default() })
}

/// Lines that are in the way, to know about, or not to be told: check, subject, status.
pub(crate) fn remarkable(report: &Report) -> Vec<(&'static str, &str, Status)> {
    let told = |finding: &&Finding| !matches!(finding.status, Status::Pass | Status::Absent);
    let line = |finding| {
        let Finding { check, subject, status, .. }: &Finding = finding;
        (*check, subject.as_deref().unwrap_or(""), *status)
    };
    report.findings.iter().filter(told).map(line).collect()
}
