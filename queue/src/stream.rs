//! Streams: jobs that go on where another one stopped.
//!
//! # Contract
//!
//! A text that is longer than a job, or that comes bit by bit, is compressed or decompressed by a row of jobs with
//! [`JobFlags::STREAM`](crate::JobFlags::STREAM), all of one session whose algorithm is in [`Capabilities::streams`](crate::Capabilities::streams). What is known between two of them is the stream's *state*: memory of the
//! runtime's that each of them names as its second source (`aux`), of [`Capabilities::stream_state`](crate::Capabilities::stream_state) bytes, at a multiple of [`STATE_ALIGN`], vouched for, which the job reads **and writes**.
//! What stands in it is the driver's and the device's business; the queue itself knows nothing of streams, so the next job may go to another queue of the device.
//!
//! **One at a time.** The next job of a stream is submitted after the one before was answered, and the state stays where it is, untouched. The runtime may keep
//! a copy and put it back there: then the stream stands where it stood.
//!
//! **Begin and end.** The first job has [`JobFlags::FIRST`](crate::JobFlags::FIRST); what the state holds then counts for nothing. The jobs after it have not, even if it used nothing: what there is to know of
//! a stream that has not quite begun is in the state as well. A job with [`JobFlags::LAST`](crate::JobFlags::LAST) says that its source is all that is left.
//!
//! **Answers.**
//!
//! | status | compressing | decompressing |
//! | --- | --- | --- |
//! | [`Ok`](crate::Status::Ok) | only with `LAST`: all was used, and the end of the stream is written | the end of the stream was read; what is behind it was not used |
//! | [`More`](crate::Status::More) | some or all was used | the stream has not ended yet |
//! | [`Truncated`](crate::Status::Truncated) | – | only with `LAST`: it does not end within the source, though there was room |
//! | any other | the stream is lost, unless its state is put back | the same |
//!
//! After `More` the rest of the source comes again, with more behind it if there is more. A compressing job that is offered at least [`ROOM`] bytes of room, and a source or `LAST`, gets
//! on; so does a decompressing one that had all of [`ROOM`], unless its source is too short to go on with: then it may use nothing of it, and is to come again with more. A driver answers a job with less room with [`Status::InvalidJob`](crate::Status::InvalidJob).
//! A decompressing job may be answered with `More` though it had `LAST`, all of it was used, and there is room left: some devices keep what they have read, and are to be asked once more, with nothing. Only where
//! such a job gets no further is the stream cut short, and that is the driver's to say.
//!
//! **What is not.** A stream is in one piece and not chained: with [`JobFlags::SCATTER`](crate::JobFlags::SCATTER) or [`JobFlags::CHAINED`](crate::JobFlags::CHAINED) a job of a stream is invalid. When what was compressed becomes decodable is not promised before the end.

/// The least room of a job of a stream, in bytes: enough for any header, and for whatever a device holds back.
pub const ROOM: usize = 256;

/// The state of a stream begins at a multiple of so many bytes.
pub const STATE_ALIGN: usize = 64;
