//! uacce: `include/uapi/misc/uacce/uacce.h`.

use super::io;

/// `UACCE_CMD_START_Q`: the queue works from now on.
pub(crate) const START_Q: u64 = io(b'W', 0);

/// `UACCE_CMD_PUT_Q`: the queue is stopped. Since December 2025 (Linux 6.1.192, 6.12.107, 7.2, 7.3) it can be started again and is freed when
/// the file is closed; before, it was freed at once and the file of no more use.
pub(crate) const PUT_Q: u64 = io(b'W', 1);

/// A command that no kernel knows. It says `EINVAL` while the device is there, `ENXIO` when it is gone, and changes nothing.
pub(crate) const UNKNOWN: u64 = io(b'W', 0xff);

/// `UACCE_DEV_SVA`, a bit of the attribute `flags`: shared virtual addresses.
pub(crate) const DEV_SVA: u32 = 1 << 0;

/// `enum uacce_qfrt`: what can be mapped. A region's offset in the file is its number times the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// `UACCE_QFRT_MMIO`: registers of the queue.
    Mmio = 0,
    /// `UACCE_QFRT_DUS`: memory that device and user share.
    Dus = 1,
}

const _: () = {
    assert!(START_Q == 0x5700);
    assert!(PUT_Q == 0x5701);
    assert!(Region::Mmio as u32 == 0 && Region::Dus as u32 == 1);
};
