//! The guest's root: busybox, this program as the first process, the modules, the program to run and what it needs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::cpio::Archive;
use crate::elf::{self, Image, Search};
use crate::error::LabError;
use crate::guest::{ERRAND, Errand, INIT, WORK};

/// Where the program's input lies.
const INPUT: &str = "/etc/sva-lab.input";

/// Folders in which every loader looks by itself.
const USUAL: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib", "/lib64", "/usr/lib64"];

/// A file or folder of this machine that the guest is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extra {
    host: PathBuf,
    guest: String,
}

impl Extra {
    /// What is at `host` here will be at `guest` there.
    pub(crate) fn new(host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        Self { host: host.into(), guest: guest.into() }
    }

    /// `HOST` or `HOST=GUEST`; what is not absolute in the guest lies in the program's folder.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (host, guest) = match text.split_once('=') {
            Some((host, guest)) if !host.is_empty() && !guest.is_empty() => (host, guest.to_owned()),
            Some(_) => return Err(format!("'{text}' names a file of one side only; say HOST or HOST=GUEST")),
            None => {
                let name =
                    Path::new(text).file_name().ok_or_else(|| format!("'{text}' has no name; say HOST=GUEST"))?;
                (text, name.to_string_lossy().into_owned())
            }
        };
        Ok(Self::new(host, Path::new(WORK).join(guest).to_string_lossy()))
    }
}

/// What goes into the root.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) busybox: &'a Path,
    pub(crate) modules: &'a [PathBuf],
    /// With what the paths of device nodes start that the modules have to bring.
    pub(crate) nodes: &'a [String],
    /// The program and its arguments; none for a shell.
    pub(crate) command: &'a [String],
    pub(crate) extras: &'a [Extra],
    /// What the program reads.
    pub(crate) input: Option<&'a [u8]>,
    pub(crate) environment: Vec<(String, String)>,
}

/// Writes the root to `target`.
pub(crate) fn write(contents: Contents<'_>, target: &Path) -> Result<(), LabError> {
    let file = File::create(target).map_err(LabError::io("create", target))?;
    let mut root = Root {
        archive: Archive::new(BufWriter::new(file)),
        target,
        search: Search::of_machine(),
        unusual: BTreeSet::new(),
    };
    // The kernel gives the first process its console through this, before there are any devices.
    root.say(|archive| archive.character_device("/dev/console", 0o600, 5, 1))?;
    root.say(|archive| archive.link("/sbin", "bin"))?;
    root.copy(contents.busybox, "/bin/busybox")?;
    let own = std::env::current_exe().map_err(LabError::io("find", "/proc/self/exe"))?;
    root.program(&own, INIT)?;
    let mut modules = Vec::new();
    for module in contents.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        let inside = format!("/lib/modules/{name}");
        root.copy(module, &inside)?;
        modules.push(inside);
    }
    let mut command = contents.command.to_vec();
    // As a shell has it: a name with a slash is a file, another is looked for in the guest's PATH.
    if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
        let host = fs::canonicalize(&*program).map_err(LabError::io("find", &*program))?;
        // At the same place as here, since what it needs may be named relative to it.
        let inside = host.to_str().ok_or_else(|| LabError::NotText(host.display().to_string()))?.to_owned();
        root.program(&host, &inside)?;
        *program = inside;
    }
    for extra in contents.extras {
        root.extra(&extra.host, &extra.guest)?;
    }
    let mut environment = contents.environment;
    if !root.unusual.is_empty() {
        let folders: Vec<String> = root.unusual.iter().map(|folder| folder.display().to_string()).collect();
        environment.push(("LD_LIBRARY_PATH".to_owned(), folders.join(":")));
    }
    if let Some(input) = contents.input {
        root.say(|archive| archive.file(INPUT, 0o644, input))?;
    }
    let input = contents.input.map(|_| INPUT.to_owned());
    let errand = Errand { modules, nodes: contents.nodes.to_vec(), command, input, environment };
    let text = serde_json::to_vec(&errand).map_err(|error| LabError::bad_file(ERRAND, error))?;
    root.say(|archive| archive.file(ERRAND, 0o644, &text))?;
    root.say(|archive| archive.folder(WORK))?;
    let mut writer = root.archive.finish().map_err(LabError::io("write", target))?;
    writer.flush().map_err(LabError::io("write", target))
}

struct Root<'a> {
    archive: Archive<BufWriter<File>>,
    target: &'a Path,
    search: Search,
    /// Folders of libraries that the guest's loader would not look into by itself.
    unusual: BTreeSet<PathBuf>,
}

impl Root<'_> {
    fn say(
        &mut self,
        write: impl FnOnce(&mut Archive<BufWriter<File>>) -> std::io::Result<()>,
    ) -> Result<(), LabError> {
        write(&mut self.archive).map_err(LabError::io("write", self.target))
    }

    fn copy(&mut self, host: &Path, guest: &str) -> Result<(), LabError> {
        let content = fs::read(host).map_err(LabError::io("read", host))?;
        let mode = fs::metadata(host).map_err(LabError::io("read", host))?.permissions().mode();
        self.say(|archive| archive.file(guest, mode, &content))
    }

    /// A file, and if it is a program or a library, what it needs.
    fn program(&mut self, host: &Path, guest: &str) -> Result<(), LabError> {
        self.copy(host, guest)?;
        for (inside, library) in elf::closure(host, &self.search)? {
            let folder = inside.parent().unwrap_or(Path::new("/")).to_owned();
            if !USUAL.iter().any(|usual| Path::new(usual) == folder) {
                self.unusual.insert(folder);
            }
            let inside = inside.to_str().ok_or_else(|| LabError::NotText(inside.display().to_string()))?;
            self.copy(&library, inside)?;
        }
        Ok(())
    }

    fn extra(&mut self, host: &Path, guest: &str) -> Result<(), LabError> {
        let data = fs::metadata(host).map_err(LabError::io("read", host))?;
        if !data.is_dir() {
            // An object file or one for another machine is a file like any other.
            return match Image::read(host) {
                Ok(Some(_)) => self.program(host, guest),
                _ => self.copy(host, guest),
            };
        }
        self.say(|archive| archive.folder(guest))?;
        for entry in fs::read_dir(host).map_err(LabError::io("list", host))?.flatten() {
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| LabError::NotText(entry.path().display().to_string()))?;
            let (host, guest) = (entry.path(), format!("{guest}/{name}"));
            if host.is_symlink() {
                let link = fs::read_link(&host).map_err(LabError::io("read", &host))?;
                let link = link.to_str().ok_or_else(|| LabError::NotText(link.display().to_string()))?;
                self.say(|archive| archive.link(&guest, link))?;
            } else {
                self.extra(&host, &guest)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_files_lie_in_the_programs_folder_unless_said_otherwise() {
        let guest = |text: &str| Extra::parse(text).map(|extra| extra.guest);
        assert_eq!(guest("some/data.bin").unwrap(), "/lab/data.bin");
        assert_eq!(guest("data.bin=/etc/data").unwrap(), "/etc/data");
        assert_eq!(guest("data.bin=sub/x").unwrap(), "/lab/sub/x");
        assert!(guest("/").is_err() && guest("=x").is_err() && guest("x=").is_err());
    }
}
