//! One line of a history: what a thread is about to do, or what came of it.

/// Bytes of a record.
pub const SIZE: usize = 32;
/// Words of a record.
pub const WORDS: usize = 4;

/// One line of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The job, numbered by its thread from 1 without gaps.
    pub serial: u64,
    /// When, in nanoseconds of the monotonic clock, which all processes share.
    pub at: u64,
    /// What.
    pub entry: Entry,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The thread is about to submit the job.
    Submitted {
        /// By which way.
        way: Way,
        /// Which of the process's cases it is.
        case: u16,
        /// Bytes of its source.
        len: u32,
    },
    /// The thread was told how the job ended.
    Answered(Verdict),
    /// The thread has dropped the job's future, and will not be told.
    Abandoned,
    /// A byte was found changed that was not the device's to change, any more or at all.
    Touched(Trespass),
}

/// By which way a job is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// A call of the runtime that borrows, under the process's fallback policy.
    Call = 1,
    /// A call of a lease.
    Lease = 2,
    /// A scope, many jobs at once.
    Scope = 3,
    /// A future that owns its buffers and is waited for.
    Wait = 4,
    /// A future that owns its buffers and is polled.
    Poll = 5,
    /// A bad pointer, on purpose.
    BadPointer = 6,
    /// Submitted, and never looked at again.
    Silence = 7,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Call, Self::Lease, Self::Scope, Self::Wait, Self::Poll, Self::BadPointer, Self::Silence];

    fn from_raw(raw: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|way| *way as u8 == raw)
    }
}

/// How a job ended, as its thread sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Every byte is as the oracle has it.
    Right = 1,
    /// Some byte is not.
    Wrong = 2,
    /// A bad pointer failed with its address.
    RightFault = 3,
    /// A bad pointer did not fail, or with another address.
    WrongFault = 4,
    /// The queue was full; nothing was submitted.
    Full = 5,
    /// It was not done in time, and was taken back.
    Deadline = 6,
    /// The device failed.
    DeviceFailed = 7,
    /// It was lost, and its buffers leaked.
    Lost = 8,
    /// The device could not be opened, or had no queue free.
    NoQueue = 9,
    /// It was cancelled.
    Canceled = 10,
    /// Any other error, which none of the jobs deserves.
    Undeserved = 11,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Right,
        Self::Wrong,
        Self::RightFault,
        Self::WrongFault,
        Self::Full,
        Self::Deadline,
        Self::DeviceFailed,
        Self::Lost,
        Self::NoQueue,
        Self::Canceled,
        Self::Undeserved,
    ];

    fn from_raw(raw: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| *verdict as u8 == raw)
    }
}

/// A byte that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Trespass {
    /// Before or behind a destination.
    Outside = 1,
    /// In a destination, after its job had ended.
    Late = 2,
    /// In a source.
    Source = 3,
}

impl Trespass {
    fn from_raw(raw: u8) -> Option<Self> {
        [Self::Outside, Self::Late, Self::Source].into_iter().find(|trespass| *trespass as u8 == raw)
    }
}

const SUBMITTED: u8 = 1;
const ANSWERED: u8 = 2;
const ABANDONED: u8 = 3;
const TOUCHED: u8 = 4;
/// Bits of a serial.
const SERIAL: u64 = (1 << 48) - 1;

impl Record {
    /// The record as words, the last of which seals it at this place.
    #[must_use]
    pub fn encode(&self, place: usize) -> [u64; WORDS] {
        let (kind, what, detail) = match self.entry {
            Entry::Submitted { way, case, len } => (SUBMITTED, way as u8, u64::from(case) << 32 | u64::from(len)),
            Entry::Answered(verdict) => (ANSWERED, verdict as u8, 0),
            Entry::Abandoned => (ABANDONED, 0, 0),
            Entry::Touched(trespass) => (TOUCHED, trespass as u8, 0),
        };
        let head = self.serial & SERIAL | u64::from(kind) << 48 | u64::from(what) << 56;
        [head, self.at, detail, seal([head, self.at, detail], place)]
    }

    /// The record at this place, if it was written whole.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of their words")]
    pub fn decode(words: [u64; WORDS], place: usize) -> Option<Self> {
        let [head, at, detail, sealed] = words;
        if sealed != seal([head, at, detail], place) {
            return None;
        }
        let what = (head >> 56) as u8;
        let entry = match (head >> 48) as u8 {
            SUBMITTED => {
                Entry::Submitted { way: Way::from_raw(what)?, case: (detail >> 32) as u16, len: detail as u32 }
            }
            ANSWERED => Entry::Answered(Verdict::from_raw(what)?),
            ABANDONED => Entry::Abandoned,
            TOUCHED => Entry::Touched(Trespass::from_raw(what)?),
            _ => return None,
        };
        Some(Self { serial: head & SERIAL, at, entry })
    }
}

/// Never 0, and another one at another place: a record that was half written, or copied elsewhere, is none.
fn seal(words: [u64; 3], place: usize) -> u64 {
    let mut sum = place as u64 ^ 0x9e37_79b9_7f4a_7c15;
    for word in words {
        sum = (sum ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        sum ^= sum >> 29;
    }
    sum | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_only_at_its_place() {
        let entries = Way::ALL
            .into_iter()
            .map(|way| Entry::Submitted { way, case: 700, len: u32::MAX })
            .chain(Verdict::ALL.map(Entry::Answered))
            .chain([Entry::Abandoned, Entry::Touched(Trespass::Late)]);
        for (place, entry) in entries.enumerate() {
            let record = Record { serial: SERIAL - place as u64, at: u64::MAX, entry };
            let words = record.encode(place);
            assert_eq!(Record::decode(words, place), Some(record));
            assert_eq!(Record::decode(words, place + 1), None);
            for bit in 0..256 {
                let mut other = words;
                other[bit / 64] ^= 1 << (bit % 64);
                // The lowest bit of the seal is always set.
                assert_eq!(Record::decode(other, place), None, "bit {bit} of {record:?}");
            }
        }
        assert_eq!(Record::decode([0; WORDS], 0), None);
    }
}
