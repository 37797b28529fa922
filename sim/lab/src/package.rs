//! Files out of packages, without the rest of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::LabError;
use crate::sysroot::Sysroot;
use crate::tool;

/// The package of that name among downloaded files.
pub(crate) fn named<'a>(files: &'a [PathBuf], name: &str) -> Result<&'a Path, LabError> {
    let start = format!("{name}_");
    files
        .iter()
        .find(|file| file.file_name().is_some_and(|found| found.as_encoded_bytes().starts_with(start.as_bytes())))
        .map(PathBuf::as_path)
        .ok_or_else(|| LabError::Incomplete { package: name.to_owned(), file: "package".to_owned() })
}

/// Copies the first of `places` that a package has to `target`, by way of a folder inside `staging`.
pub(crate) fn one_file(staging: &Path, package: &Path, places: &[String], target: &Path) -> Result<(), LabError> {
    let unpacked = tempfile::tempdir_in(staging).map_err(LabError::io("write to", staging))?;
    let sysroot = Sysroot::unpack(unpacked.path(), &[package.to_owned()])?;
    let file = places
        .iter()
        .find_map(|place| sysroot.file(place).ok())
        .ok_or_else(|| LabError::Incomplete { package: package.display().to_string(), file: places.join(" nor ") })?;
    fs::copy(file, target).map_err(LabError::io("write", target))?;
    Ok(())
}

/// Writes one file of a package to `target`.
pub(crate) fn member(package: &Path, member: &str, target: &Path) -> Result<(), LabError> {
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LabError::start("dpkg-deb"))?;
    let found = to_file(archive.stdout.take().map(Stdio::from), member, target);
    // It is cut off as soon as the member was found.
    let _ = archive.kill();
    let _ = archive.wait();
    found
}

fn to_file(archive: Option<Stdio>, member: &str, target: &Path) -> Result<(), LabError> {
    let file = File::create(target).map_err(LabError::io("create", target))?;
    let status = Command::new("tar")
        .args(["--extract", "--to-stdout", "--occurrence=1", "--file=-"])
        .arg(member)
        .stdin(archive.unwrap_or_else(Stdio::null))
        .stdout(file)
        .stderr(Stdio::null())
        .status()
        .map_err(LabError::start("tar"))?;
    let size = fs::metadata(target).map_err(LabError::io("read", target))?.len();
    if size == 0 {
        return Err(LabError::Incomplete { package: format!("the archive ({status})"), file: member.to_owned() });
    }
    Ok(())
}

/// Unpacks an archive that is compressed with xz into the folder `target`, without its uppermost folder, and removes it: all of it, or
/// what `patterns` say, each of which has to be in it. The program for that need not be on this machine.
pub(crate) fn unpack_pressed(
    toolchain: &Sysroot,
    pressed: &Path,
    target: &Path,
    patterns: &[String],
) -> Result<(), LabError> {
    let mut xz = toolchain
        .command("usr/bin/xz")?
        .args(["--decompress", "--stdout", "--threads=0"])
        .arg(pressed)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(LabError::start("xz"))?;
    let unpacked = tool::output_with(
        Command::new("tar")
            .args(["--extract", "--file=-", "--strip-components=1", "--no-same-owner", "--directory"])
            .arg(target)
            .args(["--wildcards", "--no-wildcards-match-slash"])
            .args(patterns),
        xz.stdout.take().map_or_else(Stdio::null, Stdio::from),
    );
    let whole = xz.wait().map_err(LabError::io("read", pressed))?.success();
    unpacked?;
    if !whole {
        return Err(LabError::bad_file(pressed, "xz cannot read it"));
    }
    fs::remove_file(pressed).map_err(LabError::io("remove", pressed))
}
