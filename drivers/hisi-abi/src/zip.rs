//! The ZIP engine: entries, statuses, registers (`zip_main.c`; UADK: `drv/hisi_comp.c`).

mod entry;
mod list;
pub mod registers;
mod request;
mod status;
pub mod stream;

pub use entry::{Buffers, Carried, Entry, EntryError, Flow, Results};
pub use list::{ListEntry, ListHead};
pub use request::Request;
pub use status::{Ended, Status};

/// The most bytes one entry reads, or writes.
pub const MAX_TRANSFER: u32 = 8 << 20;

/// How far back a reference may point, in bytes, by the code of the window in an entry (UADK: `enum wd_comp_winsz_type`).
pub const WINDOWS: [u32; 5] = [4 << 10, 8 << 10, 16 << 10, 24 << 10, 32 << 10];

/// A queue of this kind compresses.
pub const COMPRESS: u16 = 0;
/// A queue of this kind decompresses.
pub const DECOMPRESS: u16 = 1;
/// The kinds of queues there are.
pub const KINDS: [u16; 2] = [COMPRESS, DECOMPRESS];
