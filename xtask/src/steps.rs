//! The kinds of test.

use crate::step::{Call, Step, cargo};

const fn nothing() -> Option<String> {
    None
}

/// Every kind of test, cheapest answers first.
pub(crate) const TESTS: &[Step] = &[
    Step {
        name: "workspace",
        proves: "unit, integration, property and conformance tests of every package",
        commands: &[cargo(&["test", "--workspace", "--lib", "--bins", "--tests"])],
        missing: nothing,
    },
    Step {
        name: "docs",
        proves: "the examples in the documentation, README included",
        commands: &[cargo(&["test", "--workspace", "--doc"])],
        missing: nothing,
    },
    Step {
        name: "portable",
        proves: "the units without any code that a GPLv2 work could not take",
        commands: &[cargo(&["test", "--package", "uaccel-units", "--no-default-features"])],
        missing: nothing,
    },
    Step {
        name: "loom",
        proves: "wake-up, table and hand-off under every interleaving",
        commands: &[Call {
            arguments: &[
                "test",
                "--package",
                "uaccel-queue",
                "--release",
                "--test",
                "loom",
                "--target-dir",
                "target/loom",
            ],
            environment: &[("RUSTFLAGS", "--cfg loom"), ("LOOM_MAX_PREEMPTIONS", "3")],
        }],
        missing: nothing,
    },
];

/// What code must look like.
pub(crate) const LINTS: &[Step] = &[
    Step {
        name: "format",
        proves: "the code is formatted",
        commands: &[cargo(&["fmt", "--all", "--check"])],
        missing: nothing,
    },
    Step {
        name: "clippy",
        proves: "no warnings",
        commands: &[cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])],
        missing: nothing,
    },
    Step {
        name: "rustdoc",
        proves: "documentation without warnings",
        commands: &[Call {
            arguments: &["doc", "--workspace", "--no-deps"],
            environment: &[("RUSTDOCFLAGS", "--deny warnings")],
        }],
        missing: nothing,
    },
];
