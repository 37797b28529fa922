//! What kind of machine it is: processor, distribution, virtual or not, container or not.

use crate::tree::{Gap, Tree};

/// The machine around the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The processor's family.
    pub(crate) processor: Processor,
    /// Whether it runs under a hypervisor, as far as that can be seen.
    pub(crate) is_virtual: bool,
    /// Whose kind of IOMMU the firmware describes, whether or not the kernel uses it. What Arm's says of them is not looked at.
    pub(crate) described_iommu: Option<Processor>,
    /// Whether this is a container.
    pub(crate) is_container: bool,
    /// `ENQCMD`, the submission to shared work queues.
    pub(crate) has_enqcmd: bool,
    /// Whether processes have five levels of page tables.
    pub(crate) has_five_levels: bool,
    /// `ID` and `ID_LIKE` of os-release(5).
    distribution: Vec<String>,
}

/// Families of processors that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processor {
    /// Intel's x86.
    Intel,
    /// AMD's and Hygon's x86.
    Amd,
    /// 64-bit Arm.
    Arm,
    /// Any other.
    Other,
}

/// Processor flags that are looked at.
const FLAGS: &[&str] = &["enqcmd", "hypervisor", "la57", "movdir64b"];

impl Host {
    /// Looks at the machine.
    #[must_use]
    pub(crate) fn look(tree: &dyn Tree) -> Self {
        let processor = tree.text_of("/proc/cpuinfo", first_processor).unwrap_or_default();
        let has = |word: &str| processor.split_whitespace().any(|known| known == word);
        let is_there = |path: &str| !matches!(tree.read(path, |_| Vec::new()), Err(Gap::Absent));
        let release = tree.text_of("/etc/os-release", names).unwrap_or_default();
        Self {
            processor: match () {
                () if has("GenuineIntel") => Processor::Intel,
                () if has("AuthenticAMD") || has("HygonGenuine") => Processor::Amd,
                () if has("implementer") => Processor::Arm,
                () => Processor::Other,
            },
            is_virtual: has("hypervisor"),
            described_iommu: match () {
                () if is_there("/sys/firmware/acpi/tables/DMAR") => Some(Processor::Intel),
                () if is_there("/sys/firmware/acpi/tables/IVRS") => Some(Processor::Amd),
                () => None,
            },
            is_container: ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"].into_iter().any(is_there),
            has_enqcmd: has("enqcmd"),
            has_five_levels: has("la57"),
            distribution: release.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Whether its processor is an x86.
    #[must_use]
    pub(crate) fn is_x86(&self) -> bool {
        matches!(self.processor, Processor::Intel | Processor::Amd)
    }

    /// How to start the kernel with another parameter from now on.
    #[must_use]
    pub(crate) fn kernel_parameter(&self, parameter: &str) -> (String, Vec<String>) {
        if self.is_container {
            return (format!("start the host's kernel with {parameter}"), Vec::new());
        }
        let is_like = |names: &[&str]| self.distribution.iter().any(|name| names.contains(&name.as_str()));
        let advice = format!("start the kernel with {parameter}");
        let grub = format!(r#"sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&{parameter} /' /etc/default/grub"#);
        let commands = if is_like(&["debian", "ubuntu"]) {
            vec![grub, "sudo update-grub && sudo reboot".to_owned()]
        } else if is_like(&["suse"]) {
            vec![grub, "sudo grub2-mkconfig -o /boot/grub2/grub.cfg && sudo reboot".to_owned()]
        } else if is_like(&["fedora", "rhel", "openEuler"]) {
            vec![format!("sudo grubby --update-kernel=ALL --args={parameter} && sudo reboot")]
        } else {
            // Boot loaders differ too much to guess.
            Vec::new()
        };
        (advice, commands)
    }
}

/// Of the processors' descriptions, who made the first, and the flags that are looked at.
fn first_processor(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut kept = String::new();
    // An empty line ends the first.
    for line in text.lines().take_while(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim() {
            "vendor_id" => kept.push_str(value.trim()),
            "CPU implementer" => kept.push_str("implementer"),
            "flags" => kept
                .push_str(&value.split_whitespace().filter(|flag| FLAGS.contains(flag)).collect::<Vec<_>>().join(" ")),
            _ => continue,
        }
        kept.push('\n');
    }
    kept.into_bytes()
}

/// Of os-release(5), which distribution it is and which ones it is like.
fn names(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let names = text.lines().filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")));
    names.map(|names| names.trim_matches(['"', '\''])).collect::<Vec<_>>().join(" ").into_bytes()
}
