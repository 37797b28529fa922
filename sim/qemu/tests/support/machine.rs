//! A machine: frames, page tables, an IOMMU that translates and passes page requests on, and the system that answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Duration;

use uaccel_qemu::{Emulator, Function, PAGE, Place, Refusal, Translation};

/// Bytes of a large page.
const LARGE: u64 = 2 << 20;

/// What a process may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    Read,
    Write,
}

/// A page of a process.
#[derive(Clone, Copy, Debug)]
struct Entry {
    frame: usize,
    rights: Rights,
    /// Whether the IOMMU finds it, or somebody has to bring it in first.
    present: bool,
}

/// A page request that was not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub pasid: u32,
    pub page: u64,
    pub group: u16,
    pub write: bool,
}

/// Something that happens in the middle of a call.
type Act = Box<dyn FnOnce(&dyn Function) + Send>;

#[derive(Default)]
struct State {
    frames: Vec<Box<[u8]>>,
    entries: BTreeMap<(u32, u64), Entry>,
    dead: BTreeSet<u32>,
    watched: BTreeSet<u32>,
    /// Processes whose pages are parts of large ones.
    large: BTreeSet<u32>,
    requests: Vec<Request>,
    /// The most requests that were out at a time.
    most_requests: usize,
    interrupts: Vec<usize>,
    accesses: usize,
    host: Option<Weak<dyn Function>>,
    /// Called once, in the middle of the next translation.
    during_translation: Option<Act>,
    /// Called once, in the middle of the next read.
    during_read: Option<Act>,
}

/// A machine. The thread of the test is its big lock.
pub struct Machine {
    state: Mutex<State>,
    scheduled: Mutex<bool>,
    bell: Condvar,
    allocation: Mutex<u32>,
    master: Mutex<bool>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            scheduled: Mutex::default(),
            bell: Condvar::new(),
            allocation: Mutex::new(32),
            master: Mutex::new(true),
        }
    }
}

impl Machine {
    pub fn connect(&self, host: &Arc<dyn Function>) {
        self.state().host = Some(Arc::downgrade(host));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn host(&self) -> Arc<dyn Function> {
        self.state().host.as_ref().and_then(Weak::upgrade).expect("the function is there")
    }

    /// How many page requests the system allows; 0 disables them.
    pub fn allow_requests(&self, allocation: u32) {
        *self.allocation.lock().unwrap() = allocation;
    }

    pub fn set_master(&self, on: bool) {
        *self.master.lock().unwrap() = on;
    }

    /// Gives a process a large page with one byte all over it.
    pub fn map_large(&self, pasid: u32, page: u64, byte: u8) {
        let count = LARGE / PAGE;
        assert!(page.is_multiple_of(LARGE));
        // Frames of a large page lie side by side, aligned to their size.
        while !self.state().frames.len().is_multiple_of(count as usize) {
            self.state().frames.push(Box::default());
        }
        self.map(pasid, page, count, Rights::Write);
        let mut state = self.state();
        state.frames.iter_mut().rev().take(count as usize).for_each(|frame| frame.fill(byte));
        state.large.insert(pasid);
    }

    /// Gives a process zeroed pages that are there.
    pub fn map(&self, pasid: u32, page: u64, count: u64, rights: Rights) {
        self.place(pasid, page, count, rights, true);
    }

    /// Gives a process zeroed pages that have to be brought in first.
    pub fn reserve(&self, pasid: u32, page: u64, count: u64, rights: Rights) {
        self.place(pasid, page, count, rights, false);
    }

    fn place(&self, pasid: u32, page: u64, count: u64, rights: Rights, present: bool) {
        let mut state = self.state();
        for page in (page..).step_by(PAGE as usize).take(count as usize) {
            let frame = state.frames.len();
            state.frames.push(vec![0; PAGE as usize].into());
            state.entries.insert((pasid, page), Entry { frame, rights, present });
        }
    }

    /// Takes pages away, and says so, as a system does that unmaps memory.
    pub fn unmap(&self, pasid: u32, page: u64, count: u64) {
        for page in (page..).step_by(PAGE as usize).take(count as usize) {
            self.state().entries.remove(&(pasid, page));
        }
        self.host().invalidated(pasid, page, count * PAGE - 1);
    }

    /// The process ends: its address space goes before its queues do. What it had asked for is to be refused.
    pub fn kill(&self, pasid: u32) -> Vec<Request> {
        let mut state = self.state();
        state.dead.insert(pasid);
        state.entries.retain(|(space, _), _| *space != pasid);
        let asked = state.requests.extract_if(.., |request| request.pasid == pasid).collect();
        drop(state);
        self.host().invalidated(pasid, 0, u64::MAX);
        asked
    }

    /// The PASID is given to a new process.
    pub fn revive(&self, pasid: u32) {
        self.state().dead.remove(&pasid);
    }

    /// Reads memory as the process does.
    pub fn peek(&self, pasid: u32, address: u64, len: usize) -> Vec<u8> {
        let state = self.state();
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = address + bytes.len() as u64;
            let entry = state.entries.get(&(pasid, at & !(PAGE - 1))).expect("the process has the page");
            let rest = &state.frames[entry.frame][(at % PAGE) as usize..];
            bytes.extend_from_slice(&rest[..rest.len().min(len - bytes.len())]);
        }
        bytes
    }

