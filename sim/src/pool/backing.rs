//! What one queue stands on.

use core::fmt;

use super::{JobMemory, Rings};
use crate::UserPage;

/// What one queue stands on: its registers, its ring memory, the memory of its user's jobs, and the way to wake the user.
pub trait Backing: fmt::Debug + Send + Sync + 'static {
    /// Where its jobs read and write.
    type Memory: JobMemory;

    /// The registers.
    fn page(&self) -> &UserPage;

    /// The ring memory handed out since the queue was opened or reset.
    fn rings(&self) -> Rings;

    /// Forgets the ring memory: the queue is reset.
    fn forget_rings(&self);

    /// Where its jobs read and write.
    fn memory(&self) -> Self::Memory;

    /// Tells the user to look. Never blocks.
    fn signal(&self);

    /// Takes back all signals. Whether there was one, where that can be known.
    fn clear_signal(&self) -> bool;

    /// A call of this user's [memory](Self::memory) has blocked for longer than the pool's patience. Called once per such call, by a thread of the pool; the
    /// queue is not served meanwhile.
    fn give_up(&self) {}
}
