//! Which devices have hardware queues of several kinds, of which one queue for a driver takes one each.

use uaccel_hisi_abi::{API_PREFIX, zip};

/// A kind of hardware queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueKind {
    /// Its number in the device's interface.
    pub number: u16,
    /// Bytes of a submission entry, for kernels that do not say.
    pub entry: u32,
}

/// What the kernel says of a hardware queue when its kind is chosen, in the layout of the device's interface (`uaccel_hisi_abi::Description`).
pub type Description = [u8; uaccel_hisi_abi::Description::SIZE];

/// The algorithms of HiSilicon's ZIP engine (`zip_main.c`: `zip_dev_algs`). One of them tells it from the other engines behind the same queue manager.
const ZIP: &[&str] = &["zlib", "gzip", "deflate", "lz77_zstd", "lz77_only", "lz4"];

#[allow(clippy::cast_possible_truncation, reason = "128")]
const ZIP_ENTRY: u32 = zip::Entry::SIZE as u32;

/// The kinds of a device with this interface and these algorithms, in the order of their numbers. None where all its queues are alike, or where nothing drives
/// the engine behind them.
pub(super) fn of(api: &str, algorithms: &[String]) -> Vec<QueueKind> {
    let is_zip = api.starts_with(API_PREFIX) && algorithms.iter().any(|name| ZIP.contains(&name.as_str()));
    let kinds: &[u16] = if is_zip { &zip::KINDS } else { &[] };
    kinds.iter().map(|&number| QueueKind { number, entry: ZIP_ENTRY }).collect()
}
