//! The lab's own kernel: small, with the roads to a device that Debian's leaves out, built once from Debian's source.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::apt::{Version, Wanted};
use crate::cache::Cache;
use crate::error::LabError;
use crate::fetch;
use crate::kit::Kit;
use crate::module::built_in;
use crate::namespace::{Build, WORK};
use crate::offer::Offer;
use crate::package;
use crate::progress::Progress;
use crate::sysroot::Sysroot;
use crate::tool;

/// What it has beyond `make allnoconfig`.
const FRAGMENT: &str = include_str!("../kernel/own.config");

/// What sets the result apart beside source, toolchain and fragment.
const RECIPE: &str = "allnoconfig, bzImage, modules, first edition";

/// Where the kernels are in the cache.
pub(crate) const FOLDER: &str = "own-kernels";

/// With what the name of a folder starts that a kernel is built in: an interrupted build goes on there.
const WORK_START: &str = ".build-";

/// Lines that a build says, as of Linux 7.3; only the bar goes by it.
const PIECES: u64 = 1700;

/// One that is built.
#[derive(Debug)]
pub(crate) struct OwnKernel {
    folder: PathBuf,
}

impl OwnKernel {
    /// The one of the kit's kernel version, built if it is not there.
    pub(crate) fn find(cache: &Cache, kit: &Kit, progress: &Progress) -> Result<Self, LabError> {
        if !kit.edition.takes_engine() {
            return Err(LabError::NoOwnKernel { release: kit.kernel_release.clone() });
        }
        let path = Path::new(FOLDER).join(name(kit));
        let found = Self { folder: cache.path(&path) };
        if found.folder.exists() {
            return Ok(found);
        }
        let _building = cache.lock_kernels(progress)?;
        if !found.folder.exists() {
            build(cache, kit, &path, progress)?;
        }
        Ok(found)
    }

    /// Whether the one of the kit's kernel version is there.
    pub(crate) fn is_built(cache: &Cache, kit: &Kit) -> bool {
        kit.edition.takes_engine() && cache.path(Path::new(FOLDER).join(name(kit))).exists()
    }

