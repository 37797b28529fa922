//! Kernel modules, built out of tree and kept by the content of what they were built from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, elf::FileHeader64};
use sha2::{Digest as _, Sha256};

use crate::cache::Cache;
use crate::error::LabError;
use crate::kernel_source::KernelSource;
use crate::kit::Kit;
use crate::namespace::{Build, TREE, WORK};
use crate::own_kernel::{OwnKernel, compiler};
use crate::progress::Progress;
use crate::sysroot::Sysroot;
use crate::tool;

/// What sets the result apart beside the sources.
const RECIPE: &str = "make modules, second edition";

/// A module's sources: relative paths and contents.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<PathBuf, Vec<u8>>);

impl Sources {
    /// Those in a folder with a Kbuild (or Makefile), and in the folders below.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, LabError> {
        if !["Kbuild", "Makefile"].iter().any(|name| folder.join(name).is_file()) {
            return Err(LabError::bad_file(folder, "it has neither a Kbuild nor a Makefile"));
        }
        let mut sources = Self::default();
        sources.gather(folder, Path::new(""))?;
        Ok(sources)
    }

    /// Adds a file, unless there is one of that name.
    pub(crate) fn add(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.0.entry(PathBuf::from(name)).or_insert_with(|| content.into());
    }

    /// Adds what is in a folder and in the folders below, under names that start with `below`.
    pub(crate) fn gather(&mut self, folder: &Path, below: &Path) -> Result<(), LabError> {
        for entry in fs::read_dir(folder).map_err(LabError::io("list", folder))?.flatten() {
            let (path, name) = (entry.path(), below.join(entry.file_name()));
            let hidden = entry.file_name().as_bytes().starts_with(b".");
            if path.is_dir() && !hidden {
                self.gather(&path, &name)?;
            } else if path.is_file() && !hidden && !is_output(&name) {
                self.0.insert(name, fs::read(&path).map_err(LabError::io("read", &path))?);
            }
        }
        Ok(())
    }

    fn key(&self, kit: &Kit, own: Option<&OwnKernel>) -> String {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        part(RECIPE.as_bytes());
        // The cache can be elsewhere tomorrow.
        part(kit.toolchain.file_name().unwrap_or_default().as_bytes());
        part(own.map_or("", OwnKernel::name).as_bytes());
        for (name, content) in &self.0 {
            part(name.as_os_str().as_bytes());
            part(content);
        }
        hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// What an earlier build may have left beside the sources, and what is for people.
fn is_output(name: &Path) -> bool {
    let text = name.to_string_lossy();
    [".md", ".o", ".ko", ".mod", ".mod.c", ".order", ".symvers", ".cmd"].iter().any(|end| text.ends_with(end))
}

/// Builds the modules of `sources` for the kit's kernel, with its `uacce.c` beside them, or for the lab's own kernel, and
/// gives the folder that has them.
pub(crate) fn build(
    cache: &Cache,
    kit: &Kit,
    own: Option<&OwnKernel>,
    mut sources: Sources,
    progress: &Progress,
) -> Result<PathBuf, LabError> {
    // The lab's own kernel has uacce built in.
    if own.is_none() && kit.edition.takes_engine() {
        KernelSource::find(cache, kit, progress)?.add_uacce(&mut sources)?;
    }
    let path = Path::new("modules").join(sources.key(kit, own));
    if cache.path(&path).exists() {
        return Ok(cache.path(&path));
    }
    let _lock = cache.lock(progress)?;
    let work = cache.staging()?;
    for (name, content) in &sources.0 {
        let file = work.path().join(name);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(LabError::io("create", folder))?;
        }
        fs::write(&file, content).map_err(LabError::io("write", &file))?;
    }
    let toolchain = Sysroot::at(&kit.toolchain);
    let tree = own.map(OwnKernel::tree);
    let folder = format!("M={WORK}");
    let jobs = format!("--jobs={}", std::thread::available_parallelism().map_or(1, usize::from));
    // Debian's headers name their compiler; the lab's own kernel was built with the same one.
    let (headers, compiler) = match own {
        Some(_) => (TREE.to_owned(), format!("CC={}", compiler(&toolchain)?)),
        None => (format!("/usr/src/linux-headers-{}", kit.kernel_release), String::new()),
    };
    let mut make = vec!["make", "--directory", &headers, &folder, &jobs, "modules"];
    if !compiler.is_empty() {
        make.push(&compiler);
    }
    let inside = Build { toolchain: &toolchain, work: work.path(), tree: tree.as_deref() };
    let said = progress.step("build the kernel modules", || tool::output(&mut inside.command(&make)?))?;
    let built = cache.staging()?;
    let log = built.path().join("build.log");
    fs::write(&log, said).map_err(LabError::io("write", &log))?;
    let mut modules = 0;
    for module in in_folder(work.path())? {
        if let Some(name) = module.file_name() {
            modules += 1;
            fs::copy(&module, built.path().join(name)).map_err(LabError::io("copy", &module))?;
        }
    }
    if modules == 0 {
        return Err(LabError::bad_file(work.path(), "nothing in it is built as a module (obj-m)"));
    }
    cache.publish(built, &path)
}

