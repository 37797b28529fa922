//! Archives in the format that the kernel unpacks as its first root: "newc" of cpio(5), and the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Component, Path};

/// Types of files, as in `st_mode` (inode(7)).
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// Writes an archive. Folders on the way to a file are made where they are missing.
#[derive(Debug)]
pub(crate) struct Archive<W> {
    writer: W,
    entries: u32,
    names: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(crate) fn new(writer: W) -> Self {
        Self { writer, entries: 0, names: BTreeSet::new() }
    }

    /// A folder.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        let name = name_of(path)?;
        self.way_to(&name)?;
        if name.is_empty() || !self.names.insert(name.clone()) {
            return Ok(());
        }
        self.entry(&name, FOLDER | 0o755, (0, 0), &[])
    }

    /// A regular file with these permissions. What was first under a name stays.
    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.other(path, FILE | (permissions & 0o7777), (0, 0), content)
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.other(path, LINK | 0o777, (0, 0), target.as_bytes())
    }

    /// A character device.
    pub(crate) fn character_device(&mut self, path: &str, permissions: u32, major: u32, minor: u32) -> io::Result<()> {
        self.other(path, CHARACTER_DEVICE | (permissions & 0o7777), (major, minor), &[])
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.writer)
    }

    fn other(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        let name = name_of(path)?;
        self.way_to(&name)?;
        if !self.names.insert(name.clone()) {
            return Ok(());
        }
        self.entry(&name, mode, device, content)
    }

    fn way_to(&mut self, name: &str) -> io::Result<()> {
        for (slash, _) in name.match_indices('/') {
            self.folder(&name[..slash])?;
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::other(format!("{name} has more bytes than an archive can say: {}", content.len()))
        })?;
        let length = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
        self.entries += 1;
        // Magic, inode, mode, uid, gid, links, time, size, the archive's device, the file's device, the name's length, checksum.
        write!(
            self.writer,
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{size:08x}{:08x}{:08x}{major:08x}{minor:08x}{length:08x}{:08x}{name}\0",
            self.entries, 0, 0, 1, 0, 0, 0, 0
        )?;
        // The header has 110 bytes; name and content each end at a multiple of four.
        self.pad(110 + name.len() + 1)?;
        self.writer.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.writer.write_all(&[0; 3][..length.next_multiple_of(4) - length])
    }
}

/// A path as it stands in an archive: relative to its root, without dots.
fn name_of(path: &str) -> io::Result<String> {
    let mut name = String::new();
    for part in Path::new(path).components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(part) => {
                if !name.is_empty() {
                    name.push('/');
                }
                name.push_str(&part.to_string_lossy());
            }
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other(format!("{path} leaves the guest's root")));
            }
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
    use std::process::{Command, Stdio};

    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.file("/a/b/text", 0o644, b"hello").unwrap();
        archive.file("run", 0o755, &[7; 4096]).unwrap();
        archive.link("/bin", "usr/bin").unwrap();
        archive.character_device("/dev/null", 0o666, 1, 3).unwrap();
        archive.folder("/empty").unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/f", 0o644, b"xy").unwrap();
        let bytes = archive.finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let file = concat!(
            "070701", "00000001", "000081a4", "00000000", "00000000", "00000001", "00000000", "00000002", "00000000",
            "00000000", "00000000", "00000000", "00000002", "00000000", "f\0", "xy\0\0"
        );
        assert!(text.starts_with(file), "{text:?}");
        assert!(text.len().is_multiple_of(4));
        assert!(text.contains("TRAILER!!!\0"));
    }

    #[test]
    fn a_name_comes_once_with_the_folders_on_its_way() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/a/b/c", 0o644, b"first").unwrap();
        archive.file("a/b/c", 0o644, b"second").unwrap();
        archive.folder("/a/b").unwrap();
        let text = String::from_utf8(archive.finish().unwrap()).unwrap();
        assert_eq!(text.matches("070701").count(), 4, "{text:?}");
        assert!(text.contains("first") && !text.contains("second"));
    }

    #[test]
    fn a_path_cannot_leave_the_root() {
        let error = Archive::new(Vec::new()).file("a/../../etc", 0o644, b"").unwrap_err();
        assert!(error.to_string().contains("a/../../etc"), "{error}");
    }

    #[test]
    fn an_independent_reader_finds_what_was_written() {
        // cpio(1), or bsdtar(1); machines that have neither cannot judge.
        let readers: [&[&str]; 2] =
            [&["cpio", "--extract", "--make-directories", "--quiet"], &["bsdtar", "--extract", "--file", "-"]];
        let Some(reader) = readers.iter().find(|words| crate::tool::is_there(words[0])) else {
            eprintln!("SKIPPED: neither cpio nor bsdtar is installed, so nobody else can read the archive");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(reader[0])
            .args(&reader[1..])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        let status = child.wait().unwrap();
        let root = nix::unistd::geteuid().is_root();
        // Without root a reader complains about the device.
        assert!(status.success() || !root, "{status}");
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("a/b/text"), b"hello");
        assert_eq!(read("run"), [7; 4096]);
        let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("run") & 0o777, 0o755);
        assert!(folder.path().join("empty").is_dir());
        assert_eq!(std::fs::read_link(folder.path().join("bin")).unwrap(), Path::new("usr/bin"));
        if root {
            let device = std::fs::metadata(folder.path().join("dev/null")).unwrap();
            assert!(device.file_type().is_char_device());
            assert_eq!(device.rdev(), nix::sys::stat::makedev(1, 3));
        }
    }
}
