//! What tells a client's address space from any other.

/// A place in a client's memory that no other program has: a page at an address chosen by chance, with a value chosen by chance.
///
/// Where memory is reached by process number, calls begin with the gate. A program that took the number's place, by `exec` or after the client has
/// ended, has nothing there, so the call ends before it has touched anything.
///
/// The page begins with the value; the word behind that is the server's, for a moment, when it finds out whether two ways lead to the same memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    address: u64,
    canary: [u64; 2],
}

/// The first address that no program has: user addresses are below on every machine this runs on.
const USER_END: u64 = 1 << 56;

impl Gate {
    /// Bytes of the canary at the gate's address.
    pub const SIZE: usize = 16;

    /// A gate at `address` with these two words; `None` where no page of a program can be, or if the words are too plain to prove anything.
    #[must_use]
    pub fn new(address: u64, canary: [u64; 2]) -> Option<Self> {
        let possible = address != 0 && address.is_multiple_of(32) && address < USER_END;
        (possible && canary.iter().all(|word| *word != 0)).then_some(Self { address, canary })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// What is there.
    #[must_use]
    pub fn bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(self.canary) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Where the server has a word of its own.
    pub(super) fn scratch(&self) -> u64 {
        self.address + Self::SIZE as u64
    }

    /// The first word, which is written back to where it is.
    #[must_use]
    pub(super) fn knock(&self) -> [u8; 8] {
        self.canary[0].to_le_bytes()
    }
}

impl core::fmt::Debug for Gate {
    /// Without its values: who knows them can pass for the client.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}