/// The kernel's list of what it has built in, in a folder of modules.
pub(crate) fn built_in(folder: &Path) -> PathBuf {
    folder.join("modules.builtin")
}

/// The modules in a folder, each after those that it needs.
pub(crate) fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, LabError> {
    let mut waiting = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(LabError::io("list", folder))?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            let data = fs::read(&path).map_err(LabError::io("read", &path))?;
            let needs = depends(&data).map_err(|reason| LabError::bad_file(&path, reason))?;
            waiting.insert(name_of(&path), (path, needs));
        }
    }
    Ok(sorted(waiting))
}

/// What modules need that is not among them.
pub(crate) fn needs(modules: &[PathBuf]) -> Result<Vec<String>, LabError> {
    let mut needs = Vec::new();
    for module in modules {
        let data = fs::read(module).map_err(LabError::io("read", module))?;
        needs.extend(depends(&data).map_err(|reason| LabError::bad_file(module, reason))?);
    }
    needs.retain(|need| !modules.iter().any(|module| name_of(module) == *need));
    Ok(needs)
}

/// A module's name, by its file's.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    normal(name.split_once(".ko").map_or(&name, |(name, _)| name))
}

/// A name as the kernel compares it, which takes both signs for one.
pub(crate) fn normal(name: &str) -> String {
    name.replace('-', "_")
}

fn sorted(mut waiting: BTreeMap<String, (PathBuf, Vec<String>)>) -> Vec<PathBuf> {
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting
            .iter()
            .find(|(_, (_, needs))| !needs.iter().any(|need| waiting.contains_key(need)))
            // A circle: the kernel will say what is wrong.
            .or_else(|| waiting.iter().next())
            .map(|(name, _)| name.clone());
        if let Some((path, _)) = ready.and_then(|name| waiting.remove(&name)) {
            order.push(path);
        }
    }
    order
}

/// The names in `depends=` of a module's section `.modinfo`.
pub(crate) fn depends(data: &[u8]) -> Result<Vec<String>, String> {
    let read = || -> Result<Option<&[u8]>, object::read::Error> {
        let header = FileHeader64::<Endianness>::parse(data)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, data)?;
        sections.section_by_name(endian, b".modinfo").map(|(_, section)| section.data(endian, data)).transpose()
    };
    let info = read().map_err(|error| error.to_string())?.ok_or("it has no .modinfo")?;
    let line = info.split(|&byte| byte == 0).find_map(|line| line.strip_prefix(b"depends=")).unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    Ok(text.split(',').filter(|name| !name.is_empty()).map(normal).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edition::Edition;

    #[test]
    fn modules_come_after_those_they_need() {
        let module = |name: &str, needs: &[&str]| {
            (name.to_owned(), (PathBuf::from(name), needs.iter().map(|&need| need.to_owned()).collect()))
        };
        let order = sorted(BTreeMap::from([module("a", &["z", "elsewhere"]), module("m", &["a"]), module("z", &[])]));
        assert_eq!(order, [Path::new("z"), Path::new("a"), Path::new("m")]);
        let circle = sorted(BTreeMap::from([module("a", &["b"]), module("b", &["a"])]));
        assert_eq!(circle.len(), 2);
    }

    #[test]
    fn the_key_follows_names_and_contents_and_nothing_that_a_build_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let kit = Kit {
            edition: Edition::Newest,
            suite: String::new(),
            qemu_version: String::new(),
            qemu: PathBuf::new(),
            kernel_version: String::new(),
            kernel_release: String::new(),
            kernel: PathBuf::new(),
            toolchain: "toolchain".into(),
            busybox: PathBuf::new(),
        };
        let key = || Sources::in_folder(folder.path()).unwrap().key(&kit, None);
        write("Kbuild", "obj-m := a.o\n");
        write("a.c", "int a;\n");
        let first = key();
        write("a.o", "built");
        write("Module.symvers", "built");
        assert_eq!(key(), first);
        write("a.c", "int b;\n");
        assert_ne!(key(), first);
    }

    #[test]
    fn a_folder_without_a_kbuild_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Sources::in_folder(folder.path()).unwrap_err();
        assert!(error.to_string().contains("Kbuild"), "{error}");
    }
}
