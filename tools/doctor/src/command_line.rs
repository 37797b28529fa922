//! What the kernel was started with.

use crate::tree::{Gap, Tree};

/// The words of the kernel's command line that decide about devices, IOMMU and VFIO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    words: Vec<String>,
}

/// Parameters, or with a dot at the end modules, that are looked at; `kernel-parameters.txt` has what they mean.
const LOOKED_AT: &[&str] = &[
    "amd_iommu",
    "arm-smmu.",
    "arm-smmu-v3.",
    "hisi_hpre.",
    "hisi_sec2.",
    "hisi_zip.",
    "intel_iommu",
    "iommu",
    "iommu.",
    "iommufd.",
    "pci",
    "pcie_acs_override",
    "vfio.",
    "vfio-pci.",
    "vfio_pci.",
    "vfio_iommu_type1.",
];

impl CommandLine {
    /// Reads it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn look(tree: &dyn Tree) -> Result<Self, Gap> {
        let words = tree.text_of("/proc/cmdline", looked_at)?;
        Ok(Self { words: words.split_whitespace().map(str::to_owned).collect() })
    }

    /// What is given to a parameter, or to each of its kind; an empty text where it stands alone.
    pub(crate) fn values(&self, parameter: &str) -> impl Iterator<Item = &str> {
        self.words.iter().filter_map(move |word| {
            let rest = word.strip_prefix(parameter)?;
            if rest.is_empty() { Some(rest) } else { rest.strip_prefix('=') }
        })
    }

    /// Whether a parameter is set to `value`, alone or in a list separated by commas.
    #[must_use]
    pub(crate) fn says(&self, parameter: &str, value: &str) -> bool {
        self.values(parameter).any(|list| list.split(',').any(|word| word == value))
    }

    /// The words, as they stand there.
    #[must_use]
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }
}

/// Of the command line, the words that are looked at: others may be nobody's business.
fn looked_at(line: &[u8]) -> Vec<u8> {
    let line = String::from_utf8_lossy(line);
    let known = |word: &&str| {
        let name = word.split('=').next().unwrap_or_default();
        LOOKED_AT.iter().any(|known| if known.ends_with('.') { name.starts_with(known) } else { name == *known })
    };
    line.split_whitespace().filter(known).collect::<Vec<_>>().join(" ").into_bytes()
}
