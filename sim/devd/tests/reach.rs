//! The way to another process's memory: what is read and written, and what is not.

mod support;

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use uaccel_devd::reach::{Binding, Gate, Mem, Protection, Reach, Vectored};
use uaccel_sim::{ReadPart, WritePart};

use support::process::{self, Process, command, orders, report};

const PAGE: usize = 4096;
/// Where the other process has its memory: two pages to read and write, one to read, one for nothing, none.
const BASE: u64 = 0x2000_0000_0000;
const READ_ONLY: u64 = BASE + 2 * PAGE as u64;
const CLOSED: u64 = READ_ONLY + PAGE as u64;
const NOTHING: u64 = CLOSED + PAGE as u64;

/// A page of a file that the other process may only read, and shares with whoever has the file.
const SHARED: u64 = BASE + (1 << 29);

/// A gate that two processes have.
const TWIN: u64 = BASE + (1 << 30);
const TWIN_CANARY: [u64; 2] = [0x7717_7717, 0x7718_7718];

#[test]
#[ignore = "the other process of the tests here"]
fn other_process() {
    let Some((role, argument)) = process::role() else { return };
    let fill: u8 = argument.parse().expect("a byte");
    let map = |at: u64, len: usize, protection| {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
        let (at, len) = (NonZeroUsize::new(at.try_into().unwrap()), NonZeroUsize::new(len).unwrap());
        // SAFETY: fresh pages where there were none.
        unsafe { mmap_anonymous(at, len, protection, flags) }.expect("memory")
    };
    let all = map(BASE, 4 * PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    // SAFETY: fresh pages of this process, changed and protected before anybody else knows them; later they are read as raw bytes.
    unsafe {
        all.cast::<u8>().as_ptr().write_bytes(fill, 4 * PAGE);
        mprotect(all.byte_add(2 * PAGE), PAGE, ProtFlags::PROT_READ).expect("protection");
        mprotect(all.byte_add(3 * PAGE), PAGE, ProtFlags::PROT_NONE).expect("protection");
    }
    let file = memfd_create("shared", MFdFlags::MFD_CLOEXEC).map(File::from).expect("a file");
    file.set_len(PAGE as u64).expect("a page");
    let file = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("the same, to be read");
    let (at, len) = (NonZeroUsize::new(SHARED.try_into().unwrap()), NonZeroUsize::new(PAGE).unwrap());
    // SAFETY: a fresh page where there was none.
    unsafe { mmap(at, len, ProtFlags::PROT_READ, MapFlags::MAP_SHARED | MapFlags::MAP_FIXED_NOREPLACE, file, 0) }
        .expect("memory");
    let gate = support::Gate::new();
    if role == "twin" {
        // What a child made by fork has: another's gate in memory of its own.
        let twin = map(TWIN, PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE).cast::<[u64; 2]>();
        // SAFETY: a fresh page.
        unsafe { twin.write(TWIN_CANARY) };
    }
    report(&format!("{} {} {}", gate.address(), gate.canary[0], gate.canary[1]));
    for order in orders() {
        match order.as_str() {
            // The bytes that are not as they were.
            "changed" => {
                // SAFETY: three readable pages; who writes them has been answered.
                let bytes = unsafe { std::slice::from_raw_parts(all.cast::<u8>().as_ptr(), 3 * PAGE) };
                report(&bytes.iter().filter(|byte| **byte != fill).count().to_string());
            }
            "ungate" => {
                let page = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut(
                    usize::try_from(gate.address()).unwrap(),
                ));
                // SAFETY: the page of the gate, which nothing here uses any more.
                unsafe { munmap(page.unwrap(), PAGE) }.expect("the gate's page");
                report("done");
            }
            "exec" => panic!("no other program: {}", command("memory", "238").exec()),
            other => panic!("'{other}'?"),
        }
    }
    // The gate may not be there any more.
    std::process::exit(0);
}

/// Another process with memory, and the ways to it.
struct Target {
    process: Process,
    gate: Gate,
}

impl Target {
    fn start() -> Self {
        Self::playing("memory")
    }

    fn playing(role: &str) -> Self {
        let mut process = Process::start(role, "17");
        let words: Vec<u64> = process.hear().split(' ').map(|word| word.parse().unwrap()).collect();
        let gate = Gate::new(words[0], [words[1], words[2]]).expect("a gate");
        Self { process, gate }
    }

