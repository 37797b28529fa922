//! What is asked of the kernel.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use uaccel_queue::{Region, RingMemory};

use super::kinds::{Description, QueueKind};

/// How much of a queue's file can be mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Bytes of registers (region 0), which become the [`User`](uaccel_queue::RegionKind::User) region.
    pub mmio: usize,
    /// Bytes of memory shared with the device (region 1), which become the [`Shared`](uaccel_queue::RegionKind::Shared) region.
    pub dus: usize,
}

/// Opens device nodes: the kernel, or what stands in for it.
///
/// This is the whole of what the transport asks of the system, so that it can be tested where there is no such device.
pub trait Nodes: fmt::Debug + Send + Sync {
    /// Opens a node, which takes a queue, and maps its regions. The queue is not started.
    ///
    /// # Errors
    /// As the kernel has them: `EBUSY` if all queues are in use, `ENODEV` if there is no device or no shared addresses.
    fn open(&self, path: &Path, layout: Layout) -> io::Result<Box<dyn Node>>;
}

/// One queue. Dropping it gives the queue back: when that has returned, the device touches nothing of it.
pub trait Node: fmt::Debug + Send + Sync {
    /// The mapped regions, at addresses that never change.
    fn regions(&self) -> &[Region];

    /// Stores into a register whose write the device notices at once. A stand-in notices it here.
    fn store(&self, region: &Region, offset: usize, value: u64) {
        region.write(offset, value);
    }

    /// The memory that kernel and device share for this queue (region 1), whole, where the queue has rings in it: it is where it was also after another queue was
    /// taken, and then it is that queue's. None, which is the default, where there is no such memory. Who uses it does not use the region as well.
    fn shared_memory(&self) -> Option<RingMemory> {
        None
    }

    /// Memory that the device reaches as well, zeroed, at least `len` bytes.
    ///
    /// # Errors
    /// If there is none left.
    fn ring_memory(&self, len: usize) -> io::Result<RingMemory>;

    /// Says what the queue is for, before it is started, and asks for its numbers (`UACCE_CMD_QM_SET_QP_CTX`, `UACCE_CMD_QM_SET_QP_INFO`).
    ///
    /// # Errors
    /// What the kernel says. `EINVAL` if the device has no such kind, or no kinds, which is the default.
    fn choose(&self, kind: QueueKind) -> io::Result<Description> {
        let _ = kind;
        Err(Errno::EINVAL.into())
    }

    /// Lets the device work for the queue (`UACCE_CMD_START_Q`).
    ///
    /// # Errors
    /// What the kernel says.
    fn start(&self) -> io::Result<()>;

    /// Stops the queue (`UACCE_CMD_PUT_Q`); when this returns, the device touches nothing of it. What it wrote before can still be read. Only
    /// [`give_back`](Self::give_back) and [`reopen`](Self::reopen) may follow.
    ///
    /// # Errors
    /// `ENXIO` if the device is gone, and then it does not touch anything either.
    fn put(&self) -> io::Result<()>;

    /// Gives the queue back: others may take it when this returns. Until [`reopen`](Self::reopen) there is none. Changes nothing if there is none.
    ///
    /// # Errors
    /// What the kernel says.
    fn give_back(&self) -> io::Result<()>;

    /// Gives the queue back, if there is one, and takes another one, not started. Its regions are where the old ones were.
    ///
    /// # Errors
    /// As for [`Nodes::open`]; there is no queue then.
    fn reopen(&self) -> io::Result<()>;

    /// Whether the device is still there.
    fn is_present(&self) -> bool;

    /// Sleeps until there is a signal, at most `within`, and takes the signal. Says whether there was one. May end early.
    ///
    /// # Errors
    /// What the kernel says.
    fn wait(&self, within: Duration) -> io::Result<bool>;

    /// What becomes readable with a signal.
    fn wake_fd(&self) -> BorrowedFd<'_>;
}
