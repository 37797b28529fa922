//! Memory that a client registers: which is taken, and how it is used.

mod support;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;
use uaccel_devd_protocol::{Refusal, Reply, Request};
use uaccel_queue::{Operation, Status};
use uaccel_warp_abi::Descriptor;

use support::client::{Client, refusal};
use support::hand::{job, ok, pattern};
use support::{Server, skip};

const PAGE: usize = 4096;
const FIXED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

fn memory(len: usize, flags: MFdFlags, seals: SealFlag) -> OwnedFd {
    let fd = memfd_create(c"window", flags | MFdFlags::MFD_ALLOW_SEALING).expect("memory");
    ftruncate(&fd, len.try_into().unwrap()).expect("a length");
    fcntl(&fd, FcntlArg::F_ADD_SEALS(seals)).expect("seals");
    fd
}

fn sealed(len: usize) -> OwnedFd {
    memory(len, MFdFlags::MFD_CLOEXEC, FIXED)
}

fn register(client: &Client, address: u64, len: usize, fd: BorrowedFd<'_>) -> Reply {
    client.ask_with(&Request::Window { address, len: len as u64 }, &[fd]).0
}

/// A sealed file, mapped.
struct Window {
    fd: OwnedFd,
    map: MmapRaw,
}

impl Window {
    fn new(len: usize) -> Self {
        let fd = sealed(len);
        let map = MmapOptions::new().len(len).map_raw(&fd).expect("a mapping");
        Self { fd, map }
    }

    fn address(&self) -> u64 {
        self.map.as_ptr().expose_provenance() as u64
    }

    fn fill(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.map.len());
        // SAFETY: inside of the mapping; no job is in flight.
        unsafe { self.map.as_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        assert!(at + len <= self.map.len());
        // SAFETY: inside of the mapping; no job is in flight.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(at), len) }.to_vec()
    }

    fn register(&self, client: &Client) -> u64 {
        match register(client, self.address(), self.map.len(), self.fd.as_fd()) {
            Reply::Window { id } => id,
            other => panic!("no window: {other:?}"),
        }
    }
}

fn copy(token: u32, source: u64, destination: u64, len: usize) -> Descriptor {
    let len = len.try_into().unwrap();
    Descriptor { source, destination, source_len: len, destination_len: len, ..job(token, Operation::Copy) }
}

#[test]
fn jobs_work_on_windows_and_between_them_and_other_memory() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let (one, two) = (Window::new(8 * PAGE), Window::new(8 * PAGE));
    let data = pattern(8 * PAGE);
    one.fill(&data);
    let ids = [one.register(&client), two.register(&client)];
    assert_eq!(server.daemon.status().clients[0].windows, 2);
    // From window to window.
    assert_eq!(hand.run(&copy(1, one.address() + 5, two.address() + 100, 20_000)), ok(1, 20_000, 20_000));
    assert_eq!(two.bytes(100, 20_000), data[5..20_005]);
    // Within one, over itself.
    assert_eq!(hand.run(&copy(2, two.address() + 100, two.address() + 200, 10_000)), ok(2, 10_000, 10_000));
    assert_eq!(two.bytes(200, 10_000), data[5..10_005]);
    // To ordinary memory and back.
    let mut ordinary = vec![0_u8; 10_000];
    let there = ordinary.as_mut_ptr().expose_provenance() as u64;
    assert_eq!(hand.run(&copy(3, one.address() + 1, there, 10_000)), ok(3, 10_000, 10_000));
    assert_eq!(ordinary, data[1..10_001]);
    ordinary.fill(9);
    assert_eq!(hand.run(&copy(4, there, two.address(), 10_000)), ok(4, 10_000, 10_000));
    assert_eq!(two.bytes(0, 10_000), [9; 10_000]);
    // When they are given up, the same memory is reached by the address space.
    for id in ids {
        assert_eq!(client.ask(&Request::Unwindow { id }), Reply::Done);
        assert_eq!(refusal(&client.ask(&Request::Unwindow { id })), Some(Refusal::BadRequest));
    }
    assert_eq!(hand.run(&copy(5, one.address(), two.address(), 8 * PAGE)), ok(5, 8 * PAGE, 8 * PAGE));
    assert_eq!(two.bytes(0, 8 * PAGE), data);
}

