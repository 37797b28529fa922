//! How much of a text the engine is given at a time.

use uaccel_queue::{Job, JobFlags};

/// What of a compressing job's source the engine is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) len: usize,
    /// Whether it is to write the end of the stream behind it.
    pub(super) finish: bool,
}

impl Portion {
    /// That of a job with a header of so many bytes, which fits. The room behind it is at least [`ROOM`](uaccel_queue::stream::ROOM) less any header, and so more than the 200 bytes that the engine
    /// needs at least (UADK: `SW_STOREBUF_TH`).
    ///
    /// A compressor with state wants room for 9/8 of its source. Where there is less it gets less, in whole words, and there is more to come (UADK: `min_out_buf_size`, `max_in_data_size`).
    pub(super) const fn of(job: &Job, header: usize) -> Self {
        let (len, room) = (job.source_len as u64, (job.destination_len - header) as u64);
        if room < (len * 9).div_ceil(8) {
            #[allow(clippy::cast_possible_truncation, reason = "less than the source")]
            return Self { len: (room * 8 / 9) as usize & !3, finish: false };
        }
        Self { len: job.source_len, finish: job.flags.contains(JobFlags::LAST) }
    }
}
