//! The file of the device that this process has open, and what the kernel does with it for tests: it pretends interrupts, and takes them away.

use std::os::fd::RawFd;

use nix::errno::Errno;

/// Kinds of interrupts: `VFIO_PCI_MSIX_IRQ_INDEX` and `VFIO_PCI_ERR_IRQ_INDEX` of `linux/vfio.h`.
const MSIX: u32 = 2;
const ERR: u32 = 3;

/// `VFIO_DEVICE_SET_IRQS`.
const SET_IRQS: u64 = 0x3b6e;
/// `VFIO_IRQ_SET_DATA_NONE` and `VFIO_IRQ_SET_ACTION_TRIGGER`.
const TRIGGER: u32 = 1 << 0 | 1 << 5;

/// Has the kernel say that the device has met an uncorrectable error.
pub(crate) fn report_an_error() {
    set_irqs(ERR, 1);
}

/// Takes the device's interrupts away: none comes any more.
pub(crate) fn lose_interrupts() {
    set_irqs(MSIX, 0);
}

fn set_irqs(index: u32, count: u32) {
    let mut words: [u32; 5] = [20, TRIGGER, index, 0, count];
    // SAFETY: the structure that the command takes, with its size in front.
    let result = unsafe { libc::ioctl(file(), SET_IRQS, words.as_mut_ptr()) };
    Errno::result(result).expect("the kernel has this for tests");
}

/// The descriptor, which is the runtime's.
fn file() -> RawFd {
    let is_device = |link: &str| link == "anon_inode:[vfio-device]" || link.starts_with("/dev/vfio/devices/");
    let open = std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten().filter_map(|entry| {
        let link = std::fs::read_link(entry.path()).ok()?;
        let number = entry.file_name().to_string_lossy().parse().ok()?;
        is_device(&link.to_string_lossy()).then_some(number)
    });
    let open: Vec<RawFd> = open.collect();
    assert_eq!(open.len(), 1, "one device is open, once");
    open[0]
}
