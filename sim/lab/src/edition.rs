//! The pairs of QEMU and kernel that the lab knows.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which pair a kit is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Edition {
    /// The first suite that has QEMU 11.1 and Linux 7.3 or later: PASIDs, ATS and page requests, and the engine
    #[default]
    Newest,
    /// What Debian 12 itself ships, QEMU 7.2 and Linux 6.1: an IOMMU without PASIDs, and no engine
    Bookworm,
}

/// A suite, and those that it rests on.
pub(crate) type Suite = (&'static str, &'static [&'static str]);

impl Edition {
    pub(crate) const ALL: [Self; 2] = [Self::Newest, Self::Bookworm];

    /// Where it can come from, in the order in which that is tried.
    pub(crate) fn suites(self) -> &'static [Suite] {
        match self {
            Self::Newest => &[("trixie-backports", &["trixie"]), ("sid", &[]), ("forky", &[])],
            Self::Bookworm => &[("bookworm", &[])],
        }
    }

    /// The first QEMU that does. The newest's: whose virtual IOMMU has PASIDs, ATS and page requests together.
    pub(crate) fn least_qemu(self) -> (u32, u32) {
        match self {
            Self::Newest => (11, 1),
            Self::Bookworm => (7, 2),
        }
    }

    /// The first kernel that does. The newest's: known to let a process share its page tables with a device on this IOMMU.
    pub(crate) fn least_kernel(self) -> (u32, u32) {
        match self {
            Self::Newest => (7, 3),
            Self::Bookworm => (6, 1),
        }
    }

    /// Whether its QEMU has what the engine is made for.
    pub(crate) fn takes_engine(self) -> bool {
        self == Self::Newest
    }

    /// The file in the cache that names its kit.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Newest => "kit.json",
            Self::Bookworm => "kit-bookworm.json",
        }
    }
}
