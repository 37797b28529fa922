//! Opcodes beyond the operations of jobs (section 3.3).

/// The name under which a Warp engine announces itself to drivers.
pub const INTERFACE: &str = "warp_v1";

/// Opcodes that manage the queue. Opcodes below 0x80 are those of jobs and have the numbers of the framework's
/// operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// Reads the session entry that the session field names, and opens it.
    OpenSession = 0x80,
    /// Closes the session that the session field names.
    CloseSession = 0x81,
    /// Drops the job whose token is the low half of the operand, if it has not begun.
    Cancel = 0x82,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 3] = [Self::OpenSession, Self::CloseSession, Self::Cancel];

    /// The command with this opcode, if there is one.
    #[must_use]
    pub const fn from_opcode(opcode: u8) -> Option<Self> {
        match opcode {
            0x80 => Some(Self::OpenSession),
            0x81 => Some(Self::CloseSession),
            0x82 => Some(Self::Cancel),
            _ => None,
        }
    }
}
