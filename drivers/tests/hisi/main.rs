//! The driver of HiSilicon's compression engine over hardware queues that are the test: what it asks of them, what it makes of what they answer, and the suite that defines a driver.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod answers;
mod device;
mod engine;
mod entries;
mod formats;
mod headers;
mod hostile;
mod opening;
mod part;
mod pieces;
mod queue;
mod rings;
mod sessions;
mod stopping;
mod stream;
mod stream_answers;
mod stream_engine;
mod streams;
mod suite;
mod threads;
mod waking;
mod windows;
