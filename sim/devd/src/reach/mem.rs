//! A client's memory by descriptor.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{Binding, Gate, Protection, Wanted};

/// A client's memory by the descriptor of its own `/proc/self/mem`, which it passed.
///
/// The descriptor is bound to the address space and needs no right over the process; it ends when the process ends or executes another
/// program. It ignores the protection of pages, so that is [asked for](Protection) first. A client that changes a protection meanwhile can be read and
/// written as before the change; it is its own memory.
#[derive(Debug)]
pub struct Mem {
    mem: File,
    protection: Protection,
}

impl Mem {
    /// The memory that is bound, if the gate is there.
    #[must_use]
    pub fn new(binding: Binding, gate: Gate) -> Option<Self> {
        let (mem, maps) = binding.into_files();
        Self::with(mem, Protection::new(maps), gate)
    }

    /// The same with this way to ask for protection.
    #[must_use]
    pub fn with(mem: File, protection: Protection, gate: Gate) -> Option<Self> {
        let reach = Self { mem, protection };
        let mut found = [0; Gate::SIZE];
        let there = reach.read(gate.address(), &mut found) == Some(found.len()) && found == gate.bytes();
        (there && reach.write(gate.address(), &found) == Some(found.len())).then_some(reach)
    }

    /// As [`Reach::read`](super::Reach::read).
    #[must_use]
    pub fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        let allowed = self.protection.allowed(Wanted::Read, address, into.len());
        let moved = self.mem.read_at(into.get_mut(..allowed)?, address).ok()?;
        (moved > 0).then_some(moved)
    }

    /// As [`Reach::read_vouched`](super::Reach::read_vouched).
    #[must_use]
    pub fn read_vouched(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.mem.read_at(into, address).ok().filter(|moved| *moved > 0)
    }

    /// As [`Reach::write_vouched`](super::Reach::write_vouched).
    #[must_use]
    pub fn write_vouched(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.mem.write_at(from, address).ok().filter(|moved| *moved > 0)
    }

    /// As [`Reach::write`](super::Reach::write).
    #[must_use]
    pub fn write(&self, address: u64, from: &[u8]) -> Option<usize> {
        let allowed = self.protection.allowed(Wanted::Write, address, from.len());
        let moved = self.mem.write_at(from.get(..allowed)?, address).ok()?;
        (moved > 0).then_some(moved)
    }
}