/// Copies from window to window take no time, whatever is taken beside them.
#[test]
fn short_copies_between_windows_are_answered_alone_and_among_other_jobs() {
    const LEN: usize = 300;
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let (one, two) = (Window::new(PAGE), Window::new(4 * PAGE));
    let data = pattern(PAGE);
    one.fill(&data);
    for window in [&one, &two] {
        window.register(&client);
    }
    assert_eq!(hand.run(&copy(1, one.address() + 7, two.address() + 9, LEN)), ok(1, LEN, LEN));
    assert_eq!(two.bytes(9, LEN), data[7..7 + LEN]);
    assert_eq!(hand.run(&copy(2, two.address() + 9, two.address() + 19, LEN)), ok(2, LEN, LEN));
    assert_eq!(two.bytes(19, LEN), data[7..7 + LEN], "over itself");
    assert_eq!(hand.run(&copy(3, one.address(), two.address(), 0)).status, Status::Ok as u8);
    let mut ordinary = vec![0_u8; LEN];
    for round in 0..50_u32 {
        two.fill(&[0; 4 * PAGE]);
        ordinary.fill(0);
        let from = 11 * round as usize;
        let to = |index: usize| two.address() + (index * LEN) as u64;
        hand.publish(&copy(10, one.address() + from as u64, to(0), LEN));
        hand.publish(&copy(11, one.address() + from as u64 + 1, to(1), LEN));
        if round % 2 == 0 {
            hand.publish(&copy(
                12,
                one.address() + from as u64 + 2,
                ordinary.as_mut_ptr().expose_provenance() as u64,
                LEN,
            ));
            hand.publish(&copy(13, 0x1000, to(3), LEN));
        }
        hand.publish(&copy(14, one.address() + from as u64 + 4, to(4), LEN));
        hand.publish(&job(15, Operation::Nop));
        hand.ring_if_wanted();
        let submitted: &[u32] = if round % 2 == 0 { &[10, 11, 12, 13, 14, 15] } else { &[10, 11, 14, 15] };
        let mut answers: Vec<_> = submitted.iter().map(|_| hand.wait()).collect();
        answers.sort_by_key(|answer| answer.token);
        for (answer, token) in answers.iter().zip(submitted) {
            assert_eq!(answer.token, job(*token, Operation::Nop).token, "round {round}");
            let status = if *token == 13 { Status::Fault } else { Status::Ok };
            assert_eq!(answer.status, status as u8, "{answer:?} in round {round}");
        }
        for index in [0, 1, 4] {
            assert_eq!(two.bytes(index * LEN, LEN), data[from + index..from + index + LEN], "{index} in round {round}");
        }
        assert_eq!(two.bytes(3 * LEN, LEN), [0; LEN]);
        let expected = if round % 2 == 0 { &data[from + 2..from + 2 + LEN] } else { &[0; LEN] };
        assert_eq!(ordinary, expected);
    }
    // The books are kept behind the answers.
    let all = (3 + 25 * 6 + 25 * 4, 25);
    support::eventually("every job is counted once", || {
        let client = &server.daemon.status().clients[0];
        (client.jobs, client.faults) == all && client.bytes > 0
    });
}

/// The bytes of a window are the file's, even where the client has mapped something else: so it is seen that the window is used.
#[test]
fn windows_are_used_in_place_one_by_one_and_in_a_burst() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let shown = Window::new(PAGE);
    shown.fill(&[1; PAGE]);
    let hidden = memory(PAGE, MFdFlags::MFD_CLOEXEC, FIXED);
    nix::unistd::write(&hidden, &[2; PAGE]).expect("bytes");
    assert!(matches!(register(&client, shown.address(), PAGE, hidden.as_fd()), Reply::Window { .. }));
    let mut rooms = vec![[0_u8; 64]; 12];
    for (index, room) in rooms.iter_mut().enumerate() {
        let source = shown.address() + 64 * index as u64;
        hand.publish(&copy(index.try_into().unwrap(), source, room.as_mut_ptr().expose_provenance() as u64, 64));
    }
    hand.ring_if_wanted();
    for _ in 0..12 {
        assert_eq!(hand.wait().status, Status::Ok as u8);
    }
    assert!(rooms.iter().all(|room| *room == [2; 64]));
    let single = rooms[0].as_mut_ptr().expose_provenance() as u64;
    assert_eq!(hand.run(&copy(99, single, shown.address(), 64)), ok(99, 64, 64));
    assert_eq!(shown.bytes(0, 64), [1; 64], "what the client has there is not touched");
}

