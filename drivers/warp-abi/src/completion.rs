//! The completion: 16 bytes, in the completion ring or at the end of the job's own line (section 3.4).

/// What a completion says besides token and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Bytes read and bytes written; for checksums, bytes read and the checksum; for a destination that is too small, 0
    /// and the room needed.
    Counts {
        /// The low half.
        consumed: u32,
        /// The high half.
        produced: u32,
    },
    /// The first address that could not be read.
    ReadFault(u64),
    /// The first address that could not be written.
    WriteFault(u64),
}

/// A completion.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x0 | 8 | result: consumed 31:0 and produced 63:32, or an address |
/// | 0x8 | 8 | control word, written last: token 31:0, status 39:32, flags 47:40, reserved 62:48, phase 63 |
///
/// Flags: bit 0, the result is an address that could not be read; bit 1, one that could not be written; bit 7, this is
/// an answer in the job's own line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The job's token.
    pub token: u32,
    /// How it ended: a number of the framework's status list.
    pub status: u8,
    /// With what result.
    pub answer: Answer,
}

impl Completion {
    /// Bytes of a completion.
    pub const SIZE: usize = 16;
    /// Offset of the control word, whose store makes the completion valid.
    pub const CONTROL: usize = 8;
    /// The flag that tells an answer in a job's own line from the descriptor that stood there.
    pub const ANSWERED: u64 = 1 << 47;
    pub(crate) const READ_FAULT: u64 = 1 << 40;
    pub(crate) const WRITE_FAULT: u64 = 1 << 41;

    /// The completion as result word and control word with this phase, for the completion ring.
    #[inline]
    #[must_use]
    pub fn encode(&self, phase: bool) -> [u64; 2] {
        let (result, flag) = match self.answer {
            Answer::Counts { consumed, produced } => (u64::from(consumed) | u64::from(produced) << 32, 0),
            Answer::ReadFault(address) => (address, Self::READ_FAULT),
            Answer::WriteFault(address) => (address, Self::WRITE_FAULT),
        };
        let phase = if phase { crate::Descriptor::PHASE } else { 0 };
        [result, u64::from(self.token) | u64::from(self.status) << 32 | flag | phase]
    }

    /// Whether a completion with this control word tells of success, so that its result is two counts: what nearly all do.
    #[inline]
    #[must_use]
    pub const fn is_success(control: u64) -> bool {
        control & (0xff << 32 | Self::READ_FAULT | Self::WRITE_FAULT) == 0
    }

    /// The token in a control word.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the low half")]
    pub const fn token_of(control: u64) -> u32 {
        control as u32
    }

    /// Reads a completion from its two words. Flags that make no sense read as counts.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub const fn decode(result: u64, control: u64) -> Self {
        let answer = if control & Self::READ_FAULT != 0 {
            Answer::ReadFault(result)
        } else if control & Self::WRITE_FAULT != 0 {
            Answer::WriteFault(result)
        } else {
            Answer::Counts { consumed: result as u32, produced: (result >> 32) as u32 }
        };
        Self { token: control as u32, status: (control >> 32) as u8, answer }
    }
}

/// The layouts depend on each other; whoever changes one learns it here.
const _: () = {
    use crate::Descriptor;

    assert!(Completion::CONTROL + 8 == Completion::SIZE);
    assert!(Descriptor::ANSWER + Completion::SIZE == Descriptor::SIZE, "an answer ends where its line ends");
    assert!(
        Descriptor::ANSWER + Completion::CONTROL == Descriptor::CONTROL,
        "both have their control word in the same place"
    );
    // An answer is told from a descriptor by a flag that no descriptor has.
    assert!(Completion::ANSWERED >> 40 == 1 << 7 && crate::DescriptorFlags::all().bits() & (1 << 7) == 0);
};