    fn mem(&self) -> File {
        let path = format!("/proc/{}/mem", self.process.pid());
        OpenOptions::new().read(true).write(true).open(path).expect("the memory of a child")
    }

    fn maps(&self) -> File {
        File::open(format!("/proc/{}/maps", self.process.pid())).expect("the mappings of a child")
    }

    fn vectored(&self) -> Reach {
        let binding = Binding::verify(self.mem().into(), self.maps().into()).expect("the right descriptors");
        let reach = Reach::establish(Some(self.process.pid()), binding, self.gate).expect("a way");
        assert_eq!(reach.name(), "vectored", "a child of one's own can be reached by number");
        reach.guard_reads();
        reach
    }

    /// Every way there is, and the short cut for those who vouch for their memory.
    fn all_ways(&self) -> Vec<(&'static str, Box<dyn Way>)> {
        let mut ways = self.ways();
        ways.push(("vouched", Box::new(Vouched(self.vectored()))));
        ways
    }

    /// Every way there is.
    fn ways(&self) -> Vec<(&'static str, Box<dyn Way>)> {
        let binding = Binding::verify(self.mem().into(), self.maps().into()).expect("the right descriptors");
        let mem = Reach::establish(None, binding, self.gate).expect("a way");
        assert_eq!(mem.name(), "mem");
        let text = Mem::with(self.mem(), Protection::by_text(self.maps()), self.gate).expect("a way");
        vec![("vectored", Box::new(self.vectored())), ("mem", Box::new(mem)), ("mem by text", Box::new(text))]
    }

    fn changed(&mut self) -> usize {
        self.process.ask("changed").parse().unwrap()
    }
}

trait Way {
    fn get(&self, address: u64, into: &mut [u8]) -> Option<usize>;
    fn put(&self, address: u64, from: &[u8]) -> Option<usize>;

    /// Reads as far as it goes: how many bytes.
    fn get_all(&self, address: u64, into: &mut [u8]) -> usize {
        let mut done = 0;
        while done < into.len() {
            match self.get(address + done as u64, &mut into[done..]) {
                Some(count) => done += count,
                None => break,
            }
        }
        done
    }

    fn put_all(&self, address: u64, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            match self.put(address + done as u64, &from[done..]) {
                Some(count) => done += count,
                None => break,
            }
        }
        done
    }
}

impl Way for Reach {
    fn get(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.read(address, into)
    }

    fn put(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.write(address, from)
    }
}

impl Way for Mem {
    fn get(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.read(address, into)
    }

    fn put(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.write(address, from)
    }
}

/// The way of a client that vouches for its memory.
struct Vouched(Reach);

impl Way for Vouched {
    fn get(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.0.read_vouched(address, into)
    }

    fn put(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.0.write_vouched(address, from)
    }
}

#[test]
fn memory_is_read_and_written_on_every_way() {
    let mut target = Target::start();
    for (index, (name, way)) in target.all_ways().into_iter().enumerate() {
        let at = BASE + 4000 + index as u64 * 500;
        let mut bytes = [0; 300];
        assert_eq!(way.get_all(at, &mut bytes), 300, "{name}");
        assert_eq!(bytes, [17; 300], "{name}");
        let marks: Vec<u8> = (0..=255).filter(|byte| *byte != 17).take(200).collect();
        assert_eq!(way.put_all(at, &marks), 200, "{name}");
        assert_eq!(way.get_all(at, &mut bytes), 300, "{name}");
        assert_eq!((&bytes[..200], &bytes[200..]), (&marks[..], &[17; 100][..]), "{name}");
        assert_eq!(target.changed(), 200 * (index + 1), "{name}");
    }
}

#[test]
fn pages_that_are_closed_to_their_process_are_closed_to_the_device() {
    let mut target = Target::start();
    for (name, way) in target.ways() {
        let mut bytes = [0; 64];
        assert_eq!(way.get(CLOSED, &mut bytes), None, "{name}");
        assert_eq!(way.put(CLOSED, &[1; 64]), None, "{name}");
        assert_eq!(way.get(READ_ONLY, &mut bytes), Some(64), "{name}");
        assert_eq!(bytes, [17; 64], "{name}");
        assert_eq!(way.put(READ_ONLY, &[1; 64]), None, "{name}");
        assert_eq!(bytes, [17; 64], "{name}");
    }
    assert_eq!(target.changed(), 0);
}

