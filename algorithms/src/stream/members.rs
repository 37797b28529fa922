//! Gzip members, the next being filled while earlier ones are packed.

use std::collections::VecDeque;
use std::time::Duration;

use uaccel_runtime::{Error, Fallback, Finished, JobFuture, Operation, OwnedWork, Runtime, Session, Work};

use super::output::Output;
use crate::member::{bound, member_len, written};
use crate::{Format, Level};

/// Members being packed while one is being filled.
const IN_FLIGHT: usize = 2;

/// How often, and how long each time, a full queue is waited for when none of its jobs is ours.
const PATIENCE: (u32, Duration) = (5000, Duration::from_micros(200));

/// Cuts text into members and has them packed.
#[derive(Debug)]
pub(super) struct Members {
    runtime: Runtime,
    session: Session,
    chunk: usize,
    filling: Vec<u8>,
    in_flight: VecDeque<JobFuture<Vec<u8>, Vec<u8>>>,
    spare: Vec<u8>,
    /// Whether there was a member: a gzip file has at least one.
    begun: bool,
}

impl Members {
    pub(super) fn new(runtime: &Runtime, level: Level, chunk: usize) -> Result<Self, Error> {
        let session = runtime.session(level.session(Format::Gzip)?)?;
        Ok(Self {
            runtime: runtime.clone(),
            session,
            chunk: chunk.clamp(1, member_len(runtime)),
            filling: Vec::new(),
            in_flight: VecDeque::with_capacity(IN_FLIGHT),
            spare: Vec::new(),
            begun: false,
        })
    }

    /// Keeps to a window, if nothing is packed yet.
    pub(super) fn keep_to(&mut self, window: u32) -> Result<(), Error> {
        if self.begun {
            let (operation, reason) = (Operation::Compress, "the stream has begun, with another window");
            return Err(Error::InvalidInput { operation, reason });
        }
        self.session = self.runtime.session(self.session.spec().clone().with_window(window)?)?;
        Ok(())
    }

    /// The buffer for text, and how much more it takes.
    pub(super) fn kept(&mut self) -> (&mut Vec<u8>, usize) {
        let room = self.chunk - self.filling.len();
        (&mut self.filling, room)
    }

    pub(super) fn take(&mut self, text: &[u8], output: &mut Output) -> Result<usize, Error> {
        if self.filling.len() == self.chunk {
            self.launch(output)?;
        }
        let len = text.len().min(self.chunk - self.filling.len());
        self.filling.extend_from_slice(&text[..len]);
        Ok(len)
    }

    pub(super) fn flush(&mut self, output: &mut Output) -> Result<(), Error> {
        if !self.filling.is_empty() {
            self.launch(output)?;
        }
        while !self.in_flight.is_empty() {
            self.collect(output)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, output: &mut Output) -> Result<(), Error> {
        if !self.begun && self.filling.is_empty() {
            self.launch(output)?;
        }
        self.flush(output)
    }

    /// Submits what was filled.
    fn launch(&mut self, output: &mut Output) -> Result<(), Error> {
        while self.in_flight.len() >= IN_FLIGHT {
            self.collect(output)?;
        }
        self.begun = true;
        let text = std::mem::replace(&mut self.filling, std::mem::take(&mut self.spare));
        let mut room = output.spare();
        room.clear();
        room.reserve_exact(bound(text.len()).unwrap_or(usize::MAX));
        let mut work = OwnedWork::session(&self.session, text, room);
        let (mut attempts, pause) = PATIENCE;
        loop {
            let rejected = match self.runtime.submit(work) {
                Ok(job) => {
                    self.in_flight.push_back(job);
                    return Ok(());
                }
                Err(rejected) => *rejected,
            };
            if !matches!(rejected.error, Error::QueueFull) || (self.in_flight.is_empty() && attempts == 0) {
                return Err(rejected.error);
            }
            work = rejected.work;
            if self.in_flight.is_empty() {
                attempts -= 1;
                std::thread::sleep(pause);
            } else {
                self.collect(output)?;
            }
        }
    }

    /// Waits for the oldest member.
    fn collect(&mut self, output: &mut Output) -> Result<(), Error> {
        let Some(job) = self.in_flight.pop_front() else { return Ok(()) };
        let Finished { result, buffers } = job.wait();
        let (packed, text) = match (result, buffers) {
            (Ok(_), Some((text, packed, ()))) => (packed, text),
            // The buffers are back, so the device is quiet: the same once more, with the CPU behind it.
            (Err(error), Some((text, room, ())))
                if error.is_device_failure() && self.runtime.fallback() != Fallback::Never =>
            {
                (self.again(&text, room)?, text)
            }
            (Err(error), _) => return Err(error),
            (Ok(_), None) => return Err(Error::Canceled),
        };
        let len = packed.len();
        output.push(packed, len);
        self.spare = text;
        self.spare.clear();
        Ok(())
    }

    #[cold]
    fn again(&self, text: &[u8], mut room: Vec<u8>) -> Result<Vec<u8>, Error> {
        room.clear();
        room.resize(bound(text.len()).unwrap_or(0), 0);
        let outcome = self.runtime.run(Work::session(&self.session, text, &mut room))?;
        room.truncate(written(&outcome));
        Ok(room)
    }
}