    /// The kernel's image.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// What modules are built against.
    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Its modules, with the list of what is built in.
    pub(crate) fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// What tells it from others.
    pub(crate) fn name(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// Whether a kernel of that name is of a kit's version.
pub(crate) fn is_of(name: &str, kit: &Kit) -> bool {
    name.strip_prefix(WORK_START).unwrap_or(name).starts_with(&version_of(kit))
}

fn version_of(kit: &Kit) -> String {
    format!("{}-own-", kit.kernel_version)
}

/// The kernel's version, and a digest of everything else that makes it what it is.
fn name(kit: &Kit) -> String {
    let mut hash = Sha256::new();
    let toolchain = kit.toolchain.file_name().unwrap_or_default();
    for part in [RECIPE.as_bytes(), kit.kernel_version.as_bytes(), toolchain.as_encoded_bytes(), FRAGMENT.as_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut name = version_of(kit);
    for byte in hash.finalize().iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn build(cache: &Cache, kit: &Kit, path: &Path, progress: &Progress) -> Result<(), LabError> {
    let toolchain = Sysroot::at(&kit.toolchain);
    let source = cache.path(Path::new(FOLDER).join(format!("{WORK_START}{}", name(kit))));
    if source.exists() {
        progress.say("a build of the kernel was interrupted, and goes on");
    } else {
        unpack(cache, kit, &toolchain, &source, progress)?;
    }
    let inside = Build { toolchain: &toolchain, work: &source, tree: None };
    let make = |words: &[&str]| {
        let compiler = compiler(&toolchain)?;
        let settings = [format!("CC={compiler}"), format!("HOSTCC={compiler}")];
        let jobs = format!("--jobs={}", std::thread::available_parallelism().map_or(1, usize::from));
        let [cc, hostcc] = settings.each_ref().map(String::as_str);
        // The same source gives the same kernel.
        let fixed = ["KBUILD_BUILD_USER=sva-lab", "KBUILD_BUILD_HOST=sva-lab", "KBUILD_BUILD_TIMESTAMP=1970-01-01"];
        inside.command(&[&["make", "--directory", WORK, &jobs, cc, hostcc][..], &fixed, words].concat())
    };
    let fragment = source.join("own.config");
    fs::write(&fragment, FRAGMENT).map_err(LabError::io("write", &fragment))?;
    tool::output(&mut make(&["KCONFIG_ALLCONFIG=own.config", "allnoconfig"])?)?;
    let config = source.join(".config");
    let made = fs::read_to_string(&config).map_err(LabError::io("read", &config))?;
    let lost = lost(FRAGMENT, &made);
    if !lost.is_empty() {
        return Err(LabError::bad_file("own.config", format!("this kernel does not take {}", lost.join(", "))));
    }
    let said = progress.pieces("build the lab's own kernel, once", PIECES, |piece| {
        tool::watched(&mut make(&["bzImage", "modules"])?, |_| piece())
    })?;
    tool::output(&mut make(&["run-command", "KBUILD_RUN_COMMAND=scripts/package/install-extmod-build own-tree"])?)?;
    let _lock = cache.lock(progress)?;
    let built = cache.staging()?;
    let place = |name: &str| built.path().join(name);
    fs::write(place("build.log"), said).map_err(LabError::io("write", place("build.log")))?;
    for (from, to) in [("arch/x86/boot/bzImage", "vmlinuz"), (".config", "config")] {
        fs::copy(source.join(from), place(to)).map_err(LabError::io("copy", source.join(from)))?;
    }
    fs::rename(source.join("own-tree"), place("tree")).map_err(LabError::io("move", source.join("own-tree")))?;
    fs::create_dir(place("modules")).map_err(LabError::io("create", place("modules")))?;
    let order = source.join("modules.order");
    for object in fs::read_to_string(&order).map_err(LabError::io("read", &order))?.lines() {
        let module = Path::new(object).with_extension("ko");
        let name = module.file_name().unwrap_or_default();
        fs::copy(source.join(&module), place("modules").join(name))
            .map_err(LabError::io("copy", source.join(&module)))?;
    }
    let list = built_in(&source);
    fs::copy(&list, built_in(&place("modules"))).map_err(LabError::io("copy", &list))?;
    cache.publish(built, path)?;
    fs::remove_dir_all(&source).map_err(LabError::io("remove", &source))
}

/// Brings the kernel's source to the folder `target`.
fn unpack(cache: &Cache, kit: &Kit, toolchain: &Sysroot, target: &Path, progress: &Progress) -> Result<(), LabError> {
    let lock = cache.lock(progress)?;
    cache.sweep(&lock)?;
    let archive = Offer::of_kit(cache, kit, progress)?;
    let version = Version::new(&kit.kernel_version);
    let package = format!("linux-source-{}", fetch::named(&archive, "linux-source", &version, "linux-source-")?);
    let files = archive.download(&package, &Wanted::Alone(&[format!("{package}={version}")]), progress)?;
    let work = cache.staging()?;
    let tree = work.path().join("tree");
    progress.step("unpack the kernel's source", || {
        let pressed = work.path().join("source.tar.xz");
        package::member(package::named(&files, &package)?, &format!("./usr/src/{package}.tar.xz"), &pressed)?;
        fs::create_dir(&tree).map_err(LabError::io("create", &tree))?;
        package::unpack_pressed(toolchain, &pressed, &tree, &[])
    })?;
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(LabError::io("create", folder))?;
    }
    fs::rename(&tree, target).map_err(LabError::io("publish", target))?;
    archive.clear()
}

/// The name of the toolchain's compiler: its package has no plain `gcc`.
pub(crate) fn compiler(toolchain: &Sysroot) -> Result<String, LabError> {
    const START: &str = "x86_64-linux-gnu-gcc-";
    let folder = toolchain.root().join("usr/bin");
    let names = fs::read_dir(&folder).map_err(LabError::io("list", &folder))?.flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find(|name| name.strip_prefix(START).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())))
        .ok_or_else(|| LabError::bad_file(&folder, format!("it has no {START}…")))
}

/// The lines of a fragment that a configuration does not hold.
fn lost<'a>(fragment: &'a str, made: &str) -> Vec<&'a str> {
    fragment
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .filter(|line| match line.strip_suffix("=n") {
            Some(name) => made.lines().any(|other| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))),
            None => !made.lines().any(|other| other == *line),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_the_kernel_drops_or_overrides_is_found() {
        let fragment = "# why\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\nCONFIG_D=n\nCONFIG_E=\"x\"\n";
        let made = "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\nCONFIG_CC=y\nCONFIG_D=y\nCONFIG_E=\"x\"\n";
        assert_eq!(lost(fragment, made), ["CONFIG_B=m", "CONFIG_D=n"]);
    }

    #[test]
    fn a_build_on_its_way_is_kept_with_its_kit() {
        let kit: Kit = serde_json::from_str(
            r#"{"edition":"newest","suite":"sid","qemu_version":"1","qemu":"","kernel_version":"7.3.4-1",
                "kernel_release":"7.3.4","kernel":"","toolchain":"","busybox":""}"#,
        )
        .unwrap();
        let own = name(&kit);
        assert!(is_of(&own, &kit) && is_of(&format!("{WORK_START}{own}"), &kit));
        assert!(!is_of(&own.replace("7.3.4-1", "7.3.5-1"), &kit), "{own}");
    }

    #[test]
    fn the_fragment_names_nothing_twice() {
        let mut names: Vec<&str> = FRAGMENT.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
