//! The kinds of test.

use crate::lab;
use crate::step::{Call, Step, cargo, in_guest};

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
    Call { before: FUZZ, environment: &[("RUSTFLAGS", COVERAGE)], ..cargo(target) }
}

/// A call of the tests on a real device, in the lab's guest.
const fn device_tests(options: &'static [&'static str], arguments: &'static [&'static str]) -> Call {
    Call { before: DEVICE_TESTS, ..in_guest(options, arguments) }
}

/// A call of the tests on a device that was given to user space. Debian's kernel has VFIO by group; `--kernel own` has all of it.
const fn vfio_tests(options: &'static [&'static str]) -> Call {
    Call { before: VFIO_TESTS, ..in_guest(options, &["--test-threads=1"]) }
}

const VFIO_TESTS: &[&str] =
    &["test", "--package", "uaccel-runtime", "--features", "device-tests", "--test", "vfio_guest", "--"];

/// A machine with two devices of virtio-crypto, the second of which goes past the IOMMU. One test is about memory that was not mapped, and the kernel says so.
macro_rules! virtio_machine {
    ($($option:literal),*) => {
        &[
            $($option,)*
            "--no-engine",
            "--load",
            "vfio-pci",
            "--load",
            "vfio_iommu_type1",
            "--qemu-arg=-object",
            "--qemu-arg=cryptodev-backend-builtin,id=c0",
            "--device",
            "virtio-crypto-pci,cryptodev=c0,iommu_platform=on,disable-legacy=on",
            "--qemu-arg=-object",
            "--qemu-arg=cryptodev-backend-builtin,id=c1",
            "--device",
            "virtio-crypto-pci,cryptodev=c1,disable-legacy=on",
            "--allow",
            "handling fault status reg",
            "--allow",
            "Present bit in first-level paging entry is clear",
            "--allow",
            "PTE Read access is not set",
        ]
    };
}

/// A call of the tests on a Kunpeng ZIP function, under the kernel's own driver.
const fn hisi_tests(options: &'static [&'static str], arguments: &'static [&'static str]) -> Call {
    Call { before: HISI_TESTS, ..in_guest(options, arguments) }
}

const HISI_TESTS: &[&str] =
    &["test", "--package", "uaccel-runtime", "--features", "device-tests", "--test", "hisi_guest", "--"];

/// A call of the tests on virtio-crypto.
const fn virtio_tests(options: &'static [&'static str]) -> Call {
    Call { before: VIRTIO_TESTS, ..in_guest(options, &["--test-threads=1"]) }
}
/// A call of the tests on QEMU's `edu`, whose transfers take a tenth of a second of the guest's time: that passes at once while the guest has nothing to do.
const fn edu_tests(options: &'static [&'static str], arguments: &'static [&'static str]) -> Call {
    Call { before: EDU_TESTS, ..in_guest(options, arguments) }
}

const EDU_TESTS: &[&str] = &[
    "test",
    "--package",
    "uaccel-runtime",
    "--features",
    "device-tests",
    "--test",
    "edu_guest",
    "--",
    "--test-threads=1",
];

const VIRTIO_TESTS: &[&str] =
    &["test", "--package", "uaccel-runtime", "--features", "device-tests", "--test", "virtio_guest", "--"];

const DEVICE_TESTS: &[&str] =
    &["test", "--package", "uaccel-runtime", "--features", "device-tests", "--test", "uacce_guest", "--"];

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