#[test]
fn memory_that_could_go_away_is_refused() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let refused = |what: &str, fd: BorrowedFd<'_>, len: usize| {
        let reply = register(&client, 0x10_0000, len, fd);
        assert_eq!(refusal(&reply), Some(Refusal::NotPermitted), "{what}: {reply:?}");
    };
    for seals in [SealFlag::empty(), SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW] {
        refused("not sealed", memory(PAGE, MFdFlags::MFD_CLOEXEC, seals).as_fd(), PAGE);
    }
    refused("short", sealed(PAGE).as_fd(), 2 * PAGE);
    refused("empty", sealed(0).as_fd(), PAGE);
    let file = tempfile::tempfile().expect("a file");
    file.set_len(PAGE as u64).expect("a length");
    refused("a file", file.as_fd(), PAGE);
    if let Ok(file) = tempfile::tempfile_in("/dev/shm") {
        file.set_len(PAGE as u64).expect("a length");
        refused("a file of tmpfs, which may run out of room", file.as_fd(), PAGE);
    }
    let (read, _write) = nix::unistd::pipe().expect("a pipe");
    refused("a pipe", read.as_fd(), PAGE);
    refused("a device", File::open("/dev/zero").expect("zeros").as_fd(), PAGE);
    refused("the connection", client.channel.as_fd(), PAGE);
    match memfd_create(c"huge", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_HUGETLB) {
        Ok(huge) => {
            let _ = ftruncate(&huge, 2 << 20);
            let _ = fcntl(&huge, FcntlArg::F_ADD_SEALS(FIXED));
            refused("huge pages, which may not be there", huge.as_fd(), PAGE);
        }
        Err(errno) => skip("huge pages", &format!("memfd_create: {errno}")),
    }
    // Memory that nobody may write, and memory that this descriptor may not write.
    let not_writable = |fd: BorrowedFd<'_>| {
        let reply = register(&client, 0x10_0000, PAGE, fd);
        assert!(matches!(refusal(&reply), Some(Refusal::System(_))), "{reply:?}");
    };
    not_writable(memory(PAGE, MFdFlags::MFD_CLOEXEC, FIXED | SealFlag::F_SEAL_WRITE).as_fd());
    let writable = sealed(PAGE);
    let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writable));
    not_writable(File::open(name).expect("the same for reading").as_fd());
    assert!(matches!(register(&client, 0x10_0000, PAGE, writable.as_fd()), Reply::Window { .. }));
}

#[test]
fn a_registered_file_cannot_be_cut() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let window = Window::new(2 * PAGE);
    window.register(&client);
    for len in [0, 1, i64::try_from(PAGE).unwrap(), 1 << 30] {
        assert_eq!(ftruncate(&window.fd, len), Err(Errno::EPERM));
    }
    // Holes can be made: there are zeros then.
    window.fill(&[5; 2 * PAGE]);
    let mode = nix::fcntl::FallocateFlags::FALLOC_FL_PUNCH_HOLE | nix::fcntl::FallocateFlags::FALLOC_FL_KEEP_SIZE;
    nix::fcntl::fallocate(&window.fd, mode, 0, i64::try_from(PAGE).unwrap()).expect("a hole");
    assert_eq!(hand.run(&copy(1, window.address(), window.address() + PAGE as u64, PAGE)), ok(1, PAGE, PAGE));
    assert_eq!(window.bytes(PAGE, PAGE), [0; PAGE]);
}

#[test]
fn windows_have_places_of_their_own() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let fd = sealed(16 * PAGE);
    let at = |address: u64, len: usize| register(&client, address, len, fd.as_fd());
    assert!(matches!(at(0x10_0000, 4 * PAGE), Reply::Window { id: 1 }));
    for (address, len) in [(0x10_0000, PAGE), (0x10_3000, PAGE), (0xf_f000, 2 * PAGE), (0xf_f000, 16 * PAGE)] {
        assert_eq!(refusal(&at(address, len)), Some(Refusal::NotPermitted), "{address:#x}");
    }
    for (address, len) in
        [(0x20_0001, PAGE), (0x20_0000, PAGE + 1), (0x20_0000, 0), (1 << 63, PAGE), (u64::MAX - 4095, PAGE)]
    {
        assert_eq!(refusal(&at(address, len)), Some(Refusal::NotPermitted), "{address:#x}");
    }
    assert!(matches!(at(0x10_4000, PAGE), Reply::Window { .. }), "beside is no overlap");
    assert!(matches!(at(0xf_f000, PAGE), Reply::Window { .. }), "on the other side neither");
}

#[test]
fn windows_are_limited_in_number_and_bytes() {
    let server = Server::with(|config| {
        config.limits.windows_per_client = 2;
        config.limits.window_bytes_per_client = 4 * PAGE as u64;
    });
    let client = Client::bound(&server.socket());
    let fd = sealed(8 * PAGE);
    let at = |address: u64, len: usize| register(&client, address, len, fd.as_fd());
    assert_eq!(refusal(&at(0x10_0000, 5 * PAGE)), Some(Refusal::Limit));
    assert!(matches!(at(0x10_0000, 3 * PAGE), Reply::Window { id: 1 }));
    assert_eq!(refusal(&at(0x20_0000, 2 * PAGE)), Some(Refusal::Limit));
    assert!(matches!(at(0x20_0000, PAGE), Reply::Window { id: 2 }));
    assert_eq!(client.ask(&Request::Unwindow { id: 1 }), Reply::Done);
    assert!(matches!(at(0x30_0000, PAGE), Reply::Window { id: 3 }));
    assert_eq!(refusal(&at(0x40_0000, PAGE)), Some(Refusal::Limit));
    // Another client has its own.
    let other = Client::bound(&server.socket());
    assert!(matches!(register(&other, 0x10_0000, 4 * PAGE, fd.as_fd()), Reply::Window { id: 1 }));
}