/// What a client that vouches wrongly gets is its own, and nobody else's.
#[test]
fn memory_that_is_vouched_for_is_not_asked_about() {
    let mut target = Target::start();
    let reach = target.vectored();
    let mut bytes = [0; 64];
    assert_eq!(reach.read_vouched(CLOSED, &mut bytes), Some(64));
    assert_eq!(bytes, [17; 64]);
    assert_eq!(reach.write_vouched(READ_ONLY, &[1; 64]), Some(64), "a private page, as it could do by itself");
    assert_eq!(target.changed(), 64);
    assert_eq!(reach.read_vouched(SHARED, &mut bytes), Some(64));
    assert_eq!(reach.write_vouched(SHARED, &[1; 64]), None, "a page that others have");
    for address in [NOTHING, 0, u64::MAX - 10, 1 << 63, (1 << 47) - 8] {
        assert_eq!(reach.read_vouched(address, &mut bytes), None, "{address:#x}");
        assert_eq!(reach.write_vouched(address, &[1; 64]), None, "{address:#x}");
    }
    // What is long goes by number, which looks at the protection.
    assert_eq!(reach.write_vouched(READ_ONLY, &[1; 3 * PAGE]), None);
    let mut long = vec![0; 3 * PAGE];
    assert_eq!(Vouched(reach).get_all(BASE, &mut long), 3 * PAGE);
}

#[test]
fn a_range_that_runs_out_of_its_mapping_ends_at_the_first_bad_byte() {
    let mut target = Target::start();
    for (name, way) in target.ways() {
        let mut bytes = vec![0; 5 * PAGE];
        for before in [1, 100, PAGE, PAGE + 1, 3 * PAGE] {
            assert_eq!(way.get_all(CLOSED - before as u64, &mut bytes), before, "{name}, {before}");
        }
        for before in [1, 100, PAGE, PAGE + 1] {
            assert_eq!(way.put_all(READ_ONLY - before as u64, &vec![17; 3 * PAGE]), before, "{name}, {before}");
        }
        assert_eq!(way.get(NOTHING, &mut bytes), None, "{name}");
        for address in [0, 8, BASE - 1, u64::MAX - 10, 1 << 63, 1 << 47, (1 << 47) - 8] {
            assert_eq!(way.get(address, &mut bytes[..64]), None, "{name}, {address:#x}");
            assert_eq!(way.put(address, &bytes[..64]), None, "{name}, {address:#x}");
        }
    }
    assert_eq!(target.changed(), 0);
}

#[test]
fn many_ranges_go_in_one_call_up_to_the_first_bad_one() {
    let mut target = Target::start();
    let reach = target.vectored();
    let mut buffers = vec![[0_u8; 3]; 2500];
    let address = |index: usize| BASE + index as u64 * 3;
    let mut parts: Vec<ReadPart<'_>> =
        buffers.iter_mut().enumerate().map(|(index, bytes)| ReadPart { address: address(index), bytes }).collect();
    assert_eq!(reach.read_many(&mut parts), 2500, "more than one call can take");
    parts[2000].address = CLOSED - 1;
    assert_eq!(reach.read_many(&mut parts), 2000);
    parts[0].address = NOTHING;
    assert_eq!(reach.read_many(&mut parts), 0);
    assert!(buffers.iter().all(|bytes| *bytes == [17; 3]));

    let mut parts: Vec<WritePart<'_>> =
        (0..2500).map(|index| WritePart { address: address(index), bytes: &[1, 2, 3] }).collect();
    parts[1500].address = READ_ONLY;
    assert_eq!(reach.write_many(&parts), 1500);
    assert_eq!(target.changed(), 1500 * 3);
}

