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
use uaccel_hisi_abi::Dus;
use uaccel_queue::{Region, RegionKind, RingMemory};

use super::device_map::DeviceMap;
use super::fork_mark::ForkMark;
use super::process_memory::ProcessMemory;
use super::signal;
use super::uapi::{hisi_qm, uacce};
use crate::uacce::{Description, Layout, Node, Nodes, QueueKind};

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
    /// The one of region 1, if there is one.
    shared: Option<Arc<DeviceMap>>,
    regions: Vec<Region>,
    fork: ForkMark,
}

impl KernelNode {
    fn open(path: &Path, layout: Layout) -> io::Result<Self> {
        let file = open(path)?;
        let fork = ForkMark::new()?;
        let page = sysconf(SysconfVar::PAGE_SIZE)?.ok_or(io::ErrorKind::Unsupported)?;
        let (mut maps, mut regions, mut shared) = (Vec::new(), Vec::new(), None);
        for (number, kind, len) in
            [(uacce::Region::Mmio, RegionKind::User, layout.mmio), (uacce::Region::Dus, RegionKind::Shared, layout.dus)]
        {
            let Some(len) = NonZeroUsize::new(len) else { continue };
            let map = Arc::new(DeviceMap::new(len, number as i64 * page, fork.clone())?);
            map.attach(&file)?;
            // SAFETY: whole pages, which the map keeps at this place; everybody reaches them through regions.
            regions.push(unsafe { Region::new(kind, map.start(), map.len(), map.clone()) });
            if number == uacce::Region::Dus {
                shared = Some(map.clone());
            }
            maps.push(map);
        }
        Ok(Self { path: path.to_owned(), file, maps, shared, regions, fork })
    }

    fn ioctl(&self, command: u64) -> io::Result<()> {
        // SAFETY: the commands take no argument.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), command, 0) };
        Errno::result(result)?;
        Ok(())
    }

    /// The same for commands with an argument, which the kernel reads and writes.
    ///
    /// # Safety
    /// The argument is the command's own, of plain numbers.
    unsafe fn ioctl_with<T>(&self, command: u64, argument: &mut T) -> io::Result<()> {
        // SAFETY: the kernel accesses the argument during the call, and no more than it.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), command, std::ptr::from_mut(argument)) };
        Errno::result(result)?;
        Ok(())
    }

    /// Whether the file has a queue of a device that is there. A command that no kernel knows gets that far only then.
    fn has_queue(&self) -> bool {
        self.ioctl(uacce::UNKNOWN).is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
    }

    /// Takes the registers away.
    fn detach(&self) -> io::Result<()> {
        self.maps.iter().try_for_each(|map| map.detach())
    }

    fn is_shared(&self, map: &Arc<DeviceMap>) -> bool {
        self.shared.as_ref().is_some_and(|shared| Arc::ptr_eq(shared, map))
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

    fn shared_memory(&self) -> Option<RingMemory> {
        let map = self.shared.as_ref()?;
        // The device knows it by an address of its own, which nobody needs who does not tell it.
        // SAFETY: whole pages, which the map keeps at this place. Whoever uses it as ring memory reaches it so alone, and zeroes it first.
        Some(unsafe { RingMemory::new(map.start(), 0, map.len(), map.clone()) })
    }

    fn choose(&self, kind: QueueKind) -> io::Result<Description> {
        let mut context = hisi_qm::QpCtx { id: 0, qc_type: kind.number };
        // SAFETY: the command's own.
        unsafe { self.ioctl_with(hisi_qm::SET_QP_CTX, &mut context) }?;
        let mut info = hisi_qm::QpInfo::default();
        // SAFETY: the command's own.
        let rings = match unsafe { self.ioctl_with(hisi_qm::SET_QP_INFO, &mut info) } {
            Ok(()) => Dus { entry: info.sqe_size, submissions: info.sq_depth, completions: info.cq_depth },
            // Older kernels do not say; this is how they made them.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Dus { entry: kind.entry, submissions: Dus::DEPTH, completions: Dus::DEPTH }
            }
            Err(error) => return Err(error),
        };
        Ok(uaccel_hisi_abi::Description { dus: rings, queue: context.id, kind: kind.number }.encode())
    }

    fn start(&self) -> io::Result<()> {
        self.ioctl(uacce::START_Q)
    }

    fn put(&self) -> io::Result<()> {
        // Under older kernels the queue is somebody else's from here on, and what the device wrote for us with it; so it is kept.
        let kept = self.shared.as_ref().map(|map| (map, map.copy()));
        let stopped = self.ioctl(uacce::PUT_Q);
        // Stores must not reach its registers.
        self.maps.iter().filter(|map| !self.is_shared(map)).try_for_each(|map| map.detach())?;
        if let (Some((map, kept)), false) = (kept, self.has_queue()) {
            match kept {
                Ok(kept) => map.settle(kept)?,
                // No memory for it is no reason to leave the queue running; but nothing of another one is to be seen.
                Err(_) => map.detach()?,
            }
        }
        stopped
    }

    fn give_back(&self) -> io::Result<()> {
        // A queue is given back when nothing holds its file: neither registers nor descriptor. Only then is it sure that there is one to take.
        self.detach()?;
        self.put_in_place(&EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?)
    }

    fn reopen(&self) -> io::Result<()> {
        self.give_back()?;
        let file = open(&self.path)?;
        let attached = self.maps.iter().try_for_each(|map| map.attach(&file)).and_then(|()| self.put_in_place(&file));
        // Without an error the queue has two holders, our descriptor and the registers.
        attached.or_else(|error| self.detach().and(Err(error)))
    }

    fn is_present(&self) -> bool {
        let lost = self.maps.iter().any(|map| map.is_lost());
        !lost && self.has_queue()
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
