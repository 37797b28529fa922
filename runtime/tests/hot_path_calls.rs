//! What a job costs besides its work: no system call, no lock, no look at the clock. Counted by tracing a child between
//! two marks, system call by system call and instruction by instruction.
#![cfg(target_arch = "x86_64")]

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::Instant;

use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid};
use uaccel_runtime::{Runtime, Work};

/// Runs `body` in a traced child: once to warm up, then between two calls of `getppid`, which nothing else here makes.
/// `None` if tracing is not permitted.
fn trace<T>(body: impl FnOnce(&mut dyn FnMut(&mut dyn FnMut())), count: impl FnOnce(Pid) -> T) -> Option<T> {
    // SAFETY: the child opens what it uses for itself, and ends without running what belongs to the parent.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            if ptrace::traceme().is_err() {
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(77) }
            }
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                body(&mut |job| {
                    job();
                    raise(Signal::SIGSTOP).unwrap();
                    let _ = getppid();
                    job();
                    let _ = getppid();
                });
            }));
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(well.is_err())) }
        }
        ForkResult::Parent { child } => match waitpid(child, Some(WaitPidFlag::WUNTRACED)).unwrap() {
            WaitStatus::Exited(_, 77) => None,
            WaitStatus::Stopped(_, Signal::SIGSTOP) => {
                ptrace::setoptions(child, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
                let counted = count(child);
                // Past the second mark: what is left is the end.
                ptrace::detach(child, None).unwrap();
                assert!(
                    matches!(waitpid(child, None).unwrap(), WaitStatus::Exited(_, 0)),
                    "the child did not do its jobs"
                );
                Some(counted)
            }
            other => panic!("{other:?}"),
        },
    }
}

/// Runs the child to its next system call, and says which, when it has returned.
fn next_call(child: Pid) -> u64 {
    for _ in 0..2 {
        ptrace::syscall(child, None).unwrap();
        while !matches!(waitpid(child, None).unwrap(), WaitStatus::PtraceSyscall(_)) {
            ptrace::syscall(child, None).unwrap();
        }
    }
    ptrace::getregs(child).unwrap().orig_rax
}

fn is_mark(call: u64) -> bool {
    call == libc::SYS_getppid.cast_unsigned()
}

/// System calls of the child between its two marks.
fn system_calls(child: Pid) -> u64 {
    while !is_mark(next_call(child)) {}
    let mut calls = 0;
    while !is_mark(next_call(child)) {
        calls += 1;
    }
    calls
}

/// What of interest an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    /// Nothing.
    Other,
    /// Reads and writes memory in one step, as every way to take a lock does.
    Locked,
    /// Reads the time stamp counter, as the kernel's clocks for user space do.
    Clock,
    Call,
}

impl Instruction {
    /// Reads the prefixes and the opcode (Intel SDM volume 2, sections 2.1 and 2.2).
    fn of(code: [u8; 15]) -> Self {
        const LEGACY: [u8; 10] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3];
        let mut at = 0;
        while LEGACY.contains(&code[at]) || code[at] == 0xf0 {
            if code[at] == 0xf0 {
                return Self::Locked;
            }
            at += 1;
        }
        // REX.
        if code[at] & 0xf0 == 0x40 {
            at += 1;
        }
        match code[at..at + 3] {
            // XCHG with memory locks without being asked.
            [0x86 | 0x87, operand, _] if operand < 0xc0 => Self::Locked,
            [0x0f, 0x31, _] | [0x0f, 0x01, 0xf9] => Self::Clock,
            [0x0f, 0x05, _] => Self::Call,
            _ => Self::Other,
        }
    }
}

/// Instructions of the child between its two marks: all, those that lock, those that read the clock.
fn instructions(child: Pid) -> [u64; 3] {
    while !is_mark(next_call(child)) {}
    let memory = File::open(format!("/proc/{child}/mem")).unwrap();
    let mut known = HashMap::new();
    let mut counts = [0; 3];
    loop {
        let at = ptrace::getregs(child).unwrap().rip;
        let instruction = *known.entry(at).or_insert_with(|| {
            let mut code = [0x90; 15];
            // Short at the end of the code's last page.
            let _ = memory.read_at(&mut code, at).unwrap();
            Instruction::of(code)
        });
        match instruction {
            Instruction::Call => return counts,
            Instruction::Locked => counts[1] += 1,
            Instruction::Clock => counts[2] += 1,
            Instruction::Other => {}
        }
        counts[0] += 1;
        ptrace::step(child, None).unwrap();
        assert!(matches!(waitpid(child, None).unwrap(), WaitStatus::Stopped(_, Signal::SIGTRAP)));
    }
}

fn skipped(what: &str) {
    eprintln!("SKIPPED: {what} cannot be counted here");
}

/// Jobs through a lease, in calls of their own and in a scope.
fn jobs(device: &str, count: usize, run: &mut dyn FnMut(&mut dyn FnMut())) {
    let runtime = Runtime::builder().device(device).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    let source = [7; 64];
    run(&mut || {
        for _ in 0..count {
            lease.run(Work::nop()).unwrap();
            lease.run(Work::crc32c(&source, 0)).unwrap();
            lease
                .scope(|scope| {
                    scope.nop().unwrap();
                    scope.submit().unwrap();
                    scope.poll(|answer| assert!(answer.is_ok()));
                })
                .unwrap();
        }
    });
}

#[test]
fn a_job_through_a_lease_makes_no_system_call() {
    for device in ["null", "software"] {
        match trace(|run| jobs(device, 1000, run), system_calls) {
            Some(calls) => assert_eq!(calls, 0, "{device}"),
            None => skipped("system calls"),
        }
    }
}

#[test]
fn a_job_through_a_lease_takes_no_lock_and_reads_no_clock() {
    // First: the counter counts, and nothing else.
    let lock = Mutex::new(0);
    let Some([all, locked, clock]) = trace(|run| run(&mut || *lock.lock().unwrap() += 1), instructions) else {
        return skipped("locks and looks at the clock");
    };
    // One to take it; to let it go, another.
    assert!(all > locked && (locked, clock) == (2, 0), "{locked} of {all} lock, {clock} read the clock");
    let mut now = Instant::now();
    let read = trace(|run| run(&mut || now = std::hint::black_box(Instant::now())), instructions);
    match read {
        // Again, if the kernel has adjusted its clock meanwhile.
        Some([_, 0, looks]) if looks > 0 => {}
        // Where the counter is no good as a clock, reading one is a system call, and that is counted above.
        Some([_, 0, 0]) => skipped("looks at the clock"),
        other => panic!("{other:?}"),
    }

    for device in ["null", "software"] {
        let counted = trace(|run| jobs(device, 1, run), instructions);
        assert!(counted.is_some_and(|[_, locked, clock]| (locked, clock) == (0, 0)), "{device}: {counted:?}");
    }
}
