//! Puts the kernel module's sources into the program, so that it also works outside the repository.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The header that the module takes its offsets from.
const HEADER: &str = "../../drivers/warp-abi/include/warp_abi.h";
const MODULE: &str = "../kmod";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={HEADER}");
    println!("cargo::rerun-if-changed={MODULE}");
    let mut files: Vec<PathBuf> = Vec::new();
    // Absent where the package stands alone; then the program says so when it is asked for the module.
    if let Ok(entries) = fs::read_dir(MODULE) {
        files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| is_source(path)));
        files.sort();
    }
    if Path::new(HEADER).is_file() {
        files.push(PathBuf::from(HEADER));
    }
    let mut text = String::from("&[\n");
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = fs::canonicalize(&file)?;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    text.push_str("]\n");
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| io::Error::other("cargo sets no OUT_DIR"))?;
    fs::write(folder.join("module_sources.rs"), text)
}

fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "Kbuild" || name.ends_with(".c") || name.ends_with(".h")
}
