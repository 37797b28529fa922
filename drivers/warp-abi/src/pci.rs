//! How the engine looks on a PCI bus (section 8.5).

/// Vendor.
pub const VENDOR: u16 = 0x1234;
/// Device.
pub const DEVICE: u16 = 0x5741;
/// Revision.
pub const REVISION: u8 = 1;
/// Base class and subclass: processing accelerator (PCI Code and ID Assignment, base class 12h).
pub const CLASS: u16 = 0x1200;
/// The base address register of control page and user pages.
pub const PAGES_BAR: u8 = 0;
/// The base address register of the MSI-X table; vector n belongs to queue n.
pub const MSIX_BAR: u8 = 4;

/// Offset of the user page of queue `queue` in [`PAGES_BAR`].
#[must_use]
pub const fn user_page(queue: usize) -> usize {
    crate::control_page::SIZE + queue * crate::user_page::SIZE
}

/// Bytes of [`PAGES_BAR`] for an engine with `queues` queues.
#[must_use]
pub const fn pages_size(queues: usize) -> usize {
    user_page(queues).next_power_of_two()
}