/// Every kind of test, cheapest answers first, and of those in guests the longest.
pub(crate) const TESTS: &[Step] = &[
    Step {
        name: "workspace",
        proves: "unit, integration, property and conformance tests of every package",
        // All that fails is to be seen in one run.
        commands: &[cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])],
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
            guest: None,
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
            guest: None,
        }],
        missing: nothing,
    },
    Step {
        name: "loom-runtime",
        proves: "what a future and its queue share under every interleaving",
        commands: &[Call {
            before: &[],
            arguments: &[
                "test",
                "--package",
                "uaccel-runtime",
                "--release",
                "--lib",
                "--target-dir",
                "target/loom",
                "owned_slot",
            ],
            environment: &[("RUSTFLAGS", "--cfg loom"), ("LOOM_MAX_PREEMPTIONS", "3")],
            guest: None,
        }],
        missing: nothing,
    },
    Step {
        name: "examples",
        proves: "the examples do what they say, on the CPU and on the simulated engine",
        commands: &[
            cargo(&["run", "--quiet", "--release", "--example", "compress_file", "Cargo.lock", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "compress_file", "Cargo.lock", "sim"]),
            cargo(&["run", "--quiet", "--release", "--example", "encrypt_sectors", "Cargo.lock", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "encrypt_sectors", "Cargo.lock", "sim"]),
            cargo(&["run", "--quiet", "--release", "--example", "async_pipeline", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "async_pipeline", "sim"]),
            cargo(&["run", "--quiet", "--release", "--example", "many_threads", "software"]),
            cargo(&["run", "--quiet", "--release", "--example", "many_threads", "sim"]),
        ],
        missing: nothing,
    },
    Step {
        name: "stress",
        proves: "processes and daemon killed, stopped and lied to for a minute: every byte right, every job accounted for",
        commands: &[
            cargo(&["build", "--quiet", "--release", "--package", "uaccel-devd", "--bin", "uaccel-devd"]),
            cargo(&["run", "--quiet", "--release", "--package", "uaccel-stress"]),
            cargo(&["run", "--quiet", "--release", "--package", "uaccel-stress", "--", "--device=sim", "--seconds=5"]),
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
        name: "guest",
        proves: "a real kernel and a device with PASID, ATS and PRI in an unmodified QEMU: plain pointers, faults, races, processes, removal; real files",
        commands: &[
            cargo(&["build", "--package", "sva-lab"]),
            cargo(&["test", "--package", "sva-lab", "--test", "guest", "--", "--ignored", "--test-threads=1"]),
            device_tests(&[], &["--test-threads=1", "--skip", "a_process_killed"]),
            // A process that dies with jobs in flight takes its address space along first: the kernel logs what is still to come.
            device_tests(
                &["--allow", "Invalid Scalable-Mode PASID Table Entry", "--allow", "handling fault status reg"],
                &["--test-threads=1", "a_process_killed"],
            ),
            device_tests(&["--no-iommu"], &["--ignored", "without_an_iommu"]),
            device_tests(&["--no-svm"], &["--ignored", "without_page"]),
            in_guest(
                &["--file", "Cargo.lock"],
                &[
                    "run",
                    "--quiet",
                    "--release",
                    "--package",
                    "accel-bench",
                    "--",
                    "run",
                    "--devices",
                    "warp-0",
                    "--sizes",
                    "4k,256k",
                    "--jobs",
                    "20",
                    "--file",
                    "Cargo.lock",
                ],
            ),
            in_guest(
                &["--file", "Cargo.lock"],
                &["run", "--quiet", "--release", "--example", "compress_file", "Cargo.lock", "warp-0"],
            ),
            in_guest(&[], &["run", "--quiet", "--release", "--example", "async_pipeline", "warp-0"]),
            in_guest(&[], &["run", "--quiet", "--release", "--example", "many_threads", "warp-0"]),
            in_guest(
                &[],
                &[
                    "test",
                    "--manifest-path",
                    "examples/sva-lab-outside/Cargo.toml",
                    "--target-dir",
                    "target/sva-lab-outside",
                ],
            ),
        ],
        missing: lab::missing,
    },
    Step {
        name: "guest-vfio",
        proves: "the same device given to user space, by group, by iommufd, with a PASID, and with pages pinned on request: the suite, pointers, limits, processes, removal",
        commands: &[
            cargo(&["build", "--package", "sva-lab"]),
            vfio_tests(&[
                "--no-module",
                "--load",
                "vfio-pci",
                "--load",
                "vfio_iommu_type1",
                "--env",
                "UACCEL_TEST_ROAD=group",
            ]),
            vfio_tests(&["--kernel", "own", "--no-module", "--env", "UACCEL_TEST_ROAD=cdev"]),
            vfio_tests(&["--kernel", "own", "--no-module", "--env", "UACCEL_TEST_ROAD=pasid"]),
            vfio_tests(&["--kernel", "own", "--no-module", "--timeout", "1200", "--env", "UACCEL_TEST_ROAD=on-demand"]),
        ],
        missing: lab::missing,
    },
    Step {
        name: "guest-hisi",
        proves: "a Kunpeng ZIP function under the vendor's own, unmodified kernel driver: its probe, its node, the suite, formats, streams, pointers, queues, processes, removal, resets; real files",
        commands: &[
            cargo(&["build", "--package", "sva-lab"]),
            hisi_tests(&["--device", "hisi-zip"], &["--test-threads=1", "--skip", "one_of_them_killed"]),
            // As for the engine of the project.
            hisi_tests(
                &[
                    "--device",
                    "hisi-zip",
                    "--allow",
                    "Invalid Scalable-Mode PASID Table Entry",
                    "--allow",
                    "handling fault status reg",
                ],
                &["--test-threads=1", "one_of_them_killed"],
            ),
            hisi_tests(
                &["--device", "hisi-zip", "--plugin-option", "hisi-error-after=300"],
                &["--ignored", "a_controller_reset"],
            ),
            hisi_tests(
                &["--device", "hisi-zip", "--plugin-option", "hisi-error-after=300"],
                &["--ignored", "a_stream_goes_on"],
            ),
            hisi_tests(
                &["--device", "hisi-zip", "--plugin-option", "hisi-error-after=300", "--no-reset-method"],
                &["--ignored", "whose_reset_fails"],
            ),
            hisi_tests(
                &["--device", "hisi-zip", "--kernel", "own", "--smp", "1"],
                &["--test-threads=1", "formats::", "pointers::", "probe::"],
            ),
            in_guest(
                &["--device", "hisi-zip", "--file", "Cargo.lock"],
                &[
                    "run",
                    "--quiet",
                    "--release",
                    "--package",
                    "accel-bench",
                    "--",
                    "run",
                    "--devices",
                    "hisi_zip-0",
                    "--algorithms",
                    "deflate,zlib,gzip",
                    "--sizes",
                    "4k,256k",
                    "--jobs",
                    "20",
                    "--file",
                    "Cargo.lock",
                ],
            ),
            in_guest(
                &["--device", "hisi-zip", "--file", "Cargo.lock"],
                &["run", "--quiet", "--release", "--example", "compress_file", "Cargo.lock", "hisi_zip-0"],
            ),
        ],
        missing: lab::missing,
    },
    Step {
        name: "guest-edu",
        proves: "somebody else's device driven from user space alone: through memory that it reaches and by plain pointers, by messages and by a line, on the kernel that Debian 12 ships, and without an IOMMU",
        commands: &[
            cargo(&["build", "--package", "sva-lab"]),
            edu_tests(
                &[
                    "--no-engine",
                    "--device",
                    "edu",
                    "--load",
                    "vfio-pci",
                    "--load",
                    "vfio_iommu_type1",
                    "--qemu-arg=-icount",
                    "--qemu-arg=shift=3,sleep=off",
                ],
                &[],
            ),
            edu_tests(
                &[
                    "--no-engine",
                    "--device",
                    "edu,dma_mask=0xffffffffffffffff",
                    "--kernel",
                    "own",
                    "--env",
                    "UACCEL_TEST_ADDRESS_BITS=64",
                    "--qemu-arg=-icount",
                    "--qemu-arg=shift=3,sleep=off",
                ],
                &[],
            ),
            edu_tests(
                &[
                    "--no-engine",
                    "--device",
                    "edu",
                    "--load",
                    "vfio-pci",
                    "--load",
                    "vfio_iommu_type1",
                    "--append",
                    "pci=nomsi",
                    "--env",
                    "UACCEL_TEST_INTERRUPTS=vfio-intx",
                    "--qemu-arg=-icount",
                    "--qemu-arg=shift=3,sleep=off",
                ],
                &["copies", "wake", "signals"],
            ),
            edu_tests(
                &["--kit", "bookworm", "--device", "edu", "--load", "vfio-pci", "--load", "vfio_iommu_type1"],
                &["copies"],
            ),
            in_guest(
                &[
                    "--kernel",
                    "own",
                    "--no-iommu",
                    "--no-engine",
                    "--device",
                    "edu,dma_mask=0xffffffffffffffff",
                    "--append",
                    "vfio.enable_unsafe_noiommu_mode=1",
                    "--append",
                    "hugepages=16",
                ],
                &[
                    "test",
                    "--package",
                    "uaccel-runtime",
                    "--features",
                    "device-tests",
                    "--test",
                    "unprotected_guest",
                    "--",
                    "--test-threads=1",
                ],
            ),
        ],
        missing: lab::missing,
    },
    Step {
        name: "guest-virtio",
        proves: "virtio-crypto of an unmodified QEMU behind the IOMMU, by iommufd, by group, without messages, and of QEMU 7.2: the suite, texts beside another library, signals, stops, processes, refusals",
        commands: &[
            cargo(&["build", "--package", "sva-lab"]),
            virtio_tests(virtio_machine!("--kernel", "own")),
            virtio_tests(virtio_machine!()),
            virtio_tests(virtio_machine!("--append", "pci=nomsi")),
            virtio_tests(virtio_machine!("--kit", "bookworm")),
        ],
        missing: lab::missing,
    },
    Step {
        name: "guest-doctor",
        proves: "what `uaccel doctor` says beside what a real kernel does, as root and as a user, with the driver and without it",
        commands: &[
            cargo(&["build", "--package", "sva-lab"]),
            // In one process, as root and as a user in turn.
            in_guest(
                &[],
                &[
                    "test",
                    "--package",
                    "uaccel-doctor",
                    "--test",
                    "guest",
                    "--",
                    "--ignored",
                    "--exact",
                    "the_doctor_says_what_the_kernel_does",
                ],
            ),
        ],
        missing: lab::missing,
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
            guest: None,
        }],
        missing: other_machine,
    },
    Step {
        name: "fuzz",
        proves: "a short run of every fuzz target: descriptors, completions, registers, the queue manager, entries, streams, adaptors, the daemon's socket",
        commands: &[
            fuzz(&["descriptor", "--", "-runs=20000"]),
            fuzz(&["completion", "--", "-runs=50000"]),
            fuzz(&["registers", "--", "-runs=50000"]),
            fuzz(&["queue_manager", "--", "-runs=20000"]),
            fuzz(&["zip", "--", "-runs=20000"]),
            fuzz(&["inflate", "--", "-runs=20000"]),
            fuzz(&["adaptors", "--", "-runs=5000"]),
            fuzz(&["socket", "--", "-runs=20000", "-len_control=0"]),
        ],
        missing: other_machine,
    },
];

/// Parts of other kinds, for those who want no more.
pub(crate) const PARTS: &[Step] = &[Step {
    name: "devd",
    proves: "many processes on one uaccel-devd: the suite, isolation, kills, stops, forks, programs that replace clients, hostile clients",
    commands: &[
        cargo(&["test", "--package", "uaccel-devd", "--package", "uaccel-devd-protocol"]),
        cargo(&["test", "--package", "uaccel-runtime", "--test", "devd_conformance", "--test", "devd_processes"]),
    ],
    missing: nothing,
}];

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
        commands: &[cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            "uaccel-runtime/device-tests",
            "--",
            "--deny",
            "warnings",
        ])],
        missing: nothing,
    },
    Step {
        name: "rustdoc",
        proves: "documentation without warnings",
        commands: &[Call {
            before: &[],
            arguments: &["doc", "--workspace", "--no-deps"],
            environment: &[("RUSTDOCFLAGS", "--deny warnings")],
            guest: None,
        }],
        missing: nothing,
    },
];
