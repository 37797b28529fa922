//! What client processes do.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::mman::MapFlags;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use uaccel_runtime::{Builder, Error, Fallback, FaultKind, OwnedWork, Runtime, Work};

use crate::bench::{PATIENCE, copy, crc32c, fault, noise, run};
use crate::pages::{PAGE, Pages};
use crate::process::{Tongue, command};
use crate::workload::Workload;
use crate::{blocked_memory, hostile, server};

/// Far from where the system puts mappings.
pub(crate) const ADDRESS: usize = 0x5000_0000_0000;

/// Plays a role: its name, the daemon's socket, and arguments.
pub(crate) fn play(line: &str) {
    let words: Vec<_> = line.split_whitespace().collect();
    let [role, socket, arguments @ ..] = &words[..] else { panic!("no role: {line:?}") };
    let tongue = Tongue;
    let client = Client { tongue: &tongue, socket };
    match *role {
        "server" => server::role(&tongue, socket, arguments),
        "works" => client.works(),
        "loops" => client.loops(),
        "fixed" => client.fixed(arguments[0].parse().expect("a seed")),
        "victim" => client.victim(arguments[0].parse().expect("a number of jobs")),
        "silent" => client.silent(),
        "forks" => client.forks(),
        "changes" => client.changes(),
        "changed" => client.changed(arguments[0].parse().expect("a process")),
        "faults" => client.faults(),
        "hostile" => hostile::role(&tongue, socket, arguments[0].parse().expect("a seed")),
        "blocked" => blocked_memory::role(&tongue, &client.builder()),
        other => panic!("there is no role {other}"),
    }
}

struct Client<'t> {
    tongue: &'t Tongue,
    socket: &'t str,
}

