//! Where a step's output goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a step's output goes.
pub(crate) enum Output {
    /// To where this program's own goes.
    Own,
    /// To a file, since other steps run beside this one.
    File(File),
}

impl Output {
    /// Says something between what the commands say.
    pub(crate) fn say(&mut self, line: &str) {
        match self {
            Self::Own => println!("{line}"),
            // A disk that is full shows in the commands, too.
            Self::File(file) => drop(writeln!(file, "{line}")),
        }
    }

    /// Lets a command say what it says here.
    pub(crate) fn of<'c>(&self, command: &'c mut Command) -> io::Result<&'c mut Command> {
        match self {
            Self::Own => Ok(command),
            Self::File(file) => Ok(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file.try_clone()?)),
        }
    }
}

/// The file that has a step's output, beside this program.
pub(crate) fn log(name: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(format!("{name}.log")))
}

/// Shows what a file has, whole, so that nothing of other steps is between.
pub(crate) fn show(path: &Path) -> io::Result<()> {
    io::copy(&mut File::open(path)?, &mut io::stdout().lock()).map(|_| ())
}

/// The last lines of a file.
pub(crate) fn end(path: &Path, lines: usize) -> io::Result<String> {
    let text = fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    let from = text.rmatch_indices('\n').nth(lines).map_or(0, |(at, _)| at + 1);
    Ok(text[from..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_its_last_lines_or_all_of_it() {
        let path = std::env::temp_dir().join(format!("uaccel-xtask-{}", std::process::id()));
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let ends = [1, 2, 3, 4].map(|lines| end(&path, lines).unwrap());
        fs::remove_file(&path).unwrap();
        assert_eq!(ends, ["three\n", "two\nthree\n", "one\ntwo\nthree\n", "one\ntwo\nthree\n"]);
        assert!(end(&path, 1).is_err(), "it is gone");
    }
}