#[test]
fn another_program_in_the_same_process_is_neither_read_nor_written() {
    let mut target = Target::start();
    let ways = target.all_ways();
    // It has the same addresses, with other bytes.
    target.process.ask("exec");
    for (name, way) in ways {
        let mut bytes = [0; 64];
        assert_eq!(way.get(BASE, &mut bytes), None, "{name}");
        assert_eq!(bytes, [0; 64], "{name}");
        assert_eq!(way.put(BASE, &[1; 64]), None, "{name}");
    }
    let fresh = Target { gate: target.gate, process: target.process };
    assert!(Vectored::new(fresh.process.pid(), fresh.gate).is_err(), "the gate is gone");
    let mut fresh = fresh;
    assert_eq!(fresh.changed(), 0, "not a byte was written");
}

#[test]
fn a_process_that_has_ended_is_a_bad_address() {
    let mut target = Target::start();
    let ways = target.all_ways();
    target.process.kill();
    for (name, way) in ways {
        assert_eq!(way.get(BASE, &mut [0; 64]), None, "{name}");
        assert_eq!(way.put(BASE, &[1; 64]), None, "{name}");
    }
}

/// Without its gate a process is as good as another one that was given the same number.
#[test]
fn without_the_gate_nothing_is_reached_by_number() {
    let mut target = Target::start();
    let reach = target.vectored();
    let binding = Binding::verify(target.mem().into(), target.maps().into()).expect("the right descriptors");
    let unguarded = Reach::establish(Some(target.process.pid()), binding, target.gate).expect("a way");
    target.process.ask("ungate");
    assert_eq!(unguarded.write(BASE, &[1; 64]), None, "writes are guarded whatever reads are");
    let mut bytes = [0; 64];
    assert_eq!(reach.read(BASE, &mut bytes), None);
    assert_eq!(reach.write(BASE, &[1; 64]), None);
    assert_eq!(reach.write_many(&[WritePart { address: BASE, bytes: &[1; 8] }]), 0);
    assert_eq!(reach.read_many(&mut [ReadPart { address: BASE, bytes: &mut bytes }]), 0);
    assert_eq!(target.changed(), 0);
}

#[test]
fn a_way_needs_the_canary_behind_both() {
    let target = Target::start();
    let wrong = Gate::new(target.gate.address(), [1, 2]).unwrap();
    assert!(Vectored::new(target.process.pid(), wrong).is_err());
    let binding = || Binding::verify(target.mem().into(), target.maps().into()).expect("the right descriptors");
    assert!(Reach::establish(None, binding(), wrong).is_err());
    // What the pages are filled with, so the canary would be right there.
    let filled = |address| Gate::new(address, [0x1111_1111_1111_1111; 2]).unwrap();
    assert!(Reach::establish(Some(target.process.pid()), binding(), filled(BASE)).is_ok());
    for address in [READ_ONLY, CLOSED, NOTHING] {
        assert!(Vectored::new(target.process.pid(), filled(address)).is_err(), "{address:#x}");
        assert!(Reach::establish(None, binding(), filled(address)).is_err(), "{address:#x}");
    }
    for (address, canary) in [(0, [1, 1]), (16, [1, 1]), (1 << 56, [1, 1]), (4096, [0, 1])] {
        assert_eq!(Gate::new(address, canary), None, "{address:#x}");
    }
}

/// A child made by `fork` has its parent's gate, and may use its parent's connection: by the number the parent would be reached.
#[test]
fn the_number_must_lead_to_the_memory_that_is_bound() {
    let (mut parent, child) = (Target::playing("twin"), Target::playing("twin"));
    let gate = Gate::new(TWIN, TWIN_CANARY).unwrap();
    let binding = |target: &Target| Binding::verify(target.mem().into(), target.maps().into()).unwrap();
    assert!(Vectored::new(parent.process.pid(), gate).is_ok(), "the gate alone does not tell them apart");
    let reach = Reach::establish(Some(parent.process.pid()), binding(&child), gate).expect("a way");
    assert_eq!(reach.name(), "mem");
    assert_eq!(reach.write(BASE, &[1; 64]), Some(64));
    assert_eq!(parent.changed(), 0);
    let reach = Reach::establish(Some(child.process.pid()), binding(&child), gate).expect("a way");
    assert_eq!(reach.name(), "vectored");
    let mut scratch = [1; 32];
    assert_eq!(reach.read(TWIN + 16, &mut scratch), Some(32));
    assert_eq!(scratch, [0; 32], "the server leaves the page as it was");
}
