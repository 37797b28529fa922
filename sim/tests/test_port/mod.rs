//! A memory port of the tests' own: several address spaces, and pages that are not there yet.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use uaccel_queue::{Fault, FaultKind};
use uaccel_sim::{Access, AddressSpace, MemoryPort, PageRequest};

pub const PAGE: u64 = 4096;

/// Pages by address space and number; some of them are there only after a request.
#[derive(Default)]
pub struct TestPort {
    pub pages: RefCell<HashMap<(u32, u64), Vec<u8>>>,
    absent: RefCell<HashSet<(u32, u64)>>,
    pub requests: RefCell<Vec<(u32, u64)>>,
}

impl TestPort {
    pub fn map(&self, space: u32, address: u64, len: u64) {
        for page in address / PAGE..(address + len).div_ceil(PAGE) {
            self.pages.borrow_mut().entry((space, page)).or_insert_with(|| vec![0; usize::try_from(PAGE).unwrap()]);
        }
    }

    pub fn take_away(&self, space: u32, address: u64) {
        self.absent.borrow_mut().insert((space, address / PAGE));
    }

    /// The kernel answers a request.
    pub fn answer(&self, request: PageRequest) {
        let page = self.requests.borrow()[usize::try_from(request.0).unwrap()];
        self.absent.borrow_mut().remove(&page);
    }

    pub fn poke(&self, space: u32, address: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            done += self.write(AddressSpace(space), address + done as u64, &bytes[done..]).ready().unwrap();
        }
    }

    pub fn peek(&self, space: u32, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            done += self.read(AddressSpace(space), address + done as u64, &mut bytes[done..]).ready().unwrap();
        }
        bytes
    }

    pub fn peek_word(&self, space: u32, address: u64) -> u64 {
        u64::from_le_bytes(self.peek(space, address, 8).try_into().unwrap())
    }

    /// Does something to the rest of a page, from `address` on.
    fn touch<T>(&self, space: u32, address: u64, kind: FaultKind, f: impl FnOnce(&mut [u8]) -> T) -> Access<T> {
        let page = (space, address / PAGE);
        if self.absent.borrow().contains(&page) {
            let mut requests = self.requests.borrow_mut();
            requests.push(page);
            return Access::Pending(PageRequest(requests.len() as u64 - 1));
        }
        match self.pages.borrow_mut().get_mut(&page) {
            Some(bytes) => Access::Ready(f(&mut bytes[usize::try_from(address % PAGE).unwrap()..])),
            None => Access::Fault(Fault { address, kind }),
        }
    }
}

impl MemoryPort for TestPort {
    fn observe(&self, space: AddressSpace, address: u64) -> Access<u64> {
        self.touch(space.0, address, FaultKind::Read, |bytes| u64::from_le_bytes(bytes[..8].try_into().unwrap()))
    }

    fn read(&self, space: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        self.touch(space.0, address, FaultKind::Read, |bytes| {
            let len = into.len().min(bytes.len());
            into[..len].copy_from_slice(&bytes[..len]);
            len
        })
    }

    fn write(&self, space: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        self.touch(space.0, address, FaultKind::Write, |bytes| {
            let len = from.len().min(bytes.len());
            bytes[..len].copy_from_slice(&from[..len]);
            len
        })
    }

    fn publish(&self, space: AddressSpace, address: u64, value: u64) -> Access<()> {
        self.touch(space.0, address, FaultKind::Write, |bytes| bytes[..8].copy_from_slice(&value.to_le_bytes()))
    }
}
