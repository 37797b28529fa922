//! What the tests of this folder share: running the program, and folders that go.
#![allow(dead_code, reason = "every test file is a program of its own and uses a part")]

pub(crate) mod daemon;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The program, in a defined environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uaccel"));
    for variable in
        ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "UACCEL_DEVICE", "UACCEL_DEVD", "UACCEL_ROOT", "XDG_RUNTIME_DIR"]
    {
        command.env_remove(variable);
    }
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().expect("the program starts")
}

/// What it wrote to standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What it wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The JSON object that the program writes with these arguments.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A directory that goes with its value.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("uaccel-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    /// Its path as an argument.
    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