#[test]
fn each_of_many_windows_is_found() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let mut fds = Vec::new();
    // In an order of their own, with gaps.
    for index in [5_u8, 0, 3, 9, 1, 7] {
        let fd = memory(PAGE, MFdFlags::MFD_CLOEXEC, FIXED);
        nix::unistd::write(&fd, &[index + 1; PAGE]).expect("bytes");
        let address = 0x1000_0000 + u64::from(index) * 0x1_0000;
        assert!(matches!(register(&client, address, PAGE, fd.as_fd()), Reply::Window { .. }));
        fds.push((index, address, fd));
    }
    let mut room = vec![0_u8; PAGE];
    let there = room.as_mut_ptr().expose_provenance() as u64;
    for (index, address, _) in &fds {
        let token = u32::from(*index);
        assert_eq!(hand.run(&copy(token, address + 1, there, PAGE - 1)), ok(token, PAGE - 1, PAGE - 1));
        assert!(room[..PAGE - 1].iter().all(|byte| *byte == index + 1));
        // Before and behind it there is nothing.
        for bad in [address - 1, address + PAGE as u64] {
            let fault = hand.run(&copy(token, bad, there, 1));
            assert_eq!(fault.answer, uaccel_warp_abi::Answer::ReadFault(bad));
        }
    }
}

#[test]
fn jobs_that_reach_beyond_a_window_work_on_what_is_there() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    // Four pages of which the two in the middle are a window.
    let all = MmapRaw::from(MmapOptions::new().len(4 * PAGE).map_anon().expect("memory"));
    let fd = sealed(2 * PAGE);
    // SAFETY: whole pages in the middle of a mapping of our own, which goes away as a whole.
    let middle = unsafe {
        nix::sys::mman::mmap(
            std::num::NonZeroUsize::new(all.as_ptr().expose_provenance() + PAGE),
            std::num::NonZeroUsize::new(2 * PAGE).unwrap(),
            nix::sys::mman::ProtFlags::PROT_READ | nix::sys::mman::ProtFlags::PROT_WRITE,
            nix::sys::mman::MapFlags::MAP_SHARED | nix::sys::mman::MapFlags::MAP_FIXED,
            &fd,
            0,
        )
    };
    let start = all.as_ptr().expose_provenance() as u64;
    assert_eq!(middle.expect("the window").addr().get() as u64, start + PAGE as u64);
    assert!(matches!(register(&client, start + PAGE as u64, 2 * PAGE, fd.as_fd()), Reply::Window { .. }));
    let data = pattern(4 * PAGE);
    let there = data.as_ptr().expose_provenance() as u64;
    assert_eq!(hand.run(&copy(1, there, start, 4 * PAGE)), ok(1, 4 * PAGE, 4 * PAGE));
    // SAFETY: inside of the mapping; no job is in flight.
    assert_eq!(unsafe { std::slice::from_raw_parts(all.as_ptr(), 4 * PAGE) }, data);
    // And back, in a burst: before, across the start, inside, across the end, behind.
    let offsets = [100, PAGE - 50, 2 * PAGE - 50, 3 * PAGE - 50, 4 * PAGE - 100];
    let mut rooms = [[0_u8; 100]; 5];
    for ((token, offset), room) in (10..).zip(offsets).zip(&mut rooms) {
        hand.publish(&copy(token, start + offset as u64, room.as_mut_ptr().expose_provenance() as u64, 100));
    }
    hand.ring_if_wanted();
    offsets.iter().for_each(|_| assert_eq!(hand.wait().status, Status::Ok as u8));
    for (offset, room) in offsets.into_iter().zip(rooms) {
        assert_eq!(room, data[offset..offset + 100], "{offset}");
    }
    // The first bad byte behind it all.
    let closed = nix::sys::mman::ProtFlags::PROT_NONE;
    let last = std::ptr::NonNull::new(all.as_mut_ptr().wrapping_add(3 * PAGE)).unwrap();
    // SAFETY: a whole page of our own that nobody here uses.
    unsafe { nix::sys::mman::mprotect(last.cast(), PAGE, closed) }.expect("protection");
    let answer = hand.run(&copy(2, there, start + 2 * PAGE as u64, 2 * PAGE)).answer;
    assert_eq!(answer, uaccel_warp_abi::Answer::WriteFault(start + 3 * PAGE as u64));
}
