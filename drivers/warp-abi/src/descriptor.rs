//! The submission descriptor: 64 bytes, one cache line (section 3.2).

bitflags::bitflags! {
    /// Bits 47:40 of the control word of a descriptor.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct DescriptorFlags: u8 {
        /// The host vouches for all memory the job names: a model in the same process may use it in place, one in another need not
        /// ask whether the host may do with it what the job does. Hardware ignores it.
        const VOUCHED = 1 << 0;
        /// The destination may hold uninitialised bytes. Hardware ignores it.
        const UNINIT_DESTINATION = 1 << 1;
        /// The next descriptor starts when this one has succeeded. Needs the feature.
        const CHAINED = 1 << 2;
    }
}

/// A submission descriptor.
///
/// | offset | size | field |
/// | --- | --- | --- |
/// | 0x00 | 8 | source address |
/// | 0x08 | 8 | destination address |
/// | 0x10 | 4 | source length |
/// | 0x14 | 4 | destination length |
/// | 0x18 | 8 | aux address |
/// | 0x20 | 4 | aux length, or operand, bytes 12 to 15 ([`Descriptor::wide_operand`]) |
/// | 0x24 | 4 | operand, bytes 8 to 11 |
/// | 0x28 | 8 | context address, 0 without the feature |
/// | 0x30 | 8 | operand, bytes 0 to 7 |
/// | 0x38 | 8 | control word, written last: token 31:0, opcode 39:32, flags 47:40, session 62:48, phase 63 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Address of the source.
    pub source: u64,
    /// Address of the destination.
    pub destination: u64,
    /// Bytes to read.
    pub source_len: u32,
    /// Room to write.
    pub destination_len: u32,
    /// Address of the second source.
    pub aux: u64,
    /// Its length; or the last bytes of a [`wide_operand`](Self::wide_operand).
    pub aux_len: u32,
    /// Pattern, checksum to continue from, nonce, token to cancel; or the first bytes of a [`wide_operand`](Self::wide_operand).
    pub operand: [u8; 12],
    /// Address of the state of a job in pieces.
    pub context: u64,
    /// What the completion returns.
    pub token: u32,
    /// What to do: an operation or a [`Command`](crate::Command).
    pub opcode: u8,
    /// Promises and demands.
    pub flags: DescriptorFlags,
    /// The session, below 2^15.
    pub session: u16,
}

/// Why a descriptor is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// A reserved flag is set.
    #[error("descriptor flags {0:#04x} have reserved bits set")]
    ReservedFlags(u8),
}

impl Descriptor {
    /// Bytes of a descriptor.
    pub const SIZE: usize = 64;
    /// Offset of the control word, whose store makes the descriptor valid.
    pub const CONTROL: usize = 0x38;
    /// Offset of the result word of an answer in the job's own line.
    pub const ANSWER: usize = 0x30;
    /// The sessions a descriptor can name.
    pub const MAX_SESSIONS: u16 = 1 << 15;
    /// The phase bit of a control word.
    pub const PHASE: u64 = 1 << 63;

    /// The operand of operations that have one of 16 bytes: its last four stand in the place of the aux length, since such an
    /// operation has no second source.
    #[inline]
    #[must_use]
    pub const fn wide_operand(&self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.operand;
        let [m, n, o, p] = self.aux_len.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Puts an operand of 16 bytes in. See [`wide_operand`](Self::wide_operand).
    #[inline]
    pub const fn set_wide_operand(&mut self, operand: [u8; 16]) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = operand;
        self.operand = [a, b, c, d, e, f, g, h, i, j, k, l];
        self.aux_len = u32::from_le_bytes([m, n, o, p]);
    }

    /// The descriptor as eight words in the order of their addresses; the last one is the control word with this phase.
    #[inline]
    #[must_use]
    pub fn encode(&self, phase: bool) -> [u64; 8] {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.operand;
        [
            self.source,
            self.destination,
            u64::from(self.source_len) | u64::from(self.destination_len) << 32,
            self.aux,
            u64::from(self.aux_len) | u64::from(u32::from_le_bytes([i, j, k, l])) << 32,
            self.context,
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from(self.token)
                | u64::from(self.opcode) << 32
                | u64::from(self.flags.bits()) << 40
                | u64::from(self.session & (Self::MAX_SESSIONS - 1)) << 48
                | if phase { Self::PHASE } else { 0 },
        ]
    }

    /// Reads a descriptor from its eight words. The phase is the caller's business.
    ///
    /// # Errors
    /// [`DescriptorError`] if reserved bits are set. Token and opcode can then still be had with
    /// [`Descriptor::token_of`].
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub fn decode(words: &[u64; 8]) -> Result<Self, DescriptorError> {
        let control = words[7];
        let flags = (control >> 40) as u8;
        let flags = DescriptorFlags::from_bits(flags).ok_or(DescriptorError::ReservedFlags(flags))?;
        let [a, b, c, d, e, f, g, h] = words[6].to_le_bytes();
        let [_, _, _, _, i, j, k, l] = words[4].to_le_bytes();
        Ok(Self {
            source: words[0],
            destination: words[1],
            source_len: words[2] as u32,
            destination_len: (words[2] >> 32) as u32,
            aux: words[3],
            aux_len: words[4] as u32,
            operand: [a, b, c, d, e, f, g, h, i, j, k, l],
            context: words[5],
            token: Self::token_of(control),
            opcode: (control >> 32) as u8,
            flags,
            session: (control >> 48) as u16 & (Self::MAX_SESSIONS - 1),
        })
    }

    /// Whether these are the words of a job that does nothing, without any flag, session or context: all there is to know of
    /// it is its token.
    #[inline]
    #[must_use]
    pub const fn is_nop(words: &[u64; 8]) -> bool {
        // Opcode and flags; nothing that the vouching flags could be about is used.
        const PLAIN: u64 = 0xff << 32 | (0xff ^ 0b11) << 40;
        words[7] & PLAIN == 0 && words[5] == 0
    }

    /// A descriptor that every device refuses as an invalid job: it carries flag bit 6, which is never assigned. For
    /// jobs that cannot be said in a descriptor, so that their answer comes the way all answers come.
    #[inline]
    #[must_use]
    pub fn refused(token: u32) -> Self {
        Self { token, flags: DescriptorFlags::from_bits_retain(1 << 6), ..Self::default() }
    }

    /// The token in a control word.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the low half is the token")]
    pub const fn token_of(control: u64) -> u32 {
        control as u32
    }
}
