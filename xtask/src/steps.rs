//! The kinds of test.

use crate::step::{Call, Step, cargo};

const fn nothing() -> Option<String> {
    None
}

/// What is instrumented is built for one target.
fn other_machine() -> Option<String> {
    (!cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))
        .then(|| "instrumented builds are set up for x86_64-unknown-linux-gnu only".to_owned())
}

/// Coverage for libFuzzer, with what the stable compiler has.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";

/// A call of a fuzz target, named first.
const fn fuzz(target: &'static [&'static str]) -> Call {
    Call { before: FUZZ, arguments: target, environment: &[("RUSTFLAGS", COVERAGE)] }
}

/// The target is given so that build scripts and macros are not instrumented.
const FUZZ: &[&str] = &[
    "run",
    "--quiet",
    "--release",
    "--manifest-path",
    "fuzz/Cargo.toml",
    "--target-dir",
    "target/fuzz",
    "--target",
    "x86_64-unknown-linux-gnu",
    "--bin",
];

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
            before: &[],
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
    Step {
        name: "loom-drivers",
        proves: "the drivers' halves under every interleaving",
        commands: &[Call {
            before: &[],
            arguments: &["test", "--package", "uaccel-drivers", "--release", "--lib", "--target-dir", "target/loom"],
            environment: &[("RUSTFLAGS", "--cfg loom"), ("LOOM_MAX_PREEMPTIONS", "3")],
        }],
        missing: nothing,
    },
    Step {
        name: "loom-runtime",
        proves: "what a future and its queue share under every interleaving",
        commands: &[Call {
            before: &[],
            arguments: &["test", "--package", "uaccel-runtime", "--release", "--lib", "--target-dir", "target/loom"],
            environment: &[("RUSTFLAGS", "--cfg loom"), ("LOOM_MAX_PREEMPTIONS", "3")],
        }],
        missing: nothing,
    },
    Step {
        name: "examples",
        proves: "the examples do what they say, on the CPU and on the simulated engine",
        commands: &[
            cargo(&["run", "--quiet", "--release", "--example", "compress_file", "Cargo.lock", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "compress_file", "Cargo.lock", "sim"]),
            cargo(&["run", "--quiet", "--release", "--example", "async_pipeline", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "async_pipeline", "sim"]),
            cargo(&["run", "--quiet", "--release", "--example", "many_threads", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "many_threads", "sim"]),
        ],
        missing: nothing,
    },
    Step {
        name: "demonstration",
        proves: "accel-bench without arguments: real files, every byte verified",
        commands: &[cargo(&["run", "--quiet", "--release", "--package", "accel-bench"])],
        missing: nothing,
    },
    Step {
        name: "out-of-tree",
        proves: "a driver and a device model on the public API alone pass the suite and serve a call",
        commands: &[
            cargo(&[
                "test",
                "--manifest-path",
                "examples/out-of-tree/Cargo.toml",
                "--target-dir",
                "target/out-of-tree",
            ]),
            cargo(&["run", "--manifest-path", "examples/out-of-tree/Cargo.toml", "--target-dir", "target/out-of-tree"]),
        ],
        missing: nothing,
    },
    Step {
        name: "address",
        proves: "the ownership tests under AddressSanitizer; leaks are not looked for, since some are on purpose",
        commands: &[Call {
            before: &[],
            arguments: &[
                "test",
                "--package",
                "uaccel-runtime",
                "--test",
                "ownership",
                "--test",
                "device_errors",
                "--target",
                "x86_64-unknown-linux-gnu",
                "--target-dir",
                "target/address",
            ],
            environment: &[
                ("RUSTC_BOOTSTRAP", "1"),
                ("RUSTFLAGS", "-Zsanitizer=address"),
                ("ASAN_OPTIONS", "detect_leaks=0"),
            ],
        }],
        missing: other_machine,
    },
    Step {
        name: "fuzz",
        proves: "a short run of every fuzz target: descriptors, completions, registers, streams, adaptors",
        commands: &[
            fuzz(&["descriptor", "--", "-runs=20000"]),
            fuzz(&["completion", "--", "-runs=50000"]),
            fuzz(&["registers", "--", "-runs=50000"]),
            fuzz(&["inflate", "--", "-runs=20000"]),
            fuzz(&["adaptors", "--", "-runs=5000"]),
        ],
        missing: other_machine,
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
            before: &[],
            arguments: &["doc", "--workspace", "--no-deps"],
            environment: &[("RUSTDOCFLAGS", "--deny warnings")],
        }],
        missing: nothing,
    },
];
