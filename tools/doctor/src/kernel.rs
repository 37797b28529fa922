//! The kernel: its version, what it was built with, what is loaded.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::command_line::CommandLine;
use crate::tree::Tree;

/// What is known of the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// As `uname -r` prints it.
    pub(crate) release: String,
    /// The first two numbers of it.
    pub(crate) version: (u32, u32),
    /// What it was started with.
    pub(crate) command_line: CommandLine,
    /// What it was built with, of what is looked at. None if that is written down nowhere.
    options: Option<BTreeMap<String, Build>>,
    /// Names of modules that lie ready.
    modules: Vec<String>,
    loaded: Vec<String>,
}

/// How a part of the kernel was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    BuiltIn,
    Module,
}

/// Where a part of the kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Running.
    Here,
    /// On the disk, as a module.
    Loadable,
    /// The kernel was built without it, and there is no module.
    Missing,
    /// Nobody says.
    Unknown,
}

/// Options that are looked at, with the module each makes, if it can be one.
const OPTIONS: &[(&str, Option<&str>)] = &[
    ("CONFIG_AMD_IOMMU", None),
    ("CONFIG_ARM_SMMU_V3", None),
    ("CONFIG_ARM_SMMU_V3_SVA", None),
    ("CONFIG_CRYPTO_DEV_HISI_HPRE", Some("hisi_hpre")),
    ("CONFIG_CRYPTO_DEV_HISI_SEC2", Some("hisi_sec2")),
    ("CONFIG_CRYPTO_DEV_HISI_ZIP", Some("hisi_zip")),
    ("CONFIG_INTEL_IDXD", Some("idxd")),
    ("CONFIG_INTEL_IDXD_SVM", None),
    ("CONFIG_INTEL_IOMMU", None),
    ("CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON", None),
    ("CONFIG_INTEL_IOMMU_SVM", None),
    ("CONFIG_IOMMUFD", Some("iommufd")),
    ("CONFIG_IOMMU_IOPF", None),
    ("CONFIG_IOMMU_SVA", None),
    ("CONFIG_PCI_PASID", None),
    ("CONFIG_PCI_PRI", None),
    ("CONFIG_UACCE", Some("uacce")),
    ("CONFIG_VFIO", Some("vfio")),
    ("CONFIG_VFIO_DEVICE_CDEV", None),
    ("CONFIG_VFIO_GROUP", None),
    ("CONFIG_VFIO_IOMMU_TYPE1", Some("vfio_iommu_type1")),
    ("CONFIG_VFIO_PCI", Some("vfio_pci")),
];

impl Kernel {
    /// Looks at the kernel.
    #[must_use]
    pub(crate) fn look(tree: &dyn Tree) -> Self {
        let release = tree.text("/proc/sys/kernel/osrelease").or_else(|_| tree.text_of("/proc/version", release));
        let release = release.unwrap_or_else(|_| "unknown".to_owned());
        let mut numbers =
            release.split(|character: char| !character.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let places = [
            "/proc/config.gz".to_owned(),
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
            format!("/lib/modules/{release}/build/.config"),
        ];
        let options = places.iter().find_map(|place| tree.text_of(place, configuration).ok());
        let modules = tree.text_of(&format!("/lib/modules/{release}/modules.dep"), module_names).unwrap_or_default();
        let has = |module: &&str| tree.has(&format!("/sys/module/{module}"));
        Self {
            version,
            command_line: CommandLine::look(tree).unwrap_or_default(),
            options: options.map(|text| text.lines().filter_map(option).collect()),
            modules: modules.lines().map(str::to_owned).collect(),
            loaded: OPTIONS.iter().filter_map(|(_, module)| *module).filter(has).map(str::to_owned).collect(),
            release,
        }
    }

    /// Whether what it was built with is written down somewhere.
    #[must_use]
    pub(crate) fn is_documented(&self) -> bool {
        self.options.is_some()
    }

    /// Where the part is that is built by `option`, one of those that are looked at.
    #[must_use]
    pub(crate) fn part(&self, option: &str) -> Presence {
        let module = OPTIONS.iter().find(|(name, _)| *name == option).and_then(|(_, module)| *module);
        if module.is_some_and(|module| self.loaded.iter().any(|loaded| loaded == module)) {
            return Presence::Here;
        }
        if module.is_some_and(|module| self.modules.iter().any(|ready| ready == module)) {
            return Presence::Loadable;
        }
        match self.options.as_ref().map(|options| options.get(option)) {
            Some(Some(Build::BuiltIn)) => Presence::Here,
            Some(Some(Build::Module)) => Presence::Loadable,
            Some(None) => Presence::Missing,
            None => Presence::Unknown,
        }
    }

    /// Whether it is of this version or a later one.
    #[must_use]
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.version >= (major, minor)
    }
}

/// Of `Linux version 7.3.4 (who@where) …`, the third word. Small kernels have no `/proc/sys`.
fn release(version: &[u8]) -> Vec<u8> {
    let version = String::from_utf8_lossy(version);
    version.split_whitespace().nth(2).unwrap_or_default().as_bytes().to_vec()
}

/// Of a configuration, plain or packed with gzip, the options that are looked at and set.
fn configuration(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    let unpacked = GzDecoder::new(bytes).read_to_string(&mut text);
    if unpacked.is_err() {
        text = String::from_utf8_lossy(bytes).into_owned();
    }
    let known = |line: &&str| option(line).is_some_and(|(name, _)| OPTIONS.iter().any(|(known, _)| *known == name));
    text.lines().filter(known).collect::<Vec<_>>().join("\n").into_bytes()
}

fn option(line: &str) -> Option<(String, Build)> {
    let (name, value) = line.split_once('=')?;
    let build = match value {
        "y" => Build::BuiltIn,
        "m" => Build::Module,
        _ => return None,
    };
    Some((name.to_owned(), build))
}

/// Of `modules.dep` (`path/name.ko[.xz]: what it needs`), the names of modules that are looked at, as `/sys/module` has them.
fn module_names(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let name = |line: &str| {
        let file = line.split(':').next()?.rsplit('/').next()?;
        let name = file.split_once(".ko")?.0.replace('-', "_");
        OPTIONS.iter().any(|(_, module)| *module == Some(name.as_str())).then_some(name)
    };
    text.lines().filter_map(name).collect::<Vec<_>>().join("\n").into_bytes()
}
