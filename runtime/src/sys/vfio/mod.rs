//! VFIO's files: what is asked of the kernel, call by call.

pub(crate) mod chain;
pub(crate) mod device;
pub(crate) mod group;
pub(crate) mod iommufd;

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::libc;

/// Calls a command that reads or writes `argument`, a structure that begins with its own size where the command wants one.
fn ioctl<T>(file: &impl AsFd, command: u64, argument: &mut T) -> io::Result<i32> {
    // SAFETY: every command in this folder is called with the structure its header names, which the kernel neither reads nor writes beyond the
    // size it says.
    let result = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), command, std::ptr::from_mut(argument)) };
    Ok(Errno::result(result)?)
}

/// The same with a structure and what follows it, as words.
fn ioctl_words<T: Copy>(file: &impl AsFd, command: u64, words: &mut [T]) -> io::Result<i32> {
    // SAFETY: as in `ioctl`; the size that the structure says is that of the words.
    let result = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), command, words.as_mut_ptr()) };
    Ok(Errno::result(result)?)
}

/// Calls a command whose argument is a number.
fn ioctl_number(file: &impl AsFd, command: u64, number: u64) -> io::Result<i32> {
    // SAFETY: the command takes a number, no address.
    let result = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), command, number) };
    Ok(Errno::result(result)?)
}

/// The length of a structure as the kernel wants it.
fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}
