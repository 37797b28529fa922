//! Values by operation.

use crate::Operation;

/// A value for each operation, to be looked up without a jump: for what every job goes through.
///
/// ```
/// use uaccel_queue::{ByOperation, Operation};
///
/// const SIDES: ByOperation<u8> = ByOperation::all(2).with(&[Operation::Fill, Operation::Crc32], 1);
/// assert_eq!((*SIDES.get(Operation::Fill), *SIDES.get(Operation::Copy)), (1, 2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByOperation<T>([T; PLACES]);

/// More than the largest number of an operation, and a power of two.
const PLACES: usize = 32;

const _: () = {
    let mut at = 0;
    while at < Operation::ALL.len() {
        assert!((Operation::ALL[at] as usize) < PLACES);
        at += 1;
    }
};

impl<T: Copy> ByOperation<T> {
    /// The same value for every operation, also for those that this version does not name.
    #[must_use]
    pub const fn all(value: T) -> Self {
        Self([value; PLACES])
    }

    /// Another value for these operations.
    #[must_use]
    pub const fn with(mut self, operations: &[Operation], value: T) -> Self {
        let mut at = 0;
        while at < operations.len() {
            self.0[operations[at] as usize] = value;
            at += 1;
        }
        self
    }

    /// The value for an operation.
    #[inline]
    #[must_use]
    pub const fn get(&self, operation: Operation) -> &T {
        // The remainder tells the compiler that the place is inside.
        &self.0[operation as usize % PLACES]
    }
}
