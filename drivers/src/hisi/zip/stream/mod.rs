//! Streams: jobs with state from one to the next. They take a way of their own, so that others need not look at what only they have.
//!
//! What the engine has to be told of the job before stands in words of the entry, which it gives back changed, and in its part of the stream's state. Between two jobs the words lie in the
//! driver's part: the submitter puts them into the entry, the completer writes them down when it takes the answer.

mod answer;
mod end;
mod portion;
mod state;
mod task;

pub(super) use answer::answer;
pub(super) use state::LEN as STATE_LEN;
pub(super) use task::task;