impl Client<'_> {
    fn builder(&self) -> Builder {
        Runtime::builder().devd(self.socket).device("devd").fallback(Fallback::Never).deadline(PATIENCE)
    }

    fn runtime(&self) -> Runtime {
        self.builder().build().expect("a runtime on the daemon")
    }

    /// Does one job of each kind whenever it is told.
    fn works(&self) {
        let runtime = self.builder().queues(1).build().expect("a runtime on the daemon");
        let workload = Workload::new(&runtime, 5);
        let mut lease = runtime.lease().expect("a queue");
        self.tongue.say("ready");
        for seed in 0.. {
            if self.tongue.hear().is_none() {
                return;
            }
            workload.round(&mut lease, seed).expect("every job is done");
            self.tongue.say("done");
        }
    }

    /// Does jobs of each kind, until it is told to end.
    fn loops(&self) {
        let runtime = self.runtime();
        let workload = Workload::new(&runtime, 6);
        let mut lease = runtime.lease().expect("a queue");
        let over = Arc::new(AtomicBool::new(false));
        let told = over.clone();
        std::thread::spawn(move || {
            let _ = Tongue.hear();
            told.store(true, Ordering::SeqCst);
        });
        self.tongue.say("ready");
        let mut rounds = 0;
        while !over.load(Ordering::SeqCst) {
            workload.round(&mut lease, rounds).expect("every job is done");
            rounds += 1;
        }
        self.tongue.say("done");
    }

    /// Has other bytes at the same address as the next process.
    fn fixed(&self, seed: u64) {
        let pages = Pages::at(ADDRESS, 8 * PAGE);
        let bytes = noise(seed, 4 * PAGE);
        pages.write(0, &bytes);
        let runtime = self.runtime();
        self.tongue.say("ready");
        assert_eq!(self.tongue.hear().as_deref(), Some("go"));
        for _ in 0..200 {
            let sum = run(&runtime, &crc32c(pages.start(), 4 * PAGE)).expect("a checksum").checksum;
            assert_eq!(sum, crc32c::crc32c(&bytes), "another process's bytes were read");
            pages.write(4 * PAGE, &[0; 4 * PAGE]);
            run(&runtime, &copy(pages.start(), pages.at_offset(4 * PAGE), 4 * PAGE)).expect("a copy");
            assert!(pages.read(4 * PAGE, 4 * PAGE) == bytes, "another process's bytes were written");
        }
        self.tongue.say("done");
        self.tongue.hear();
    }

    /// Has so many jobs in flight, and waits to be killed.
    fn victim(&self, jobs: usize) {
        let runtime = self.builder().queues(1).build().expect("a runtime on the daemon");
        let futures: Vec<_> = (0..jobs)
            .map(|_| {
                let work = OwnedWork::copy(vec![7; 64 << 10], vec![0; 64 << 10]);
                runtime.submit(work).map_err(|rejected| rejected.error).expect("submitted")
            })
            .collect();
        self.tongue.say("ready");
        self.tongue.hear();
        drop(futures);
    }

    /// Fills its queue, does not look at it until it is told, and finds everything done.
    fn silent(&self) {
        let runtime = self.builder().queues(1).build().expect("a runtime on the daemon");
        let sources: Vec<_> = (0..128).map(|job| noise(job, 5000)).collect();
        let mut rooms = vec![vec![0; 5000]; 128];
        let mut lease = runtime.lease().expect("a queue");
        let mut answers = 0;
        lease
            .scope(|scope| {
                for (source, room) in sources.iter().zip(&mut rooms) {
                    scope.copy(source, room).expect("a place in the queue");
                }
                assert_eq!(scope.submit().expect("submitted"), 128);
                self.tongue.say("ready");
                self.tongue.hear();
                scope.finish(|answer| {
                    assert!(answer.is_ok(), "{:?}", answer.outcome());
                    answers += 1;
                })
            })
            .expect("a scope")
            .expect("everything was submitted");
        assert!(answers == 128 && rooms == sources);
        self.tongue.say("done");
    }

    /// Forks with a job in flight. The child is refused its parent's queue, uses its own, and the parent goes on.
    fn forks(&self) {
        let runtime = self.runtime();
        let pages = Pages::at(ADDRESS, 4 * PAGE);
        pages.write(0, &[1; 4 * PAGE]);
        let job = runtime.submit(OwnedWork::copy(vec![5; 64 << 10], vec![0; 64 << 10])).expect("submitted");
        // SAFETY: the child's threads of the runtime are gone, and it makes a runtime of its own; it leaves without running what is its parent's.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                let child = std::panic::AssertUnwindSafe(|| {
                    assert!(matches!(runtime.run(Work::nop()), Err(Error::Forked)), "the parent's queue");
                    assert!(matches!(job.wait().result, Err(Error::Forked)), "the parent's job");
                    // The parent's memory is another's, at the same address.
                    pages.write(0, &[2; 4 * PAGE]);
                    let own = self.runtime();
                    let sum = run(&own, &crc32c(pages.start(), 4 * PAGE)).expect("a checksum").checksum;
                    assert_eq!(sum, crc32c::crc32c(&[2; 4 * PAGE]));
                });
                let well = std::panic::catch_unwind(child).is_ok();
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(i32::from(!well)) }
            }
            ForkResult::Parent { child } => {
                self.tongue.say("forked");
                assert_eq!(waitpid(child, None).expect("our child"), WaitStatus::Exited(child, 0));
                let (_, output) = job.wait().into_output().expect("the parent's job is unharmed");
                assert!(output == vec![5; 64 << 10]);
                let sum = run(&runtime, &crc32c(pages.start(), 4 * PAGE)).expect("a checksum").checksum;
                assert_eq!(sum, crc32c::crc32c(&[1; 4 * PAGE]));
                self.tongue.say("done");
                self.tongue.hear();
            }
        }
    }

    /// Becomes another program with jobs in flight that read and write at an address which that program has as well.
    fn changes(&self) {
        let runtime = self.builder().queues(1).build().expect("a runtime on the daemon");
        let pages = Pages::at(ADDRESS, 8 * PAGE);
        pages.write(0, &[0x11; 8 * PAGE]);
        let mut lease = runtime.lease().expect("a queue");
        let _ = lease.scope(|scope| {
            for page in 0..4 {
                let work = copy(pages.at_offset(page * PAGE), pages.at_offset((page + 4) * PAGE), PAGE);
                // SAFETY: pages reached through pointers only; the program that they are mapped in ends first.
                unsafe { scope.push_raw(&work) }.expect("a place in the queue");
            }
            assert_eq!(scope.submit().expect("submitted"), 4);
            let pid = std::process::id();
            let error = command("changed", &format!("{} {pid}", self.socket)).exec();
            panic!("exec: {error}");
        });
    }

    /// What that program is: none of its bytes may be read or written.
    fn changed(&self, pid: u32) {
        assert_eq!(std::process::id(), pid, "the same process");
        let pages = Pages::at(ADDRESS, 8 * PAGE);
        let bytes = noise(9, 8 * PAGE);
        pages.write(0, &bytes);
        self.tongue.say("changed");
        self.tongue.hear();
        assert!(pages.read(0, 8 * PAGE) == bytes, "the daemon wrote into a program that never asked it to");
        // It can be a client in its own right.
        let sum = run(&self.runtime(), &crc32c(pages.start(), 8 * PAGE)).expect("a checksum").checksum;
        assert_eq!(sum, crc32c::crc32c(&bytes));
        self.tongue.say("untouched");
        self.tongue.hear();
    }

    /// Passes bad pointers of all kinds, and memory that may only be read.
    fn faults(&self) {
        let runtime = self.runtime();
        self.tongue.say("ready");
        self.tongue.hear();
        // Nothing is mapped behind the first two pages.
        let pages = Pages::at(ADDRESS, 2 * PAGE);
        pages.write(0, &[3; 2 * PAGE]);
        let good = Pages::untouched(4 * PAGE);
        let end = (ADDRESS + 2 * PAGE) as u64;
        let at = |address: usize| std::ptr::without_provenance_mut::<u8>(address);
        let read = |from, len| fault(run(&runtime, &copy(at(from), good.start(), len)));
        let write = |to, len| fault(run(&runtime, &copy(good.start(), at(to), len)));
        assert_eq!(read(ADDRESS + 2 * PAGE, 100), (end, FaultKind::Read));
        assert_eq!(read(ADDRESS + 2 * PAGE - 1000, 3000), (end, FaultKind::Read));
        assert_eq!(write(ADDRESS + 2 * PAGE + 17, 100), (end + 17, FaultKind::Write));
        assert_eq!(write(ADDRESS + PAGE, 2 * PAGE), (end, FaultKind::Write));
        assert_eq!(read(0x10, 8), (0x10, FaultKind::Read));
        // Kernel addresses are nobody's.
        assert_eq!(read(0xffff_8880_0000_0000, 8), (0xffff_8880_0000_0000, FaultKind::Read));

        let read_only = Pages::untouched(2 * PAGE);
        read_only.write(0, &[4; 2 * PAGE]);
        read_only.permit_writing(false);
        let start = read_only.start();
        let refused = fault(run(&runtime, &copy(good.start(), start.wrapping_add(10), PAGE)));
        assert_eq!(refused, (start.wrapping_add(10).addr() as u64, FaultKind::Write), "read-only memory");
        assert!(read_only.read(0, 2 * PAGE) == [4; 2 * PAGE], "read-only memory was written");
        // A file's pages, mapped for reading: the file would be changed.
        let mut sum = run(&runtime, &crc32c(start, 2 * PAGE)).expect("reading is permitted").checksum;
        assert_eq!(sum, crc32c::crc32c(&[4; 2 * PAGE]));
        read_only.permit_writing(true);
        run(&runtime, &copy(good.start(), start, PAGE)).expect("it may be written again");
        sum = run(&runtime, &crc32c(start, PAGE)).expect("a checksum").checksum;
        assert_eq!(sum, crc32c::crc32c(&[0; PAGE]));

        // Pages of a file, behind its end: there is no byte to be had.
        let file = File::from(memfd(PAGE));
        let mapped = Pages::of_file(&file, 2 * PAGE, MapFlags::MAP_SHARED);
        let beyond = mapped.at_offset(PAGE);
        assert_eq!(fault(run(&runtime, &crc32c(beyond, 8))), (beyond.addr() as u64, FaultKind::Read));
        run(&runtime, &crc32c(mapped.start(), PAGE)).expect("the page that there is");
        let workload = Workload::new(&runtime, 8);
        workload.round(&mut runtime.lease().expect("a queue"), 3).expect("good jobs are good");
        self.tongue.say("done");
        self.tongue.hear();
    }
}

fn memfd(len: usize) -> std::os::fd::OwnedFd {
    let fd = nix::sys::memfd::memfd_create(c"pages", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).expect("a file in memory");
    nix::unistd::ftruncate(&fd, len.try_into().expect("a length")).expect("its length");
    fd
}

/// Time for somebody to do what must not be done.
pub(crate) fn linger() {
    std::thread::sleep(Duration::from_millis(300));
}
