//! One hardware queue of the queue manager: a ring of entries, a ring of completions, doorbells and stop words.

mod head;
mod lookout;
mod queue;
mod tail;

pub(super) use head::{Answered, Head};
pub(super) use lookout::Lookout;
pub(super) use queue::{Queue, Record};
pub(super) use tail::Tail;
