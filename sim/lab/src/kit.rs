//! What a boot needs and where it is: QEMU, kernel, compiler and busybox.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{Cache, CacheLock};
use crate::edition::Edition;
use crate::error::LabError;

/// Everything that was fetched, each part whole.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Kit {
    /// Which pair of QEMU and kernel it is.
    pub(crate) edition: Edition,
    /// The suite of Debian it comes from.
    pub(crate) suite: String,
    /// Debian's version of QEMU.
    pub(crate) qemu_version: String,
    /// The sysroot with QEMU.
    pub(crate) qemu: PathBuf,
    /// Debian's version of the kernel.
    pub(crate) kernel_version: String,
    /// What the kernel calls its release.
    pub(crate) kernel_release: String,
    /// The folder with the kernel, `vmlinuz`.
    pub(crate) kernel: PathBuf,
    /// The sysroot with the kernel's headers, a compiler, and what building a kernel takes.
    pub(crate) toolchain: PathBuf,
    /// The folder with a static `busybox`.
    pub(crate) busybox: PathBuf,
}

impl Kit {
    /// The one in the cache, if it is all there.
    pub(crate) fn load(cache: &Cache, edition: Edition) -> Option<Self> {
        let kit: Self = serde_json::from_str(&fs::read_to_string(cache.path(edition.file())).ok()?).ok()?;
        let kit = kit.resolved(|path| cache.path(path));
        kit.parts().iter().all(|part| part.exists()).then_some(kit)
    }

    /// Makes this the cache's kit. Its paths are relative to the cache, which can therefore be moved.
    pub(crate) fn store(&self, cache: &Cache, _lock: &CacheLock) -> Result<(), LabError> {
        let path = cache.path(self.edition.file());
        let text = serde_json::to_string_pretty(self).map_err(|error| LabError::bad_file(&path, error))?;
        let mut file = tempfile::Builder::new()
            .prefix(".staging-")
            .tempfile_in(cache.path(""))
            .map_err(LabError::io("write to", cache.path("")))?;
        file.write_all(text.as_bytes()).map_err(LabError::io("write", &path))?;
        file.persist(&path).map_err(|error| LabError::io("write", &path)(error.error))?;
        Ok(())
    }

    /// The same with every path passed through `place`.
    pub(crate) fn resolved(mut self, place: impl Fn(&Path) -> PathBuf) -> Self {
        for path in [&mut self.qemu, &mut self.kernel, &mut self.toolchain, &mut self.busybox] {
            *path = place(path);
        }
        self
    }

    /// The kernel's image.
    pub(crate) fn vmlinuz(&self) -> PathBuf {
        self.kernel.join("vmlinuz")
    }

    fn parts(&self) -> [PathBuf; 4] {
        [self.qemu.clone(), self.toolchain.clone(), self.vmlinuz(), self.busybox.join("busybox")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress;

    #[test]
    fn a_kit_is_found_again_and_not_if_a_part_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let lock = cache.lock(&Progress::silent()).unwrap();
        let load = || Kit::load(&cache, Edition::Newest);
        assert_eq!(load(), None);
        let kit = Kit {
            edition: Edition::Newest,
            suite: "trixie-backports".into(),
            qemu_version: "11.1".into(),
            qemu: "qemu/11.1".into(),
            kernel_version: "7.3.4-1".into(),
            kernel_release: "7.3.4".into(),
            kernel: "kernel/7.3.4".into(),
            toolchain: "toolchain/7.3.4".into(),
            busybox: "busybox/1".into(),
        };
        for part in ["qemu/11.1", "kernel/7.3.4", "toolchain/7.3.4", "busybox/1"] {
            fs::create_dir_all(cache.path(part)).unwrap();
        }
        for file in ["kernel/7.3.4/vmlinuz", "busybox/1/busybox"] {
            fs::write(cache.path(file), "").unwrap();
        }
        kit.store(&cache, &lock).unwrap();
        assert_eq!(load().unwrap().kernel_release, "7.3.4");
        assert_eq!(Kit::load(&cache, Edition::Bookworm), None);
        fs::remove_file(cache.path("kernel/7.3.4/vmlinuz")).unwrap();
        assert_eq!(load(), None);
    }
}
