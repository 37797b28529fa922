//! The table of functions: which queues a function has (`qm.c`: `qm_set_vft_common`, `qm_vft_data_cfg`).

/// What the table's data are about: the value of [`registers::VFT_TYPE`](crate::registers::VFT_TYPE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum VftOperation {
    /// Submission rings: [`VftQueues`].
    Submissions = 0,
    /// Completion rings: bit 28 says that there are some.
    Completions = 1,
    /// The function's share of time.
    Shaper = 2,
}

/// Which submission rings a function has.
///
/// | bits | field |
/// | --- | --- |
/// | 43:28 | the first |
/// | 44 | valid |
/// | 60:45 | how many, less one |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VftQueues {
    /// The first.
    pub first: u16,
    /// How many.
    pub count: u32,
}

impl VftQueues {
    /// The table's data; 0 for a function without queues.
    #[must_use]
    pub const fn encode(queues: Option<Self>) -> u64 {
        match queues {
            Some(Self { first, count }) if count != 0 => {
                (first as u64) << 28 | 1 << 44 | ((count as u64 - 1) & 0xffff) << 45
            }
            _ => 0,
        }
    }

    /// Reads the table's data; `None` for a function without queues.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of the word by design")]
    pub const fn decode(data: u64) -> Option<Self> {
        if data >> 44 & 1 == 0 {
            return None;
        }
        Some(Self { first: (data >> 28) as u16, count: (data >> 45 & 0xffff) as u32 + 1 })
    }
}
