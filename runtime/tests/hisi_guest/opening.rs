//! Queues, by the kernel's interface alone: opened, described, counted.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

use crate::bench::{device_file, number};

/// Queues of the function.
const QUEUES: u64 = 64;

/// `UACCE_CMD_QM_SET_QP_CTX` and `UACCE_CMD_QM_SET_QP_INFO` of include/uapi/misc/uacce/hisi_qm.h: numbers by `_IOWR`, and arguments.
const SET_CONTEXT: libc::c_ulong = 0xc004_480a;
const SET_INFO: libc::c_ulong = 0xc010_480b;

/// `struct hisi_qp_ctx`.
#[repr(C)]
#[derive(Debug, Default)]
struct Context {
    id: u16,
    kind: u16,
}

/// `struct hisi_qp_info`.
#[repr(C)]
#[derive(Debug, Default)]
struct Info {
    entry: u32,
    entries: u16,
    completions: u16,
    reserved: u64,
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(device_file())
}

fn set<T>(queue: &File, command: libc::c_ulong, argument: &mut T) -> Result<(), Errno> {
    // SAFETY: both commands read and write a structure of the size that is in their number, as `T` is here; the descriptor is open.
    let result = unsafe { libc::ioctl(queue.as_raw_fd(), command, std::ptr::from_mut(argument)) };
    Errno::result(result).map(drop)
}

#[test]
fn a_queue_has_a_number_of_its_own_a_direction_and_rings_of_known_size() {
    let queues = [open().unwrap(), open().unwrap()];
    let mut ids = Vec::new();
    for (queue, kind) in queues.iter().zip([0, 1]) {
        let mut context = Context { id: u16::MAX, kind };
        set(queue, SET_CONTEXT, &mut context).unwrap();
        assert!(u64::from(context.id) < QUEUES, "{context:?}");
        ids.push(context.id);
        let mut info = Info::default();
        set(queue, SET_INFO, &mut info).unwrap();
        assert_eq!((info.entry, info.entries, info.completions), (128, 1024, 1024), "{info:?}");
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(set(&queues[0], SET_CONTEXT, &mut Context { id: 0, kind: 3 }), Err(Errno::EINVAL), "no such direction");
}

#[test]
fn queues_are_counted_run_out_and_come_back() {
    assert_eq!(number("available_instances"), QUEUES, "nobody has one");
    let held: Vec<File> = (0..QUEUES).map(|_| open().expect("a queue is free")).collect();
    assert_eq!(number("available_instances"), 0);
    assert_eq!(open().unwrap_err().raw_os_error(), Some(libc::EBUSY));
    drop(held);
    assert_eq!(number("available_instances"), QUEUES);
}