    /// Writes memory as the process does, which brings pages in.
    pub fn poke(&self, pasid: u32, address: u64, bytes: &[u8]) {
        let mut guard = self.state();
        let state = &mut *guard;
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done as u64;
            let entry = state.entries.get_mut(&(pasid, at & !(PAGE - 1))).expect("the process has the page");
            entry.present = true;
            let rest = &mut state.frames[entry.frame][(at % PAGE) as usize..];
            let count = rest.len().min(bytes.len() - done);
            rest[..count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
    }

    /// Whether a process has a page.
    pub fn has(&self, pasid: u32, page: u64) -> bool {
        self.state().entries.contains_key(&(pasid, page))
    }

    pub fn word(&self, pasid: u32, address: u64) -> u64 {
        u64::from_le_bytes(self.peek(pasid, address, 8).try_into().unwrap())
    }

    /// The page requests that wait for an answer.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    pub fn most_requests(&self) -> usize {
        self.state().most_requests
    }

    /// Answers a page request as a system does: the page is brought in, unless the process does not have it or may not do that with it.
    pub fn answer(&self, request: Request) -> bool {
        let mut state = self.state();
        state.requests.retain(|other| *other != request);
        let granted = match state.entries.get_mut(&(request.pasid, request.page)) {
            Some(entry) if !request.write || entry.rights == Rights::Write => {
                entry.present = true;
                true
            }
            _ => false,
        };
        drop(state);
        self.host().page_response(request.pasid, request.group, granted);
        granted
    }

    /// Answers that the page cannot be had.
    pub fn refuse(&self, request: Request) {
        self.state().requests.retain(|other| *other != request);
        self.host().page_response(request.pasid, request.group, false);
    }

    /// Answers with success, and does nothing.
    pub fn lie(&self, request: Request) {
        self.state().requests.retain(|other| *other != request);
        self.host().page_response(request.pasid, request.group, true);
    }

    pub fn during_translation(&self, act: impl FnOnce(&dyn Function) + Send + 'static) {
        self.state().during_translation = Some(Box::new(act));
    }

    pub fn during_read(&self, act: impl FnOnce(&dyn Function) + Send + 'static) {
        self.state().during_read = Some(Box::new(act));
    }

