//! Only a client's own memory and mappings are taken for what they are.

use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use uaccel_devd::reach::{Binding, DescriptorError, Kind};

fn open(path: impl AsRef<Path>) -> OwnedFd {
    let path = path.as_ref();
    let both = OpenOptions::new().read(true).write(true).open(path);
    both.or_else(|_| File::open(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn mem() -> OwnedFd {
    open("/proc/self/mem")
}

fn maps() -> OwnedFd {
    open("/proc/self/maps")
}

#[test]
fn the_right_ones_are_taken() {
    assert!(Binding::verify(mem(), maps()).is_ok());
    let thread = fs::read_dir("/proc/self/task").unwrap().next().unwrap().unwrap().path();
    assert!(Binding::verify(open(thread.join("mem")), maps()).is_ok(), "a thread's memory is its process's");
}

#[test]
fn other_files_of_proc_are_refused() {
    for path in [
        "/proc/self/status",
        "/proc/self/oom_score_adj",
        "/proc/self/comm",
        "/proc/self/smaps",
        "/proc/self/clear_refs",
        "/proc/self/root",
        "/proc/meminfo",
        "/proc/sys/kernel/hostname",
        "/proc",
    ] {
        for (wrong, result) in
            [(Kind::Mem, Binding::verify(open(path), maps())), (Kind::Maps, Binding::verify(mem(), open(path)))]
        {
            match result {
                Err(DescriptorError::Name { kind, .. }) => assert_eq!(kind, wrong, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_two_cannot_be_swapped() {
    assert!(matches!(Binding::verify(maps(), mem()), Err(DescriptorError::Name { kind: Kind::Mem, .. })));
}

#[test]
fn files_that_are_only_called_so_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let process = folder.path().join("1");
    fs::create_dir(&process).unwrap();
    for name in ["mem", "maps"] {
        fs::write(process.join(name), b"not memory").unwrap();
    }
    assert!(matches!(Binding::verify(open(process.join("mem")), maps()), Err(DescriptorError::FileSystem(Kind::Mem))));
    assert!(matches!(Binding::verify(mem(), open(process.join("maps"))), Err(DescriptorError::FileSystem(Kind::Maps))));
    let strange = folder.path().join("mem");
    fs::write(&strange, b"").unwrap();
    assert!(matches!(Binding::verify(open(strange), maps()), Err(DescriptorError::Name { .. })));
}

#[test]
fn memory_has_to_be_open_for_both_directions() {
    let read_only = || OwnedFd::from(File::open("/proc/self/mem").unwrap());
    assert!(matches!(Binding::verify(read_only(), maps()), Err(DescriptorError::Mode(Kind::Mem))));
    let write_only = OwnedFd::from(OpenOptions::new().write(true).open("/proc/self/mem").unwrap());
    assert!(matches!(Binding::verify(write_only, maps()), Err(DescriptorError::Mode(Kind::Mem))));
    let path_only = |path| {
        let mut options = OpenOptions::new();
        OwnedFd::from(options.read(true).custom_flags(libc::O_PATH).open(path).unwrap())
    };
    assert!(Binding::verify(path_only("/proc/self/mem"), maps()).is_err());
    assert!(Binding::verify(mem(), path_only("/proc/self/maps")).is_err());
}
