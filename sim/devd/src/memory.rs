//! The memory of one client, for jobs.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use uaccel_sim::pool::JobMemory;
use uaccel_sim::{ReadPart, Span, WritePart};

use crate::reach::{Reach, Wanted};
use crate::window::{WindowError, Windows};

/// The memory of one client: what it has registered in place, everything else by the way to its address space.
#[derive(Clone, Debug)]
pub struct ClientMemory(Arc<Space>);

#[derive(Debug)]
struct Space {
    reach: Reach,
    windows: Windows,
    /// Whose it is, for the log.
    pasid: u32,
}

impl ClientMemory {
    /// The memory of address space `pasid`, which is reached so, without windows yet.
    #[must_use]
    pub fn new(reach: Reach, pasid: u32) -> Self {
        Self(Arc::new(Space { reach, windows: Windows::default(), pasid }))
    }

    /// The way to what is not registered.
    #[must_use]
    pub fn reach(&self) -> &Reach {
        &self.0.reach
    }

    /// Registers a window; see [`Windows::add`].
    ///
    /// # Errors
    /// See [`WindowError`].
    pub fn register(&self, id: u32, address: u64, len: u64, fd: BorrowedFd<'_>) -> Result<(), WindowError> {
        // What jobs write to a window is seen by whoever else has the file, without a write to the client.
        self.0.reach.guard_reads();
        self.0.windows.add(id, address, len, fd)
    }

    /// What is registered.
    #[must_use]
    pub fn windows(&self) -> &Windows {
        &self.0.windows
    }
}

impl Space {
    /// Notes a byte that cannot be had.
    fn note(&self, moved: Option<usize>, address: u64, wanted: Wanted) -> Option<usize> {
        if moved.is_none() {
            tracing::debug!(pasid = self.pasid, address = format_args!("{address:#x}"), ?wanted, "fault");
        }
        moved
    }
}

impl JobMemory for ClientMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        let Space { reach, windows, .. } = &*self.0;
        let moved = windows.read(address, into).or_else(|| reach.read(address, into));
        self.0.note(moved, address, Wanted::Read)
    }

    fn write(&self, address: u64, from: &[u8]) -> Option<usize> {
        let Space { reach, windows, .. } = &*self.0;
        let moved = windows.write(address, from).or_else(|| reach.write(address, from));
        self.0.note(moved, address, Wanted::Write)
    }

    fn read_vouched(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        let Space { reach, windows, .. } = &*self.0;
        let moved = windows.read(address, into).or_else(|| reach.read_vouched(address, into));
        self.0.note(moved, address, Wanted::Read)
    }

    fn write_vouched(&self, address: u64, from: &[u8]) -> Option<usize> {
        let Space { reach, windows, .. } = &*self.0;
        let moved = windows.write(address, from).or_else(|| reach.write_vouched(address, from));
        self.0.note(moved, address, Wanted::Write)
    }

    fn read_many(&self, parts: &mut [ReadPart<'_>]) -> usize {
        let Space { reach, windows, .. } = &*self.0;
        let mut done = 0;
        while let Some(part) = parts.get_mut(done) {
            if windows.has(part.address) {
                if windows.read(part.address, part.bytes) != Some(part.bytes.len()) {
                    break;
                }
                done += 1;
                continue;
            }
            let run = parts[done..].iter().take_while(|part| !windows.has(part.address)).count();
            let read = reach.read_many(&mut parts[done..done + run]);
            done += read;
            if read < run {
                break;
            }
        }
        done
    }

    fn write_many(&self, parts: &[WritePart<'_>]) -> usize {
        let Space { reach, windows, .. } = &*self.0;
        let mut done = 0;
        while let Some(part) = parts.get(done) {
            if windows.has(part.address) {
                if windows.write(part.address, part.bytes) != Some(part.bytes.len()) {
                    break;
                }
                done += 1;
                continue;
            }
            let run = parts[done..].iter().take_while(|part| !windows.has(part.address)).count();
            let written = reach.write_many(&parts[done..done + run]);
            done += written;
            if written < run {
                break;
            }
        }
        done
    }

    fn copy(&self, source: Span, destination: Span) -> bool {
        self.0.windows.copy(source, destination)
    }
}
