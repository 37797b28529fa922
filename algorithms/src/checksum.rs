//! Checksums.

use uaccel_runtime::{Error, Operation, Runtime, Work};

use crate::detour::max_transfer;

/// A 32-bit cyclic redundancy check. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::Checksum;
/// use uaccel_runtime::Runtime;
///
/// let crc32c = Checksum::crc32c(&Runtime::new()?);
/// assert_eq!(crc32c.of(b"123456789")?, 0xE306_9283);
/// assert_eq!(crc32c.continued(crc32c.of(b"1234")?, b"56789")?, 0xE306_9283);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Checksum {
    runtime: Runtime,
    operation: Operation,
}

impl Checksum {
    /// CRC-32C (Castagnoli), as iSCSI, ext4 and Btrfs have it.
    #[must_use]
    pub fn crc32c(runtime: &Runtime) -> Self {
        Self { runtime: runtime.clone(), operation: Operation::Crc32c }
    }

    /// CRC-32 (ISO-HDLC), as gzip, zip and Ethernet have it.
    #[must_use]
    pub fn crc32(runtime: &Runtime) -> Self {
        Self { runtime: runtime.clone(), operation: Operation::Crc32 }
    }

    /// The checksum of `bytes`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn of(&self, bytes: &[u8]) -> Result<u32, Error> {
        self.continued(0, bytes)
    }

    /// The checksum of what `before` is the checksum of, followed by `bytes`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn continued(&self, before: u32, bytes: &[u8]) -> Result<u32, Error> {
        let limit = max_transfer(&self.runtime).max(1);
        let (first, mut rest) = bytes.split_at(bytes.len().min(limit));
        let mut sum = self.job(first, before)?;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(limit));
            sum = self.job(piece, sum)?;
            rest = after;
        }
        Ok(sum)
    }

    fn job(&self, piece: &[u8], seed: u32) -> Result<u32, Error> {
        let work = match self.operation {
            Operation::Crc32c => Work::crc32c(piece, seed),
            _ => Work::crc32(piece, seed),
        };
        Ok(self.runtime.run(work)?.checksum)
    }
}
