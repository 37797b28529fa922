//! HiSilicon's compression engine.
//!
//! Entries are those of hardware version 3 (`hisi_qm_v3`). Version 2 is not driven: its entries are of another type, and what it makes of the fields beyond is not known from public sources.
//!
//! # Formats
//!
//! The engine reads and writes deflate, and for zlib and gzip the trailer behind it; the header in front is the driver's business. So the driver itself touches the first bytes of a job's memory: as
//! it is, where the runtime vouches for it, else by the transport's copies ([`Transport::read_memory`](uaccel_queue::Transport::read_memory)), and where there are none the job ends as
//! [`Status::Unsupported`](uaccel_queue::Status::Unsupported). Raw deflate needs no such thing. Jobs that need no engine (nothing to compress, a broken header, no room for one) are answered without it.
//!
//! LZ4 is only compressed to, and only where the kernel lists it.
//!
//! # Pieces
//!
//! A job in pieces is one with lists of the engine's, kept by slot, and the header left out of the first of them. Empty pieces are not listed.
//!
//! # Streams
//!
//! See [`stream`]. Nothing of them is known to a queue. What is left to write when nothing is left to compress, the driver writes.
//!
//! # Windows
//!
//! The engine has five. A session gets the next smaller one, and zlib's header tells of it.
//!
//! # Levels
//!
//! A session may name one. The engine has none, and compresses all alike.
//!
//! # Unknown
//!
//! What the engine makes of a destination without room is not known; the driver sends it such a job when it decompresses, since the text may be empty.

mod alarm;
mod answer;
mod completer;
mod driver;
mod format;
mod header;
mod lists;
mod memory;
mod stream;
mod submitter;
mod task;
mod window;

pub use driver::HisiZipDriver;

/// The most sessions of one queue. They are the driver's own, and a few bytes each.
const SESSIONS: u16 = 1024;
