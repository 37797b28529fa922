//! Memory whose pages do not come: it stalls its own client, and nobody else.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use uaccel_runtime::{Builder, Error, OwnedWork};

use crate::bench::eventually;
use crate::pages::{PAGE, Pages};
use crate::process::Tongue;
use crate::server::Server;
use crate::workload::Workload;

/// `UFFD_API`, `include/uapi/linux/userfaultfd.h`.
const API: u64 = 0xAA;
/// `UFFDIO_API`: `_IOWR(0xAA, 0x3F, struct uffdio_api)`, 24 bytes.
const IOCTL_API: libc::Ioctl = 0xC018_AA3F_u32 as libc::Ioctl;
/// `UFFDIO_REGISTER`: `_IOWR(0xAA, 0x00, struct uffdio_register)`, 32 bytes.
const IOCTL_REGISTER: libc::Ioctl = 0xC020_AA00_u32 as libc::Ioctl;
/// `UFFDIO_REGISTER_MODE_MISSING`.
const MISSING: u64 = 1;

/// Pages that nobody brings in: whoever touches one waits.
struct Bottomless {
    pages: Pages,
    faults: OwnedFd,
}

impl Bottomless {
    fn new() -> std::io::Result<Self> {
        // Faults of system calls, too, as a memory call of the daemon is one: for that it takes a privilege, or the system's permission.
        // SAFETY: a system call without pointers.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: just opened, and nobody else's.
        let faults = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) };
        let pages = Pages::untouched_small(16 * PAGE);
        // struct uffdio_api: api, features, ioctls.
        let mut api = [API, 0, 0];
        // struct uffdio_register: start, length, mode, ioctls.
        let mut range = [pages.start().addr() as u64, 16 * PAGE as u64, MISSING, 0];
        // SAFETY: both structures are as the kernel has them, and live across the calls.
        let results = unsafe {
            [
                libc::ioctl(faults.as_raw_fd(), IOCTL_API, api.as_mut_ptr()),
                libc::ioctl(faults.as_raw_fd(), IOCTL_REGISTER, range.as_mut_ptr()),
            ]
        };
        if results != [0, 0] {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { pages, faults })
    }
}

/// A client with a job that writes such memory.
pub(crate) fn role(tongue: &Tongue, builder: &Builder) {
    let bottomless = match Bottomless::new() {
        Ok(pages) => pages,
        Err(error) => {
            tongue.say(&format!("impossible: {error}"));
            return;
        }
    };
    let Bottomless { pages, faults } = bottomless;
    let runtime = builder.clone().queues(1).build().expect("a runtime on the daemon");
    tongue.say("ready");
    // It owns its memory: a call that borrowed it could not return, since the daemon is in the middle of it.
    let job = runtime.submit(OwnedWork::copy(vec![1; PAGE], pages)).map_err(|rejected| rejected.error);
    let finished = job.expect("submitted").wait();
    assert!(matches!(finished.result, Err(Error::Lost { .. })), "{:?}", finished.result);
    assert!(finished.buffers.is_none(), "the daemon is still at it");
    tongue.say("failed");
    tongue.hear();
    drop(faults);
}

#[test]
fn memory_that_does_not_answer_stalls_and_fails_its_client_alone() {
    let mut server = Server::with("impatient");
    let bystander = server.builder().queues(1).build().expect("a runtime");
    let workload = Workload::new(&bystander, 1);
    let mut lease = bystander.lease().expect("a queue");
    let mut client = server.client("blocked", "");
    match client.hear().as_str() {
        "ready" => {}
        why => {
            println!("SKIPPED: no memory whose pages do not come: {why}");
            return;
        }
    }
    for round in 0..20 {
        workload.round(&mut lease, round).expect("others go on while it waits");
    }
    client.expect("failed");
    for round in 0..20 {
        workload.round(&mut lease, round).expect("others go on afterwards");
    }
    assert_eq!(bystander.counters().resets, 0);
    client.kill();
    eventually("it is gone", || server.status().clients.len() == 1);
    workload.round(&mut lease, 99).expect("others go on");
}

#[test]
fn as_many_clients_as_there_are_threads_and_more_can_be_blocked() {
    let mut server = Server::with("impatient");
    let bystander = server.builder().queues(1).build().expect("a runtime");
    let workload = Workload::new(&bystander, 1);
    let mut lease = bystander.lease().expect("a queue");
    let mut clients: Vec<_> = (0..6).map(|_| server.client("blocked", "")).collect();
    for client in &mut clients {
        let line = client.hear();
        if line != "ready" {
            println!("SKIPPED: no memory whose pages do not come: {line}");
            return;
        }
    }
    for round in 0..20 {
        workload.round(&mut lease, round).expect("others go on while they wait");
    }
    clients.iter_mut().for_each(|client| client.expect("failed"));
    clients.iter_mut().for_each(crate::process::Process::kill);
    server.await_clients(1, 1);
    workload.round(&mut lease, 99).expect("others go on");
    assert_eq!(bystander.counters().resets, 0);
}
