//! What the queue manager asks of whoever runs it.

use super::{Contexts, Progress};

/// What the queue manager asks of whoever runs it.
///
/// None of the functions may call the queue manager.
pub trait Host {
    /// Reads memory in the function's own address space; `false` if that cannot be done.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    /// Writes memory in the function's own address space; `false` if that cannot be done. Four aligned bytes are written at once.
    fn write(&self, address: u64, from: &[u8]) -> bool;

    /// Opens a queue that is not open, and takes jobs from now on; `false` if that cannot be done.
    fn start_queue(&self, queue: u16, contexts: &Contexts) -> bool;

    /// Takes no more jobs of a queue. Those in work go on to their end.
    fn stop_queue(&self, queue: u16);

    /// Whether no job of a queue that was stopped is in work, and all are answered. When it becomes so later, the host calls
    /// [`QueueManager::settle`](super::QueueManager::settle).
    fn is_drained(&self, queue: u16) -> bool;

    /// How far a queue is that is open.
    fn progress(&self, queue: u16) -> Progress;

    /// Closes a queue: what is in work is dropped, and nothing of it is touched any more.
    fn close_queue(&self, queue: u16);

    /// Raises an interrupt.
    fn interrupt(&self, vector: u16);
}
