//! What `uaccel-devd` and its clients say to each other, over one `SOCK_SEQPACKET` socket per client. Version 1.
//!
//! It carries what is rare: the way of a job has no socket. A client says a [`Request`], the daemon answers with one [`Reply`], and only then comes the next
//! request. A client that has given up waiting may go on: it tells answers apart by the **serial** that each echoes.
//!
//! # Layout
//!
//! Everything is little endian. A request is one message of exactly [`RECORD`] bytes, a reply is such a record and at most [`TEXT`] bytes of UTF-8 behind it.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..4 | kind |
//! | 4..8 | queue, where there is one, else 0 |
//! | 8..12 | serial |
//! | 12..16 | 0 in a request; in a reply 0, or why it was refused |
//! | 16..64 | six words of 64 bits; those that a kind does not use are 0 |
//!
//! | request | kind | words | descriptors | reply |
//! | --- | --- | --- | --- | --- |
//! | [`Hello`](Request::Hello) | 1 | version, flags, priority, gate, canary (two words) | `/proc/self/mem` open for both, `/proc/self/maps` | [`Welcome`](Reply::Welcome) |
//! | [`Device`](Request::Device) | 2 | index | | [`Device`](Reply::Device) |
//! | [`Open`](Request::Open) | 3 | device index | | [`Opened`](Reply::Opened) |
//! | [`Ring`](Request::Ring) | 4 | length | | [`Ring`](Reply::Ring) |
//! | [`Control`](Request::Control) | 5 | offset, value | | [`Done`](Reply::Done) |
//! | [`Stop`](Request::Stop) | 6 | within, in ns | | [`Stopped`](Reply::Stopped) |
//! | [`Reset`](Request::Reset) | 7 | within, in ns | | [`Done`](Reply::Done) |
//! | [`Close`](Request::Close) | 8 | | | [`Done`](Reply::Done) |
//! | [`Window`](Request::Window) | 9 | address, length | sealed memfd | [`Window`](Reply::Window) |
//! | [`Unwindow`](Request::Unwindow) | 10 | id | | [`Done`](Reply::Done) |
//! | [`Status`](Request::Status) | 11 | | | [`Status`](Reply::Status) |
//!
//! | reply | kind | words | text | descriptors |
//! | --- | --- | --- | --- | --- |
//! | [`Welcome`](Reply::Welcome) | 1 | version, flags, PASID, queues, windows, bytes of windows | | |
//! | [`Device`](Reply::Device) | 2 | devices, queues, free queues | name, line feed, interface | |
//! | [`Opened`](Reply::Opened) | 3 | | | user page, signal (socket), bell (eventfd) |
//! | [`Ring`](Reply::Ring) | 4 | device address, length | | sealed memfd |
//! | [`Done`](Reply::Done) | 5 | | | |
//! | [`Stopped`](Reply::Stopped) | 6 | 1 if quiet, 0 if that is not proven | | |
//! | [`Window`](Reply::Window) | 7 | id | | |
//! | [`Status`](Reply::Status) | 8 | length | | sealed memfd |
//! | [`Refused`](Reply::Refused) | 9 | error number of the system, or 0 | why, and what to do about it | |
//!
//! # Rules
//!
//! - The first request is [`Hello`](Request::Hello); [`Device`](Request::Device) and [`Status`](Request::Status) are answered before it as well.
//! - What the daemon cannot decode it answers with [`Refusal::BadRequest`], and closes the connection.
//! - **The daemon closes a connection only when it touches nothing of that client any more.** So a hang-up proves that its queues are quiet, also when the daemon
//!   was killed: the kernel closes the socket after the daemon's last thread has left its last system call.
//! - Decoding cannot panic, whatever the bytes; and neither side believes the other's lengths or descriptors before it has looked at them.

#![forbid(unsafe_code)]

mod channel;
mod error;
mod record;
mod refusal;
mod reply;
mod request;
mod socket_path;

pub use channel::{Channel, Packet};
pub use error::{ChannelError, DecodeError};
pub use record::serial_of;
pub use refusal::Refusal;
pub use reply::{Reply, WelcomeFlags};
pub use request::{HelloFlags, Priority, Request};
pub use socket_path::{SOCKET_VARIABLE, default_socket, named_socket};

/// The version of the protocol that this crate describes.
pub const VERSION: u32 = 1;

/// Bytes of a request, and of a reply without its text.
pub const RECORD: usize = 64;

/// The most bytes of text behind a reply.
pub const TEXT: usize = 448;

/// The most bytes of a message.
pub const MESSAGE: usize = RECORD + TEXT;

/// The most descriptors that go with a message.
pub const DESCRIPTORS: usize = 3;

const _: () = assert!(MESSAGE == 512 && size_of::<record::Record>() == RECORD);
