//! A place to build in: the toolchain's sysroot as the root of a namespace of its own. It needs no root. What is built
//! sees nothing else of this machine, and can write to the folder of the build; to the sysroot only where the kernel does
//! not let a mount be made read-only.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;

use crate::error::LabError;
use crate::sysroot::Sysroot;
use crate::tool;

/// Where the build's folder is inside.
pub(crate) const WORK: &str = "/tmp/build";

/// Where the tree is inside that a build only reads.
pub(crate) const TREE: &str = "/tmp/tree";

/// Sets the root up from outside, then goes in. `$1` is the root, `$2` the build's folder, `$3` a tree that it only reads,
/// or nothing; the rest is the command.
/// A container may not allow a new /proc, but shows its own.
const ENTER: &str = r#"
set -e
PATH="$PATH:/usr/sbin:/sbin"
root=$1 work=$2 tree=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root" 2>/dev/null || :
mount --bind /dev/null "$root/dev/null"
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
mount -t tmpfs tmp "$root/tmp"
mkdir "$root/tmp/build" "$root/tmp/tree"
mount --bind "$work" "$root/tmp/build"
if [ -n "$tree" ]; then
    mount --bind "$tree" "$root/tmp/tree"
    mount -o remount,bind,ro "$root/tmp/tree" 2>/dev/null || :
fi
exec chroot "$root" "$@"
"#;

/// Why there is no user namespace, where it is a setting.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

/// Makes what a [`Build`] expects in a sysroot: places to mount on, and the links that packages' scripts would have made.
pub(crate) fn prepare(root: &Path) -> Result<(), LabError> {
    for name in ["dev", "proc", "tmp"] {
        let folder = root.join(name);
        fs::create_dir_all(&folder).map_err(LabError::io("create", &folder))?;
    }
    let null = root.join("dev/null");
    fs::write(&null, "").map_err(LabError::io("create", &null))?;
    for (link, target) in [("usr/bin/awk", "mawk"), ("usr/bin/sh", "dash")] {
        let link = root.join(link);
        if link.symlink_metadata().is_err() {
            symlink(target, &link).map_err(LabError::io("create", &link))?;
        }
    }
    Ok(())
}

/// A build: what it sees of this machine.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    /// Its root.
    pub(crate) toolchain: &'a Sysroot,
    /// The folder that it works in, [`WORK`].
    pub(crate) work: &'a Path,
    /// A folder that it only reads, [`TREE`].
    pub(crate) tree: Option<&'a Path>,
}

impl Build<'_> {
    /// A call of one of the toolchain's programs, inside.
    pub(crate) fn command(&self, words: &[&str]) -> Result<Command, LabError> {
        let mut inside = unshare(way()?);
        inside.args(["sh", "-c", ENTER, "sh"]).arg(self.toolchain.root()).arg(self.work);
        inside.arg(self.tree.unwrap_or(Path::new("")));
        inside.args(["/usr/bin/env", "-i", "PATH=/usr/bin", "HOME=/", "LC_ALL=C"]).args(words);
        Ok(inside)
    }
}

/// Whether namespaces can be made here.
pub(crate) fn check() -> Result<(), LabError> {
    way().map(drop)
}

/// The options with which namespaces can be made here. Root in a container often may not without a user namespace, and
/// root elsewhere may where those are forbidden.
fn way() -> Result<&'static [&'static str], LabError> {
    let ways: [&[&str]; 2] = [&["--user", "--map-root-user"], &[]];
    let mut reason = String::new();
    for way in ways.into_iter().take(if geteuid().is_root() { 2 } else { 1 }) {
        match tool::output(unshare(way).arg("true")) {
            Ok(_) => return Ok(way),
            Err(LabError::Tool { output, .. }) => reason = output,
            Err(other) => return Err(other),
        }
    }
    Err(LabError::NoNamespace { reason, cure: cure(|path| fs::read_to_string(path).ok()) })
}

fn unshare(way: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(way).args(["--mount", "--pid", "--fork"]);
    command
}

fn cure(read: impl Fn(&str) -> Option<String>) -> String {
    let set = SETTINGS.iter().find(|(path, bad, _)| read(path).is_some_and(|value| value.trim() == *bad));
    match set {
        Some((_, _, command)) => format!("as root: {command}"),
        None => "in a container: start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, \
                 or with --privileged"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_forbids_namespaces_is_named() {
        let cures =
            |path: &'static str, value: &'static str| cure(move |asked| (asked == path).then(|| value.to_owned()));
        assert!(cures("/proc/sys/user/max_user_namespaces", "0\n").contains("user.max_user_namespaces"));
        assert!(cures("/proc/sys/kernel/unprivileged_userns_clone", "0\n").contains("unprivileged_userns_clone=1"));
        assert!(cures("/proc/sys/user/max_user_namespaces", "1000\n").contains("container"));
    }
}
