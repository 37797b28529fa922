//! Where this process's memory is in the machine's.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The page that `/proc/PID/pagemap` has a word for.
const PAGE: usize = 4096;
/// Its bits that are the page's number; all are 0 for who may not know (`Documentation/admin-guide/mm/pagemap.rst`).
const NUMBER: u64 = (1 << 55) - 1;
/// Its bit of a page that is there.
const PRESENT: u64 = 1 << 63;

/// The physical address of memory whose pages, of size `page`, are one behind the other there too.
///
/// Nothing keeps the kernel from moving them but that they are huge and locked, which it does not move but on request.
///
/// # Errors
/// `PermissionDenied` without `CAP_SYS_ADMIN`; `Other` if the pages are not there or not in a row; or what the system says.
pub(crate) fn contiguous(start: usize, len: usize, page: usize) -> io::Result<u64> {
    let map = File::open("/proc/self/pagemap")?;
    let mut first = None;
    for offset in (0..len).step_by(page) {
        let mut word = [0; 8];
        map.read_exact_at(&mut word, ((start + offset) / PAGE * size_of::<u64>()) as u64)?;
        let word = u64::from_ne_bytes(word);
        if word & PRESENT == 0 {
            return Err(io::Error::other("a page is not there"));
        }
        let address = (word & NUMBER) * PAGE as u64;
        if address == 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it takes CAP_SYS_ADMIN"));
        }
        let first = *first.get_or_insert(address);
        if address != first + offset as u64 {
            return Err(io::Error::other(format!("{len} bytes are not in a row")));
        }
    }
    first.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
