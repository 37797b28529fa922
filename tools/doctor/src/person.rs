//! Who asks: the process that runs the examination.

use crate::tree::{Gap, Tree};

/// What a process may do, from `/proc/self/status` and `/proc/self/limits` (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// Effective user.
    pub(crate) uid: u32,
    /// Effective group and the supplementary ones.
    pub(crate) groups: Vec<u32>,
    /// Effective capabilities, a bit each (capabilities(7)).
    pub(crate) capabilities: u64,
    /// How much memory it may lock.
    pub(crate) memlock: Option<Memlock>,
}

/// `RLIMIT_MEMLOCK`, in bytes; none is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memlock {
    /// What holds now.
    pub(crate) soft: Option<u64>,
    /// What the process can raise it to by itself.
    pub(crate) hard: Option<u64>,
}

/// Numbers of capabilities, from `linux/capability.h`.
const CAP_DAC_OVERRIDE: u32 = 1;
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_RAWIO: u32 = 17;

impl Person {
    /// Who asks. None if `/proc` does not say.
    #[must_use]
    pub(crate) fn look(tree: &dyn Tree) -> Option<Self> {
        let status = tree.text_of("/proc/self/status", identity).ok()?;
        // The third column of the first is the effective one, after "real" and before "saved".
        let ids = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().filter_map(|id| id.parse::<u32>().ok()).collect::<Vec<_>>())
        };
        let effective = |name: &str| ids(name)?.get(1).copied();
        let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        let mut groups = ids("Groups:").unwrap_or_default();
        groups.extend(effective("Gid:"));
        Some(Self {
            uid: effective("Uid:")?,
            groups,
            capabilities: u64::from_str_radix(capabilities.trim(), 16).ok()?,
            memlock: Memlock::look(tree).ok().flatten(),
        })
    }

    fn can(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 == 1
    }

    /// Whether file permissions do not hold for it.
    #[must_use]
    pub(crate) fn overrides_permissions(&self) -> bool {
        self.can(CAP_DAC_OVERRIDE)
    }

    /// Whether it may lock any amount of memory.
    #[must_use]
    pub(crate) fn locks_without_limit(&self) -> bool {
        self.can(CAP_IPC_LOCK)
    }

    /// Whether it may reach the hardware directly: what the mmap portal of idxd, and VFIO without IOMMU, ask for.
    #[must_use]
    pub(crate) fn has_raw_io(&self) -> bool {
        self.can(CAP_SYS_RAWIO)
    }
}

impl Memlock {
    fn look(tree: &dyn Tree) -> Result<Option<Self>, Gap> {
        let limits = tree.text_of("/proc/self/limits", locked_memory)?;
        let Some(columns) = limits.strip_prefix("Max locked memory") else { return Ok(None) };
        let mut columns = columns.split_whitespace();
        let mut next = || match columns.next()? {
            "unlimited" => Some(None),
            bytes => bytes.parse().ok().map(Some),
        };
        Ok(next().zip(next()).map(|(soft, hard)| Self { soft, hard }))
    }
}

/// Of a status, who it is.
fn identity(status: &[u8]) -> Vec<u8> {
    lines_that_start(status, &["Uid:", "Gid:", "Groups:", "CapEff:"])
}

/// Of the limits, that of locked memory.
fn locked_memory(limits: &[u8]) -> Vec<u8> {
    lines_that_start(limits, &["Max locked memory"])
}

fn lines_that_start(text: &[u8], with: &[&str]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut kept = String::new();
    for line in text.lines().filter(|line| with.iter().any(|start| line.starts_with(start))) {
        kept.push_str(line);
        kept.push('\n');
    }
    kept.into_bytes()
}
