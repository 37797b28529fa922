//! The ZIP engine's registers, beside those of the [queue manager](crate::registers) (`zip_main.c`).

/// Errors that are not fatal.
pub const NONFATAL_ERRORS: usize = 0x3130;
/// Errors that need a reset, and that shut the engine down.
pub const RESET_ERRORS: usize = 0x3134;
/// Errors that were corrected.
pub const CORRECTED_ERRORS: usize = 0x3138;
/// 31:28 clusters, 27:24 types, 23:16 cores, 15:8 that compress, 7:0 that decompress.
pub const CORES: usize = 0x313c;
/// Which cores there are: 31:16 that decompress, 15:0 that compress.
pub const CORES_ENABLED: usize = 0x3140;
/// Algorithms for the kernel's own use.
pub const KERNEL_ALGORITHMS: usize = 0x3144;
/// [Algorithms](algorithms) for users.
pub const USER_ALGORITHMS: usize = 0x3148;
/// What each of five groups of cores can, to 0x315c.
pub const CORE_ALGORITHMS: usize = 0x314c;

/// 1 closes the engine's way to memory, before a reset.
pub const PORT_CLOSE: usize = 0x30_0000;
/// 3 says that it is closed.
pub const PORT_CLOSED: usize = 0x30_0150;
/// Writing bits here clears them in [`ERRORS`].
pub const ERROR_SOURCE: usize = 0x30_10a0;
/// Errors that raise no interrupt.
pub const ERROR_MASK: usize = 0x30_10a4;
/// Errors there are.
pub const ERRORS: usize = 0x30_10ac;
/// Errors that shut the engine down.
pub const SHUTDOWN_ERRORS: usize = 0x30_120c;

/// The bits of [`USER_ALGORITHMS`].
pub mod algorithms {
    /// zlib.
    pub const ZLIB: u32 = 0b11;
    /// gzip.
    pub const GZIP: u32 = 0b11 << 2;
    /// Raw deflate.
    pub const DEFLATE: u32 = 0b11 << 4;
    /// LZ77 for Zstandard, and by itself.
    pub const LZ77: u32 = 0b11 << 6;
    /// LZ4.
    pub const LZ4: u32 = 0b11 << 8;
}
