//! Where a step's output goes.

use std::fs::File;
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
