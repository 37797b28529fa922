//! Memory that does not answer.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use memmap2::{MmapOptions, MmapRaw};

/// A page whose content somebody else is to bring, and never does, until this is dropped (`userfaultfd(2)`).
pub struct Withheld {
    _faults: OwnedFd,
    page: MmapRaw,
}

/// `struct uffdio_api` and `struct uffdio_register`, `linux/userfaultfd.h`.
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

nix::ioctl_readwrite! {
    /// `UFFDIO_API`.
    uffdio_api, 0xaa, 0x3f, Api
}
nix::ioctl_readwrite! {
    /// `UFFDIO_REGISTER`.
    uffdio_register, 0xaa, 0x00, Register
}

impl Withheld {
    pub fn new() -> Result<Self, String> {
        // SAFETY: the call takes a number only.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let fd =
            i32::try_from(nix::errno::Errno::result(fd).map_err(|errno| format!("userfaultfd: {errno}"))?).unwrap();
        // SAFETY: the call has just made it.
        let faults = unsafe { OwnedFd::from_raw_fd(fd) };
        let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon().unwrap());
        let mut api = Api { api: 0xaa, features: 0, ioctls: 0 };
        let start = page.as_ptr().expose_provenance() as u64;
        let mut register = Register { start, len: 4096, mode: 1, ioctls: 0 };
        // SAFETY: structures as the kernel has them, and a fresh page of our own that nobody touches but the device.
        unsafe {
            uffdio_api(faults.as_raw_fd(), &raw mut api).map_err(|errno| format!("UFFDIO_API: {errno}"))?;
            uffdio_register(faults.as_raw_fd(), &raw mut register)
                .map_err(|errno| format!("UFFDIO_REGISTER: {errno}"))?;
        }
        Ok(Self { _faults: faults, page })
    }

    pub fn address(&self) -> u64 {
        self.page.as_ptr().expose_provenance() as u64
    }
}
