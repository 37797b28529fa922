//! Drivers out of the source of a kit's kernel, unmodified, for modules that are built out of tree.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::apt::{Archive, Version, Wanted};
use crate::cache::Cache;
use crate::error::LabError;
use crate::fetch;
use crate::kit::Kit;
use crate::module::Sources;
use crate::offer::Offer;
use crate::package;
use crate::progress::Progress;
use crate::sysroot::Sysroot;

/// What is taken, by the shell's patterns.
const TAKEN: [&str; 3] =
    ["drivers/misc/uacce/uacce.c", "drivers/crypto/hisilicon/*.[ch]", "drivers/crypto/hisilicon/zip/*.[ch]"];

/// Where it is in the cache.
pub(crate) const FOLDER: &str = "kernel-sources";

/// The files of one kernel, at the places that they have in its tree.
#[derive(Debug)]
pub(crate) struct KernelSource {
    folder: PathBuf,
}

impl KernelSource {
    /// That of the kit's kernel, fetched if it is not there.
    pub(crate) fn find(cache: &Cache, kit: &Kit, progress: &Progress) -> Result<Self, LabError> {
        if !kit.edition.takes_engine() {
            return Err(LabError::NoDrivers { release: kit.kernel_release.clone() });
        }
        let folder = cache.path(path(&kit.kernel_release));
        if !folder.exists() {
            let _lock = cache.lock(progress)?;
            if !folder.exists() {
                let archive = Offer::of_kit(cache, kit, progress)?;
                let version = Version::new(&kit.kernel_version);
                bring(cache, &archive, &version, &kit.kernel_release, &Sysroot::at(&kit.toolchain), progress)?;
                archive.clear()?;
            }
        }
        Ok(Self { folder })
    }

    /// Whether that of the kit's kernel is there.
    pub(crate) fn is_there(cache: &Cache, kit: &Kit) -> bool {
        kit.edition.takes_engine() && cache.path(path(&kit.kernel_release)).exists()
    }

    /// Adds the source of uacce.
    pub(crate) fn add_uacce(&self, sources: &mut Sources) -> Result<(), LabError> {
        let file = self.folder.join("drivers/misc/uacce/uacce.c");
        sources.add("uacce.c", fs::read(&file).map_err(LabError::io("read", &file))?);
        Ok(())
    }

    /// Adds the sources of HiSilicon's queue manager, and of its ZIP driver in the folder `zip`.
    pub(crate) fn add_hisi_zip(&self, sources: &mut Sources) -> Result<(), LabError> {
        sources.gather(&self.folder.join("drivers/crypto/hisilicon"), Path::new(""))
    }
}

/// Brings what is taken of a kernel into the cache, whose lock the caller holds.
pub(crate) fn bring(
    cache: &Cache,
    archive: &Archive,
    version: &Version,
    release: &str,
    toolchain: &Sysroot,
    progress: &Progress,
) -> Result<(), LabError> {
    let path = path(release);
    if cache.path(&path).exists() {
        return Ok(());
    }
    let package = format!("linux-source-{}", fetch::named(archive, "linux-source", version, "linux-source-")?);
    let files = archive.download(&package, &Wanted::Alone(&[format!("{package}={version}")]), progress)?;
    let work = cache.staging()?;
    let taken = cache.staging()?;
    progress.step("take drivers out of the kernel's source", || {
        let pressed = work.path().join("source.tar.xz");
        package::member(package::named(&files, &package)?, &format!("./usr/src/{package}.tar.xz"), &pressed)?;
        let patterns = TAKEN.map(|pattern| format!("{package}/{pattern}"));
        package::unpack_pressed(toolchain, &pressed, taken.path(), &patterns)
    })?;
    cache.publish(taken, &path).map(drop)
}

/// Whether a folder of that name is of a kernel's source. Those with other contents may be another branch's.
pub(crate) fn is_of(name: &str, release: &str) -> bool {
    name.strip_prefix(release).is_some_and(|rest| rest.starts_with('-'))
}

/// Where it is in the cache: by the kernel, and by what is taken.
fn path(release: &str) -> PathBuf {
    let digest = Sha256::digest(TAKEN.join("\n"));
    let mut name = format!("{release}-");
    for byte in digest.iter().take(4) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Path::new(FOLDER).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_kernel() {
        let own = path("7.3.4+deb13-amd64");
        let name = own.file_name().unwrap().to_str().unwrap();
        assert!(is_of(name, "7.3.4+deb13-amd64"), "{name}");
        assert!(!is_of(name, "7.3.40+deb13-amd64") && !is_of(name, "7.3.4"), "{name}");
    }
}
