//! The lab: a guest with a real kernel and a device behind an IOMMU. The tasks only call it.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The target whose programs the guest runs.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The lab's program: cargo puts it beside this one.
fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("the path of this program is not known: {error}"))?;
    Ok(own.with_file_name("sva-lab"))
}

/// What to tell cargo so that what it builds runs in the guest.
pub(crate) fn runner(options: &[&str]) -> Result<[String; 2], String> {
    let program = program()?;
    let program = program.to_str().ok_or_else(|| format!("{} is no text", program.display()))?;
    let words = [&[program, "run"][..], options, &["--"]].concat();
    // As TOML: its basic strings quote as Rust's do, for paths and options.
    Ok(["--config".to_owned(), format!("target.{TARGET}.runner={words:?}")])
}

/// Why the lab cannot run here, if so.
pub(crate) fn missing() -> Option<String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return Some("the lab's guest is an x86-64 machine, for programs built with the GNU C library".to_owned());
    }
    // What else is missing the lab says itself, with the cure; a machine without apt is not a fault to be mended.
    let apt = Command::new("apt-get").arg("--version").output().is_ok_and(|output| output.status.success());
    (!apt).then(|| "no apt here, from which QEMU and kernel would come; see sim/lab/Containerfile".to_owned())
}

/// Builds the lab, and runs a program in it: `arguments` are those of `sva-lab run`.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let ran = build().and_then(|()| {
        let status = Command::new(program()?).arg("run").args(arguments).status();
        status.map_err(|error| format!("the lab cannot be started: {error}"))
    });
    match ran {
        Ok(status) => {
            // The program's own; 125 is how the lab itself fails.
            status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::from(125), ExitCode::from)
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(125)
        }
    }
}

fn build() -> Result<(), String> {
    let status = cargo().args(["build", "--quiet", "--package", "sva-lab"]).status();
    match status.map_err(|error| format!("cargo cannot be started: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("the lab does not build: {status}")),
    }
}