    /// Takes the interrupts that were raised since.
    pub fn interrupts(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().interrupts)
    }

    /// How often memory was accessed.
    pub fn accesses(&self) -> usize {
        self.state().accesses
    }

    pub fn watched(&self) -> Vec<u32> {
        self.state().watched.iter().copied().collect()
    }

    /// Runs the bottom half once, if it is scheduled.
    pub fn step(&self) -> bool {
        let scheduled = std::mem::take(&mut *self.scheduled.lock().unwrap());
        if scheduled {
            self.host().run();
        }
        scheduled
    }

    /// Runs the bottom half as long as it is scheduled. What is with a worker may come later.
    pub fn run(&self) {
        while self.step() {}
    }

    /// Runs the bottom half until `done`. Page requests stay unanswered.
    pub fn run_until(&self, mut done: impl FnMut() -> bool) {
        self.drive(false, &mut done);
    }

    /// Runs the bottom half, and answers page requests, until `done`.
    pub fn live_until(&self, mut done: impl FnMut() -> bool) {
        self.drive(true, &mut done);
    }

    fn drive(&self, answering: bool, done: &mut dyn FnMut() -> bool) {
        loop {
            self.run();
            if done() {
                return;
            }
            if answering && let Some(request) = self.requests().first() {
                self.answer(*request);
                continue;
            }
            let scheduled = self.scheduled.lock().unwrap();
            let (scheduled, waited) =
                self.bell.wait_timeout_while(scheduled, Duration::from_secs(30), |scheduled| !*scheduled).unwrap();
            drop(scheduled);
            assert!(!waited.timed_out(), "nothing happens any more");
        }
    }

    fn access<T>(&self, place: Place, len: usize, act: impl FnOnce(&mut [u8]) -> T) -> Result<T, Refusal> {
        let mut state = self.state();
        state.accesses += 1;
        let (frame, offset) = ((place.address / PAGE) as usize, (place.address % PAGE) as usize);
        assert_eq!(place.memory, 7, "the address space of the translation");
        assert!(offset + len <= PAGE as usize, "an access stays in its page");
        let frame = state.frames.get_mut(frame).ok_or(Refusal::Bus(2))?;
        Ok(act(&mut frame[offset..offset + len]))
    }
}

impl Emulator for Machine {
    fn translate(&self, pasid: u32, page: u64, write: bool) -> Result<Translation, Refusal> {
        assert_eq!(page % PAGE, 0);
        let entry = {
            let state = self.state();
            state.entries.get(&(pasid, page)).copied().filter(|entry| entry.present)
        };
        let act = self.state().during_translation.take();
        if let Some(act) = act {
            act(&*self.host());
        }
        let entry = entry.ok_or(Refusal::Untranslated)?;
        if write && entry.rights == Rights::Read {
            return Err(Refusal::Untranslated);
        }
        Ok(Translation {
            place: Place { memory: 7, address: entry.frame as u64 * PAGE },
            extent: if self.state().large.contains(&pasid) { LARGE } else { PAGE },
            readable: true,
            // As VT-d does it: the right to write comes with the dirty bit, so only when it is asked for.
            writable: write,
        })
    }

    fn request_page(&self, pasid: u32, page: u64, group: u16, write: bool) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.dead.contains(&pasid) {
            return Err(Refusal::NoSpace);
        }
        assert!(state.requests.iter().all(|request| request.group != group), "a group index is used once");
        state.requests.push(Request { pasid, page, group, write });
        state.most_requests = state.most_requests.max(state.requests.len());
        Ok(())
    }

    fn page_request_allocation(&self) -> u32 {
        *self.allocation.lock().unwrap()
    }

    fn watch(&self, pasid: u32) -> Result<(), Refusal> {
        if self.state().dead.contains(&pasid) {
            return Err(Refusal::NoSpace);
        }
        assert!(self.state().watched.insert(pasid), "an address space is watched once");
        Ok(())
    }

    fn unwatch(&self, pasid: u32) {
        assert!(self.state().watched.remove(&pasid), "it was watched");
    }

    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Refusal> {
        let act = self.state().during_read.take();
        if let Some(act) = act {
            act(&*self.host());
        }
        self.access(place, into.len(), |bytes| into.copy_from_slice(bytes))
    }

    fn write(&self, place: Place, from: &[u8]) -> Result<(), Refusal> {
        self.access(place, from.len(), |bytes| bytes.copy_from_slice(from))
    }

    fn load(&self, place: Place) -> Result<u64, Refusal> {
        self.access(place, 8, |bytes| u64::from_le_bytes((&*bytes).try_into().unwrap()))
    }

    fn store(&self, place: Place, value: u64) -> Result<(), Refusal> {
        self.access(place, 8, |bytes| bytes.copy_from_slice(&value.to_le_bytes()))
    }

    fn may_access(&self) -> bool {
        *self.master.lock().unwrap()
    }

    fn interrupt(&self, vector: usize) {
        self.state().interrupts.push(vector);
    }

    fn schedule(&self) {
        *self.scheduled.lock().unwrap() = true;
        self.bell.notify_all();
    }
}
