//! The PCI function (`zip_main.c`, `qm.c`: `qm_get_hw_version`, `hisi_qm_pci_init`).

/// Huawei.
pub const VENDOR: u16 = 0x19e5;
/// The ZIP engine's physical function.
pub const ZIP: u16 = 0xa250;
/// The revision of hardware version 3.
pub const REVISION_V3: u8 = 0x30;
/// A processing accelerator. The kernel's driver does not ask for the class; which one the hardware has is not known here.
pub const CLASS: u16 = 0x1200;
/// The region with the function's registers.
pub const REGISTERS_BAR: u8 = 2;
/// Bytes of the registers: the next power of two behind the highest one that is used.
pub const REGISTERS_SIZE: usize = 4 << 20;
/// The region with a page of doorbells for each queue, where doorbells are isolated.
pub const DOORBELLS_BAR: u8 = 4;
