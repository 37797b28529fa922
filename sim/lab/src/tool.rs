//! A program of the system, run to its end.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::LabError;

/// Runs `command`, and gives what it printed. What it complained about goes into the error.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, LabError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(LabError::start(&tool))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = [output.stdout, output.stderr].concat();
    Err(LabError::Tool {
        tool,
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&said).trim_end().to_owned(),
    })
}

/// As [`output`], as text.
pub(crate) fn text(command: &mut Command) -> Result<String, LabError> {
    Ok(String::from_utf8_lossy(&output(command)?).into_owned())
}

/// Whether `tool` is in one of the folders of PATH.
pub(crate) fn is_there(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]).any(|folder| folder.join(tool).is_file())
}
