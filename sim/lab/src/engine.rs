//! The Warp engine as a shared object for QEMU: built where the workspace is, found elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::error::LabError;
use crate::progress::Progress;

/// What cargo calls the engine's package, and its file.
const PACKAGE: &str = "uaccel-qemu";
const FILE: &str = "libuaccel_qemu.so";

/// Where the workspace was when this program was built.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The shared object.
pub(crate) fn find(cache: &Cache, progress: &Progress) -> Result<PathBuf, LabError> {
    match workspace() {
        Some(workspace) => build(workspace, progress),
        None => built(cache),
    }
}

/// Where it is, or what it would be built from, for people.
pub(crate) fn whereabouts(cache: &Cache) -> Result<String, LabError> {
    match workspace() {
        Some(workspace) => Ok(format!("is built from {}", workspace.display())),
        None => built(cache).map(|path| path.display().to_string()),
    }
}

fn workspace() -> Option<&'static Path> {
    Some(Path::new(WORKSPACE)).filter(|workspace| workspace.join("sim/qemu/Cargo.toml").is_file())
}

fn built(cache: &Cache) -> Result<PathBuf, LabError> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(FILE)));
    let places: Vec<PathBuf> = beside.into_iter().chain([cache.path(FILE)]).collect();
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        LabError::Engine(format!(
            "the engine {FILE} is neither of: {}\nbuild it in the repository of uaccel with `cargo build --release -p {PACKAGE}` \
             and put it there, or name it with --plugin; --no-engine runs without one",
            looked.join(", ")
        ))
    })
}

fn build(workspace: &Path, progress: &Progress) -> Result<PathBuf, LabError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.current_dir(workspace).args(["build", "--release", "--quiet", "--package", PACKAGE]);
    command.args(["--message-format", "json-render-diagnostics"]);
    // What a surrounding cargo has set is for its own package.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_") && !KEPT.contains(&name)) {
            command.env_remove(&name);
        }
    }
    let said = progress.step("build the engine", || crate::tool::output(&mut command))?;
    // Cargo says where it has put it, also if the target folder is elsewhere.
    String::from_utf8_lossy(&said)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.ends_with(FILE))
        .ok_or_else(|| LabError::Engine(format!("cargo has built {PACKAGE}, but no {FILE}")))
}

/// Settings of the user, which stay.
const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "CARGO_BUILD_JOBS"];
