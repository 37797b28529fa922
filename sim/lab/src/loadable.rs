//! Modules that belong to a kernel, found by name with those that they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::apt::{Version, Wanted};
use crate::cache::Cache;
use crate::error::LabError;
use crate::kit::Kit;
use crate::module::{built_in, depends, name_of, normal};
use crate::offer::Offer;
use crate::progress::Progress;
use crate::sysroot::Sysroot;
use crate::tool;

/// Where the modules of Debian's kernels are in the cache.
pub(crate) const FOLDER: &str = "kernel-modules";

/// The folder with the modules of the kit's kernel. They are fetched when they are first asked for, since they are larger
/// than the rest of a kit's download.
pub(crate) fn of_kit(cache: &Cache, kit: &Kit, progress: &Progress) -> Result<PathBuf, LabError> {
    let release = &kit.kernel_release;
    let path = Path::new(FOLDER).join(release);
    let found = cache.path(&path);
    if found.exists() {
        return Ok(found);
    }
    let _lock = cache.lock(progress)?;
    if found.exists() {
        return Ok(found);
    }
    let archive = Offer::of_kit(cache, kit, progress)?;
    let version = Version::new(&kit.kernel_version);
    let image = format!("linux-image-{release}");
    // Newer packages of the kernel are split; the list of what is built in is in the base then.
    let split = [format!("linux-modules-{release}"), format!("linux-base-{release}")];
    let names = if archive.depends(&image, &version)?.contains(&split[0]) { split.to_vec() } else { vec![image] };
    let packages: Vec<String> = names.iter().map(|name| format!("{name}={version}")).collect();
    let files = archive.download(&format!("modules-{release}"), &Wanted::Alone(&packages), progress)?;
    let (staged, target) = (cache.staging()?, cache.staging()?);
    progress.step("unpack the kernel's modules", || {
        let unpacked = Sysroot::unpack(staged.path(), &files)?.file(&format!("usr/lib/modules/{release}"))?;
        fs::rename(&unpacked, target.path()).map_err(LabError::io("move", &unpacked))
    })?;
    archive.clear()?;
    cache.publish(target, &path)
}

/// Copies the modules of these names, and those that they need, from the kernel's `folder` to the folder `target`, and gives
/// them in the order of loading. What is built in needs nothing.
pub(crate) fn gather(
    folder: &Path,
    names: &[String],
    toolchain: &Sysroot,
    target: &Path,
) -> Result<Vec<PathBuf>, LabError> {
    let mut gathering =
        Gathering { kernel: Contents::of(folder)?, toolchain, target, done: BTreeSet::new(), order: Vec::new() };
    for name in names {
        gathering.module(&normal(name))?;
    }
    Ok(gathering.order)
}

/// What a kernel has.
struct Contents {
    folder: PathBuf,
    modules: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

impl Contents {
    fn of(folder: &Path) -> Result<Self, LabError> {
        let list = built_in(folder);
        let text = fs::read_to_string(&list).map_err(LabError::io("read", &list))?;
        let built_in = text.lines().map(|line| name_of(Path::new(line))).collect();
        let mut contents = Self { folder: folder.to_owned(), modules: BTreeMap::new(), built_in };
        contents.add(folder)?;
        Ok(contents)
    }

    fn add(&mut self, folder: &Path) -> Result<(), LabError> {
        for entry in fs::read_dir(folder).map_err(LabError::io("list", folder))?.flatten() {
            let path = entry.path();
            // Links lead to the headers.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add(&path)?;
            } else if entry.file_name().to_string_lossy().contains(".ko") {
                self.modules.insert(name_of(&path), path);
            }
        }
        Ok(())
    }
}

struct Gathering<'a> {
    kernel: Contents,
    toolchain: &'a Sysroot,
    target: &'a Path,
    done: BTreeSet<String>,
    order: Vec<PathBuf>,
}

impl Gathering<'_> {
    fn module(&mut self, name: &str) -> Result<(), LabError> {
        if self.kernel.built_in.contains(name) || !self.done.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self
            .kernel
            .modules
            .get(name)
            .cloned()
            .ok_or_else(|| LabError::NoModule { name: name.to_owned(), folder: self.kernel.folder.clone() })?;
        let data = self.content(&path)?;
        for need in depends(&data).map_err(|reason| LabError::bad_file(&path, reason))? {
            self.module(&need)?;
        }
        let copy = self.target.join(format!("{name}.ko"));
        fs::write(&copy, data).map_err(LabError::io("write", &copy))?;
        self.order.push(copy);
        Ok(())
    }

    /// The module itself: some kernels' are compressed, and not every kernel takes them so.
    fn content(&self, path: &Path) -> Result<Vec<u8>, LabError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("ko") => fs::read(path).map_err(LabError::io("read", path)),
            Some("xz") => {
                tool::output(self.toolchain.command("usr/bin/xz")?.args(["--decompress", "--stdout"]).arg(path))
            }
            _ => Err(LabError::bad_file(path, "it is compressed in a way that is not known here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_needs_nothing_and_what_is_nowhere_is_named() {
        let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(built_in(folder.path()), "kernel/drivers/vfio/pci/vfio-pci.ko\n").unwrap();
        let ask = |name: &str| gather(folder.path(), &[name.to_owned()], &Sysroot::at("/none"), target.path());
        assert_eq!(ask("vfio_pci").unwrap(), Vec::<PathBuf>::new());
        assert_eq!(ask("vfio-pci").unwrap(), Vec::<PathBuf>::new());
        let error = ask("no-such").unwrap_err().to_string();
        assert!(error.contains("no_such"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_module_is_an_error_and_no_panic() {
        let (folder, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(built_in(folder.path()), "").unwrap();
        fs::create_dir(folder.path().join("kernel")).unwrap();
        for (file, said) in [("kernel/odd.ko", "odd.ko"), ("kernel/pressed.ko.gz", "compressed")] {
            fs::write(folder.path().join(file), "no module").unwrap();
            let name = name_of(Path::new(file));
            let error = gather(folder.path(), &[name], &Sysroot::at("/none"), target.path()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
