//! Functions: what stands between the emulator and the queues, for each kind of device.

mod hisi_zip;
mod warp;

pub use hisi_zip::HisiZipFunction;
pub use warp::WarpFunction;

/// A function, as the emulator calls it: under its big lock.
///
/// All memory accesses happen in these calls; only computing does not, and that sees no memory of the guest. So whatever a register write revokes is not
/// touched any more when the write has returned.
pub trait Function: Send + Sync {
    /// Reads `size` bytes of registers in a region of the function. What is not a register reads as 0.
    fn read(&self, bar: u8, offset: usize, size: usize) -> u64;

    /// Writes `size` bytes of registers in a region of the function. What is not a register ignores it.
    fn write(&self, bar: u8, offset: usize, size: usize, value: u64);

    /// The bottom half: goes on with all that can go on.
    fn run(&self);

    /// Translations of `address` to `address` + `last`, inclusive, are no longer valid. None of them is used when this returns.
    fn invalidated(&self, pasid: u32, address: u64, last: u64);

    /// The system answered a page request.
    fn page_response(&self, pasid: u32, group: u16, granted: bool);

    /// The machine is reset.
    fn reset(&self);
}
