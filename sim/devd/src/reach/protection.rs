//! What a client may do with its own memory.

use core::cell::Cell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;

/// What is going to be done with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Reading it.
    Read,
    /// Writing it.
    Write,
}

/// The protection of a client's pages, as `/proc/<pid>/maps` has it.
///
/// Asked by `PROCMAP_QUERY` where the kernel has it (Linux 6.11), else by reading the text.
#[derive(Debug)]
pub struct Protection {
    maps: File,
    /// Whether the kernel answers queries.
    queries: AtomicBool,
    /// The text is read by one thread at a time: the kernel walks on from where it was.
    text: Mutex<()>,
}

/// A mapping that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    end: u64,
    readable: bool,
    writable: bool,
}

impl Mapping {
    fn allows(self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Read => self.readable,
            Wanted::Write => self.writable,
        }
    }
}

/// `struct procmap_query` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Default)]
struct ProcmapQuery {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

const _: () = assert!(size_of::<ProcmapQuery>() == 104);

// Flags of `enum procmap_query_flags`, `linux/fs.h`.
const VMA_READABLE: u64 = 0x01;
const VMA_WRITABLE: u64 = 0x02;

mod ioctl {
    use super::ProcmapQuery;

    // `PROCMAP_QUERY`, `linux/fs.h`: _IOWR('f', 17, struct procmap_query).
    nix::ioctl_readwrite!(procmap_query, b'f', 17, ProcmapQuery);
}

impl Protection {
    /// The protection that this `/proc/<pid>/maps` tells of.
    #[must_use]
    pub fn new(maps: File) -> Self {
        Self { maps, queries: AtomicBool::new(true), text: Mutex::default() }
    }

    /// The same, never by queries: as on a kernel that has none.
    #[must_use]
    pub fn by_text(maps: File) -> Self {
        Self { queries: AtomicBool::new(false), ..Self::new(maps) }
    }

    /// How many of `len` bytes at `address` may be used so, from the first on.
    #[must_use]
    pub fn allowed(&self, wanted: Wanted, address: u64, len: usize) -> usize {
        let end = address.saturating_add(len as u64);
        let at = Cell::new(address);
        let step = |mapping: Mapping| {
            if mapping.allows(wanted) {
                at.set(mapping.end.min(end));
            }
            mapping.allows(wanted) && at.get() < end
        };
        // Relaxed: a hint; who sees it late is refused once more.
        if self.queries.load(Ordering::Relaxed) {
            loop {
                match self.query(at.get()) {
                    Ok(mapping) if step(mapping) => {}
                    Err(Errno::ENOTTY | Errno::EINVAL) => {
                        self.queries.store(false, Ordering::Relaxed);
                        return self.allowed(wanted, address, len);
                    }
                    _ => break,
                }
            }
        } else {
            self.walk(&at, step);
        }
        usize::try_from(at.get() - address).unwrap_or(len)
    }

    /// The mapping that has `address`.
    fn query(&self, address: u64) -> Result<Mapping, Errno> {
        let mut query =
            ProcmapQuery { size: size_of::<ProcmapQuery>() as u64, query_addr: address, ..ProcmapQuery::default() };
        // SAFETY: the structure is as long as it says, and asks for no name and no build id, so the kernel writes nothing else.
        unsafe { ioctl::procmap_query(self.maps.as_raw_fd(), &raw mut query) }?;
        Ok(Mapping {
            end: query.vma_end,
            readable: query.vma_flags & VMA_READABLE != 0,
            writable: query.vma_flags & VMA_WRITABLE != 0,
        })
    }

    /// Goes through the text, from the mapping that has the address on, without gaps, as long as `step` says so.
    fn walk(&self, at: &Cell<u64>, mut step: impl FnMut(Mapping) -> bool) {
        let _one = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        let mut offset = 0;
        loop {
            let count = match self.maps.read_at(&mut chunk, offset) {
                Ok(0) | Err(_) => return,
                Ok(count) => count,
            };
            offset += count as u64;
            text.extend_from_slice(&chunk[..count]);
            while let Some(newline) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=newline).collect();
                let Some((start, mapping)) = parse(&line) else { return };
                if mapping.end <= at.get() {
                    continue;
                }
                if start > at.get() || !step(mapping) {
                    return;
                }
            }
        }
    }
}

/// Reads a line of the text: `start-end perms …`, in hexadecimal (`proc_pid_maps(5)`).
fn parse(line: &[u8]) -> Option<(u64, Mapping)> {
    // The name at the end may be anything; all that counts is in front.
    let text = str::from_utf8(line.get(..line.len().min(64))?.split(|byte| *byte == b'\n').next()?)
        .or_else(|error| str::from_utf8(&line[..error.valid_up_to()]))
        .ok()?;
    let (range, rest) = text.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let permissions = rest.as_bytes();
    Some((
        u64::from_str_radix(start, 16).ok()?,
        Mapping {
            end: u64::from_str_radix(end, 16).ok()?,
            readable: permissions.first() == Some(&b'r'),
            writable: permissions.get(1) == Some(&b'w'),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whatever_the_name_is() {
        let line = b"7f0000000000-7f0000002000 rw-p 00000000 00:01 7          /memfd:\xff\xfe (deleted)\n";
        let (start, mapping) = parse(line).expect("a line");
        assert_eq!(start, 0x7f00_0000_0000);
        assert_eq!(mapping, Mapping { end: 0x7f00_0000_2000, readable: true, writable: true });
        assert_eq!(parse(b"1000-2000 ---p 0 00:00 0\n").map(|(_, mapping)| mapping.readable), Some(false));
        for bad in [&b""[..], b"\n", b"1000 rw-p\n", b"x-y rw-p\n", b"\xff\xff\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
