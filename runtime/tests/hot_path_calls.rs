//! What a job costs besides its work: no system call. Counted by tracing a child between two marks.
#![cfg(target_arch = "x86_64")]

use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid};
use uaccel_runtime::{Runtime, Work};

/// Jobs through a lease, between two calls of `getppid`, which nothing else here makes.
fn child(device: &str) {
    let runtime = Runtime::builder().device(device).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    let source = [7; 4096];
    let mut jobs = |count: usize| {
        for _ in 0..count {
            lease.run(Work::nop()).unwrap();
            lease.run(Work::crc32c(&source, 0)).unwrap();
        }
    };
    jobs(10);
    raise(Signal::SIGSTOP).unwrap();
    let _ = getppid();
    jobs(1000);
    let _ = getppid();
}

/// System calls of the child, which has stopped itself, between its two marks.
fn traced(child: Pid) -> u64 {
    let (mut calls, mut marks, mut entering) = (0, 0, true);
    ptrace::setoptions(child, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
    loop {
        ptrace::syscall(child, None).unwrap();
        match waitpid(child, None).unwrap() {
            WaitStatus::PtraceSyscall(_) if entering => {
                let number = ptrace::getregs(child).unwrap().orig_rax;
                if number == libc::SYS_getppid.cast_unsigned() {
                    marks += 1;
                } else if marks == 1 {
                    calls += 1;
                }
                entering = false;
            }
            WaitStatus::PtraceSyscall(_) => entering = true,
            WaitStatus::Exited(_, code) => {
                assert_eq!((code, marks), (0, 2), "the child did not do its jobs");
                return calls;
            }
            WaitStatus::Stopped(..) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn system_calls(device: &str) -> Option<u64> {
    // SAFETY: the child opens what it uses for itself, and ends without running what belongs to the parent.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            if ptrace::traceme().is_err() {
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(77) }
            }
            let well = std::panic::catch_unwind(|| child(device)).is_ok();
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(!well)) }
        }
        ForkResult::Parent { child } => match waitpid(child, Some(WaitPidFlag::WUNTRACED)).unwrap() {
            WaitStatus::Exited(_, 77) => None,
            WaitStatus::Stopped(_, Signal::SIGSTOP) => Some(traced(child)),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_job_through_a_lease_makes_no_system_call() {
    for device in ["null", "software"] {
        match system_calls(device) {
            Some(calls) => assert_eq!(calls, 0, "{device}"),
            None => eprintln!("SKIPPED: tracing is not permitted here, so system calls were not counted"),
        }
    }
}
