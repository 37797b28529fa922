//! One suite of Debian's archive, seen through apt with state of the lab's own: the system's lists, cache and status are not touched.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::Version;
use crate::error::LabError;
use crate::progress::Progress;
use crate::tool;

/// Debian's keyring, where its package `debian-archive-keyring` installs it: newer ones under the first name.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/// The keyring of this machine.
pub(crate) fn keyring() -> Option<&'static str> {
    KEYRINGS.into_iter().find(|path| Path::new(path).is_file())
}

/// A suite, and those it rests on.
#[derive(Debug)]
pub(crate) struct Archive {
    root: PathBuf,
    suite: &'static str,
}

/// What to download.
#[derive(Debug)]
pub(crate) enum Wanted<'a> {
    /// These packages and all that they depend on, down to the C library: apt is shown an empty system.
    Closure(&'a [String]),
    /// Just these.
    Alone(&'a [String]),
}

impl Archive {
    /// Writes the configuration for `suite` of `mirror`, resting on the suites `below`, into the folder `root`.
    pub(crate) fn new(
        root: PathBuf,
        mirror: &str,
        keyring: &str,
        suite: &'static str,
        below: &[&'static str],
    ) -> Result<Self, LabError> {
        let archive = Self { root, suite };
        for folder in ["lists/partial", "cache", "log"] {
            let folder = archive.root.join(folder);
            fs::create_dir_all(&folder).map_err(LabError::io("create", &folder))?;
        }
        let suites = [below, &[suite]].concat().join(" ");
        archive.write("status", "")?;
        archive.write(
            "debian.sources",
            &format!(
                "Types: deb\nURIs: {mirror}\nSuites: {suites}\nComponents: main\nArchitectures: amd64\n\
                 Targets: Packages\nSigned-By: {keyring}\n"
            ),
        )?;
        let root = archive.root.display();
        archive.write(
            "apt.conf",
            &format!(
                "// Read last. How the machine reaches its mirror (proxies, passwords, methods) stays as it is; hooks are
// taken out, since they would work on the system.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
APT::Architecture \"amd64\";
#clear APT::Architectures;
APT::Sandbox::User \"root\";
DPkg::Lock::Timeout \"60\";
Acquire::Languages \"none\";
Dir::Etc::sourcelist \"{root}/debian.sources\";
Dir::Etc::sourceparts \"/dev/null\";
Dir::Etc::preferences \"/dev/null\";
Dir::Etc::preferencesparts \"/dev/null\";
Dir::State::lists \"{root}/lists\";
Dir::State::status \"{root}/status\";
Dir::State::extended_states \"{root}/extended_states\";
Dir::Cache \"{root}/cache\";
Dir::Log \"{root}/log\";
"
            ),
        )?;
        Ok(archive)
    }

    /// The name of the suite.
    pub(crate) fn suite(&self) -> &'static str {
        self.suite
    }

    /// Fetches the lists.
    pub(crate) fn update(&self) -> Result<(), LabError> {
        tool::output(self.call("apt-get").arg("update").args(["-o", "APT::Update::Error-Mode=any"])).map(drop)
    }

    /// The newest version of a package.
    pub(crate) fn newest(&self, package: &str) -> Result<Option<Version>, LabError> {
        // A package that is unknown is no error of madison's, but one of `show`.
        Ok(first_of_madison(&tool::text(self.call("apt-cache").args(["madison", package]))?))
    }

    /// The names that a package depends on, the first of each alternative.
    pub(crate) fn depends(&self, package: &str, version: &Version) -> Result<Vec<String>, LabError> {
        let stanza = tool::text(self.call("apt-cache").arg("show").arg(format!("{package}={version}")))?;
        Ok(depends_of(&stanza))
    }

    /// Downloads packages under the name `set`, and gives the files. A later call goes on where an interrupted one stopped.
    pub(crate) fn download(
        &self,
        set: &str,
        wanted: &Wanted<'_>,
        progress: &Progress,
    ) -> Result<Vec<PathBuf>, LabError> {
        let folder = self.root.join("archives").join(set);
        let partial = folder.join("partial");
        fs::create_dir_all(&partial).map_err(LabError::io("create", &partial))?;
        let call = || {
            let mut option = OsString::from("Dir::Cache::archives=");
            option.push(&folder);
            let mut command = self.call("apt-get");
            command.arg("-qq").arg("-o").arg(option).args(arguments(wanted, self.suite)).current_dir(&folder);
            command
        };
        let plan = tool::text(call().arg("--print-uris"))?;
        let bytes = plan.lines().filter_map(bytes_of).sum();
        progress.download(&format!("download {set}"), bytes, &[&folder, &partial], || tool::output(&mut call()))?;
        let entries = fs::read_dir(&folder).map_err(LabError::io("list", &folder))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
        files.sort();
        if files.is_empty() {
            return Err(LabError::bad_file(&folder, "apt has downloaded nothing into it"));
        }
        Ok(files)
    }

    /// Forgets the packages that were downloaded, and apt's digest of the lists.
    pub(crate) fn clear(&self) -> Result<(), LabError> {
        for folder in ["archives", "cache"] {
            let folder = self.root.join(folder);
            if folder.exists() {
                fs::remove_dir_all(&folder).map_err(LabError::io("remove", &folder))?;
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, content: &str) -> Result<(), LabError> {
        let path = self.root.join(name);
        fs::write(&path, content).map_err(LabError::io("write", &path))
    }

    fn call(&self, program: &str) -> Command {
        let mut option = OsString::from("--config-file=");
        option.push(self.root.join("apt.conf"));
        let mut command = Command::new(program);
        // The texts that are read here are the untranslated ones.
        command.arg(option).env("LC_ALL", "C.UTF-8").current_dir(Path::new("/"));
        command
    }
}

fn arguments<'a>(wanted: &Wanted<'a>, suite: &'static str) -> Vec<&'a str> {
    let (first, packages): (&[&'a str], _) = match wanted {
        Wanted::Closure(packages) => {
            (&["install", "--download-only", "--no-install-recommends", "--yes", "--target-release"], packages)
        }
        Wanted::Alone(packages) => (&["download", "--target-release"], packages),
    };
    first.iter().copied().chain([suite]).chain(packages.iter().map(String::as_str)).collect()
}

/// The version in the first line of `package | version | source`.
fn first_of_madison(text: &str) -> Option<Version> {
    let line = text.lines().find(|line| line.ends_with("Packages"))?;
    line.split('|').nth(1).map(|version| Version::new(version.trim()))
}

/// The names in the field Depends.
fn depends_of(stanza: &str) -> Vec<String> {
    let field = stanza.lines().find_map(|line| line.strip_prefix("Depends:")).unwrap_or_default();
    field.split(',').filter_map(|dependency| dependency.split_whitespace().next()).map(str::to_owned).collect()
}

/// The size in a line of `'uri' file bytes hash`.
fn bytes_of(line: &str) -> Option<u64> {
    line.strip_prefix('\'')?.split_once("' ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_first_of_madison() {
        let text =
            "qemu-system-x86 | 1:11.1.3+ds-1~bpo13+1 | http://a.example/debian trixie-backports/main amd64 Packages
qemu-system-x86 | 1:10.0.13+ds-0+deb13u1 | http://a.example/debian trixie/main amd64 Packages\n";
        assert_eq!(first_of_madison(text), Some(Version::new("1:11.1.3+ds-1~bpo13+1")));
        assert_eq!(first_of_madison(""), None);
    }

    #[test]
    fn dependencies_lose_versions_and_alternatives() {
        let text = "Package: a\nDepends: dracut | initramfs-tools (>= 0.1), linux-binary-7.3+x (= 7.3-1), b\nSize: 1\n";
        assert_eq!(depends_of(text), ["dracut", "linux-binary-7.3+x", "b"]);
        assert_eq!(depends_of("Package: a\n"), Vec::<String>::new());
    }

    #[test]
    fn a_plan_of_apt_gives_sizes() {
        let line = "'http://a.example/pool/z/zlib1g_1%3a1.3_amd64.deb' zlib1g_1%3a1.3_amd64.deb 88720 SHA256:00";
        assert_eq!(bytes_of(line), Some(88720));
        assert_eq!(bytes_of("Reading package lists..."), None);
    }
}
