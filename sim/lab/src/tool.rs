//! A program of the system, run to its end.

use std::io::{BufRead as _, BufReader, pipe};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::LabError;

/// Runs `command`, and gives what it printed. What it complained about goes into the error.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, LabError> {
    output_with(command, Stdio::null())
}

/// As [`output`], of a program that reads `input`.
pub(crate) fn output_with(command: &mut Command, input: Stdio) -> Result<Vec<u8>, LabError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(input).output().map_err(LabError::start(&tool))?;
    // Held by the command, a pipe would keep its other end waiting.
    command.stdin(Stdio::null());
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

/// Lines of a long output that an error shows.
const TAIL: usize = 40;

/// As [`output`], with every line passed on as it comes; what is printed as an error comes among the rest.
pub(crate) fn watched(command: &mut Command, mut line: impl FnMut(&str)) -> Result<Vec<u8>, LabError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let reads = |source| LabError::Io { action: "read from", path: Path::new(&tool).to_owned(), source };
    let (reader, writer) = pipe().map_err(reads)?;
    let errors = writer.try_clone().map_err(reads)?;
    let mut child =
        command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn().map_err(LabError::start(&tool))?;
    // Held by the command, the pipe would have no end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut said = Vec::new();
    let mut reader = BufReader::new(reader);
    loop {
        let before = said.len();
        if reader.read_until(b'\n', &mut said).map_err(reads)? == 0 {
            break;
        }
        line(&String::from_utf8_lossy(&said[before..]));
    }
    let status = child.wait().map_err(reads)?;
    if status.success() {
        return Ok(said);
    }
    let text = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = text.lines().collect();
    let output = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    Err(LabError::Tool { tool, status: status.to_string(), output })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_seen_as_they_come_and_errors_among_them() {
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; printf three"]);
        let said = watched(&mut command, |line| seen.push(line.trim_end().to_owned())).unwrap();
        assert_eq!(seen, ["one", "two", "three"]);
        assert_eq!(said, b"one\ntwo\nthree");
    }

    #[test]
    fn a_failure_shows_the_last_lines() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 1000; echo wrong >&2; exit 3"]);
        let error = watched(&mut command, |_| ()).unwrap_err().to_string();
        assert!(error.ends_with("1000\nwrong") && !error.contains("\n900\n"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
