//! The lab's folder of the user: what is in it is whole, since nothing gets its name before it is.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::LabError;
use crate::progress::Progress;

/// The folder.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Held while one run changes the cache, or builds a kernel in it; another one waits.
#[derive(Debug)]
pub(crate) struct CacheLock(#[expect(dead_code, reason = "closing it is what unlocks")] File);

impl Cache {
    /// The cache at `chosen`, else where the XDG base directory specification has it.
    pub(crate) fn open(chosen: Option<&Path>) -> Result<Self, LabError> {
        let root = match chosen {
            Some(path) => path.to_owned(),
            None => Self::usual(|name| std::env::var_os(name).map(PathBuf::from)).ok_or(LabError::NoCache)?,
        };
        fs::create_dir_all(&root).map_err(LabError::io("create", &root))?;
        let root = fs::canonicalize(&root).map_err(LabError::io("find", &root))?;
        if root.as_os_str().as_encoded_bytes().contains(&b':') {
            return Err(LabError::Colon(root));
        }
        Ok(Self { root })
    }

    fn usual(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
        // The specification: a path that is not absolute is to be ignored.
        let base = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        base.or_else(|| variable("HOME").filter(|path| path.is_absolute()).map(|home| home.join(".cache")))
            .map(|base| base.join("sva-lab"))
    }

    /// Where `name` is, or will be.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Waits until nobody else changes the cache.
    pub(crate) fn lock(&self, progress: &Progress) -> Result<CacheLock, LabError> {
        self.lock_at("lock", progress)
    }

    /// Waits until nobody else builds a kernel: minutes, in which the cache serves others.
    pub(crate) fn lock_kernels(&self, progress: &Progress) -> Result<CacheLock, LabError> {
        self.lock_at("lock-kernels", progress)
    }

    fn lock_at(&self, name: &str, progress: &Progress) -> Result<CacheLock, LabError> {
        let path = self.path(name);
        let file = File::create(&path).map_err(LabError::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.say("another sva-lab is at work on the cache; waiting for it");
                file.lock().map_err(LabError::io("lock", &path))?;
            }
            Err(TryLockError::Error(source)) => return Err(LabError::io("lock", &path)(source)),
        }
        Ok(CacheLock(file))
    }

    /// An empty folder in the cache, for something on its way.
    pub(crate) fn staging(&self) -> Result<TempDir, LabError> {
        tempfile::Builder::new()
            .prefix(".staging-")
            .tempdir_in(&self.root)
            .map_err(LabError::io("write to", &self.root))
    }

    /// Gives what was staged its name, unless something is there already.
    pub(crate) fn publish(&self, staged: TempDir, name: impl AsRef<Path>) -> Result<PathBuf, LabError> {
        let target = self.path(name);
        if target.exists() {
            return Ok(target);
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(LabError::io("create", parent))?;
        }
        let staged = staged.keep();
        fs::rename(&staged, &target).map_err(LabError::io("publish", &target))?;
        Ok(target)
    }

    /// Takes away everything in the folder `name`, which need not be there, that is not to be kept. Only for the holder of
    /// the lock.
    pub(crate) fn prune(&self, name: &str, keep: impl Fn(&str) -> bool, _lock: &CacheLock) -> Result<(), LabError> {
        let folder = self.path(name);
        if !folder.exists() {
            return Ok(());
        }
        for entry in fs::read_dir(&folder).map_err(LabError::io("list", &folder))?.flatten() {
            if !keep(&entry.file_name().to_string_lossy()) {
                fs::remove_dir_all(entry.path()).map_err(LabError::io("remove", entry.path()))?;
            }
        }
        Ok(())
    }

    /// Takes away what interrupted runs left. Only for the holder of the lock.
    pub(crate) fn sweep(&self, _lock: &CacheLock) -> Result<(), LabError> {
        let entries = fs::read_dir(&self.root).map_err(LabError::io("list", &self.root))?;
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b".staging-") {
                let path = entry.path();
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(LabError::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(pairs: &[(&str, &str)]) -> Option<PathBuf> {
        Cache::usual(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
    }

    #[test]
    fn the_cache_is_where_xdg_says() {
        assert_eq!(usual(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Some(PathBuf::from("/c/sva-lab")));
        assert_eq!(
            usual(&[("XDG_CACHE_HOME", "not/absolute"), ("HOME", "/h")]),
            Some(PathBuf::from("/h/.cache/sva-lab"))
        );
        assert_eq!(usual(&[]), None);
    }

    #[test]
    fn what_is_staged_appears_whole_and_what_was_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let lock = cache.lock(&Progress::silent()).unwrap();
        let (left, file) = (cache.staging().unwrap().keep(), cache.path(".staging-file"));
        fs::write(&file, "half of").unwrap();
        cache.sweep(&lock).unwrap();
        assert!(!left.exists() && !file.exists());
        let staged = cache.staging().unwrap();
        fs::write(staged.path().join("file"), "content").unwrap();
        let published = cache.publish(staged, "kind/1.0").unwrap();
        assert_eq!(fs::read_to_string(published.join("file")).unwrap(), "content");
    }

    #[test]
    fn pruning_leaves_what_is_to_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let lock = cache.lock(&Progress::silent()).unwrap();
        for version in ["1.0", "2.0"] {
            cache.publish(cache.staging().unwrap(), Path::new("kind").join(version)).unwrap();
        }
        cache.prune("kind", |name| name == "2.0", &lock).unwrap();
        cache.prune("none", |_| false, &lock).unwrap();
        assert!(!cache.path("kind/1.0").exists() && cache.path("kind/2.0").exists());
    }

    #[test]
    fn a_colon_in_the_path_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Cache::open(Some(&folder.path().join("a:b"))).unwrap_err();
        assert!(error.to_string().contains("a:b"), "{error}");
    }
}
