//! Puts the kernel modules' sources into the program, so that it also works outside the repository.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The modules: a name in Rust, the folder, and files from elsewhere.
const MODULES: [(&str, &str, &[&str]); 2] =
    [("WARP", "../kmod", &["../../drivers/warp-abi/include/warp_abi.h"]), ("HISI_ZIP", "../kmod-hisi", &[])];

fn main() -> io::Result<()> {
    let mut text = String::new();
    for (name, folder, others) in MODULES {
        println!("cargo::rerun-if-changed={folder}");
        let mut files: Vec<PathBuf> = Vec::new();
        // Absent where the package stands alone; then the program says so when it is asked for the module.
        if let Ok(entries) = fs::read_dir(folder) {
            files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| is_source(path)));
            files.sort();
        }
        for other in others.iter().map(Path::new) {
            println!("cargo::rerun-if-changed={}", other.display());
            if other.is_file() {
                files.push(other.to_owned());
            }
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "const {name}: &[(&str, &[u8])] = &[");
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let path = fs::canonicalize(&file)?;
            let _ = writeln!(text, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
        }
        text.push_str("];\n");
    }
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| io::Error::other("cargo sets no OUT_DIR"))?;
    fs::write(folder.join("module_sources.rs"), text)
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "Kbuild" || name.ends_with(".c") || name.ends_with(".h")
}
