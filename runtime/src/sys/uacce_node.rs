//! The kernel's uacce nodes.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{SysconfVar, sysconf};
use uaccel_queue::{Region, RegionKind, RingMemory};

use super::device_map::DeviceMap;
use super::fork_mark::ForkMark;
use super::process_memory::ProcessMemory;
use super::signal;
use super::uapi::uacce;
use crate::uacce::{Layout, Node, Nodes};

/// The kernel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelNodes;

impl Nodes for KernelNodes {
    fn open(&self, path: &Path, layout: Layout) -> io::Result<Box<dyn Node>> {
        Ok(Box::new(KernelNode::open(path, layout)?))
    }
}

/// An open file of a uacce device, with its queue.
#[derive(Debug)]
struct KernelNode {
    path: PathBuf,
    /// Keeps its number from one queue to the next, since others wait on it.
    file: OwnedFd,
    maps: Vec<Arc<DeviceMap>>,
    regions: Vec<Region>,
    fork: ForkMark,
}

impl KernelNode {
    fn open(path: &Path, layout: Layout) -> io::Result<Self> {
        let file = open(path)?;
        let fork = ForkMark::new()?;
        let page = sysconf(SysconfVar::PAGE_SIZE)?.ok_or(io::ErrorKind::Unsupported)?;
        let (mut maps, mut regions) = (Vec::new(), Vec::new());
        for (number, kind, len) in
            [(uacce::Region::Mmio, RegionKind::User, layout.mmio), (uacce::Region::Dus, RegionKind::Shared, layout.dus)]
        {
            let Some(len) = NonZeroUsize::new(len) else { continue };
            let map = Arc::new(DeviceMap::new(len, number as i64 * page, fork.clone())?);
            map.attach(&file)?;
            // SAFETY: whole pages, which the map keeps at this place; everybody reaches them through regions.
            regions.push(unsafe { Region::new(kind, map.start(), map.len(), map.clone()) });
            maps.push(map);
        }
        Ok(Self { path: path.to_owned(), file, maps, regions, fork })
    }

    fn ioctl(&self, command: u64) -> io::Result<()> {
        // SAFETY: the commands take no argument.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), command, 0) };
        Errno::result(result)?;
        Ok(())
    }

    /// Takes the registers away.
    fn detach(&self) -> io::Result<()> {
        self.maps.iter().try_for_each(|map| map.detach())
    }

    /// Closes the file behind our descriptor by putting another one there.
    fn put_in_place(&self, file: &impl AsFd) -> io::Result<()> {
        // SAFETY: both descriptors are open, and ours stays so: nobody who has borrowed it is left with none.
        let result = unsafe { libc::dup3(file.as_fd().as_raw_fd(), self.file.as_raw_fd(), libc::O_CLOEXEC) };
        Errno::result(result)?;
        Ok(())
    }
}

impl Node for KernelNode {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> io::Result<RingMemory> {
        let memory = Arc::new(ProcessMemory::populated(len, self.fork.clone())?);
        let (start, len) = (memory.start(), memory.len());
        let device = start.expose_provenance().get() as u64;
        // SAFETY: whole pages, zeroed, mapped while the keeper lives; everybody reaches them through ring memory.
        Ok(unsafe { RingMemory::new(start, device, len, memory) })
    }

    fn start(&self) -> io::Result<()> {
        self.ioctl(uacce::START_Q)
    }

    fn put(&self) -> io::Result<()> {
        let stopped = self.ioctl(uacce::PUT_Q);
        // Under older kernels the queue is somebody else's from here on: stores must not reach its registers.
        self.detach()?;
        stopped
    }

    fn reopen(&self) -> io::Result<()> {
        // A queue is given back when nothing holds its file: neither registers nor descriptor. Only then is it sure that there is one to take.
        self.detach()?;
        self.put_in_place(&EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?)?;
        let file = open(&self.path)?;
        self.maps.iter().try_for_each(|map| map.attach(&file))?;
        self.put_in_place(&file)
    }

    fn is_present(&self) -> bool {
        let lost = self.maps.iter().any(|map| map.is_lost());
        !lost && self.ioctl(uacce::UNKNOWN).is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
    }

    fn wait(&self, within: Duration) -> io::Result<bool> {
        Ok(signal::sleep_on(&[self.file.as_fd()], within)?[0])
    }

    fn wake_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for KernelNode {
    fn drop(&mut self) {
        // Others may still have the regions; the queue goes back all the same, when the descriptor is closed behind this.
        if let Err(error) = self.detach() {
            tracing::error!(path = %self.path.display(), %error, "registers stay mapped, and the queue taken");
        }
    }
}

/// Opens a node for this process alone: programs it starts do not inherit it.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let file = File::options().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(path)?;
    Ok(file.into())
}
