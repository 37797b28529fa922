//! One text in many jobs, each of which goes on where the one before stopped.

use std::time::Duration;

use uaccel_queue::{JobFlags, Operation, Outcome, SessionSpec, Status};

use crate::stream_state::StreamState;
use crate::work::RawWork;
use crate::{Error, Fallback, Runtime, Session};

/// A text that is compressed or decompressed piece by piece, on the device alone. Made by [`Runtime::stream`].
///
/// It can be used from any thread, and its jobs take whatever queue is free. What the device has to know from one job to the next is kept here.
///
/// ```
/// # use uaccel_runtime::{Algorithm, Direction, Error, Runtime, SessionSpec};
/// # fn main() -> Result<(), Error> {
/// # let runtime = Runtime::builder().device("sim-hisi-zip").build()?;
/// let spec = SessionSpec::compression(Algorithm::Zlib, Direction::Forward, None)?;
/// let mut stream = runtime.stream(spec)?;
/// let (mut packed, mut room) = (Vec::new(), vec![0; 64 << 10]);
/// let text = [&b"one piece, "[..], b"and another"];
/// for (number, piece) in text.iter().enumerate() {
///     let (mut rest, last) = (*piece, number + 1 == text.len());
///     loop {
///         let step = stream.run(rest, &mut room, last)?;
///         packed.extend_from_slice(&room[..step.produced]);
///         rest = &rest[step.consumed..];
///         if step.ended || rest.is_empty() && !last {
///             break;
///         }
///     }
/// }
/// assert_eq!(packed[..2], [0x78, 0x9c]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stream {
    runtime: Runtime,
    session: Session,
    state: StreamState,
    stage: Stage,
    /// Bytes that were used, and that were written.
    used: u64,
    written: u64,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No job was done: what the state holds counts for nothing.
    Fresh,
    Begun,
    Ended,
    Corrupt,
    Truncated,
}

/// What one call achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the source that were used. The rest is to come again.
    pub consumed: usize,
    /// Bytes at the start of the destination that were written.
    pub produced: usize,
    /// Whether the stream is at its end. Bytes of the source beyond `consumed` are then not part of it.
    pub ended: bool,
}

impl Stream {
    /// The least room of a call, in bytes.
    pub const ROOM: usize = uaccel_queue::stream::ROOM;

    pub(crate) fn new(runtime: &Runtime, spec: SessionSpec) -> Result<Self, Error> {
        let (device, granted) = (runtime.device(), runtime.granted());
        if !granted.offers(&spec) {
            return Err(Error::not_offered(device, granted, &spec));
        }
        let (algorithm, operation) = (spec.algorithm(), spec.operation());
        if !granted.streams.contains(algorithm, spec.direction()) {
            return Err(Error::UnsupportedStream { device: device.into(), algorithm, operation });
        }
        let Some(state) = StreamState::new(granted.stream_state) else {
            let cause = format!("a state of {} bytes is more than there are addresses", granted.stream_state);
            return Err(Error::device_failed(device, cause));
        };
        let session = Session::new(spec, runtime.inner.dropped.clone());
        Ok(Self { runtime: runtime.clone(), session, state, stage: Stage::Fresh, used: 0, written: 0 })
    }

    /// The parameters.
    #[must_use]
    pub fn spec(&self) -> &SessionSpec {
        self.session.spec()
    }

    /// Takes some of `source`, writes to the start of `destination`, and says how much of both. One job, of which everything is over when this returns.
    ///
    /// What was not used comes again with the next call, and more behind it if there is more. `last` says that there is nothing behind `source`; from then on it is
    /// said with what is left of that, until the stream has ended. A compressor writes when it has something to write, and all of it before its end. Of a source that is longer than the device takes in one job, only
    /// as much as it takes is offered.
    ///
    /// A compressor always gets on, if there is a source or `last`. So does a decompressor, unless the source is too short to go on with: then nothing is used, and it comes again with
    /// more behind it.
    ///
    /// # A device that fails
    /// After every error but [`Error::Corrupt`] and [`Error::Truncated`] the stream stands where it stood before the call, which can be made again; only the destination may have been written. If the device was to blame,
    /// the call itself does so once, as soon as the device is back, and [`Counters::repeats`](crate::Counters::repeats) counts it; unless the policy is [`Fallback::Never`], or its answer cannot be true. The device is waited for no longer than the
    /// runtime's deadline, and by the first call of a stream only where all queues are in use. Nothing of a stream is ever done by the CPU.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] with less than [`ROOM`](Self::ROOM) bytes of room. [`Error::Corrupt`]; [`Error::Truncated`], only with `last`, if the stream does not end within the source; after both the
    /// stream says the same until it is [started again](Self::restart). [`Error::InvalidInput`] after its end. Those of any job: see [`Error`].
    pub fn run(&mut self, source: &[u8], destination: &mut [u8], last: bool) -> Result<Step, Error> {
        let operation = self.session.operation();
        match self.stage {
            Stage::Fresh | Stage::Begun => {}
            Stage::Ended => return Err(Error::InvalidInput { operation, reason: "the stream has ended" }),
            Stage::Corrupt => return Err(Error::Corrupt(operation)),
            Stage::Truncated => return Err(Error::Truncated(operation)),
        }
        let most = usize::try_from(self.runtime.granted().max_transfer).unwrap_or(usize::MAX);
        let offered = &source[..source.len().min(most)];
        let is_cut = offered.len() < source.len();
        let mut flags = JobFlags::VOUCHED | JobFlags::STREAM;
        flags.set(JobFlags::FIRST, self.stage == Stage::Fresh);
        flags.set(JobFlags::LAST, last && !is_cut);
        if self.stage == Stage::Begun {
            self.state.keep();
        }
        let outcome = self.do_twice(offered, destination, flags)?;
        self.step(&outcome, (offered.len(), destination.len()), flags, is_cut)
    }

    /// Back to the beginning, with the same parameters, whatever has become of the stream.
    pub fn restart(&mut self) {
        self.stage = Stage::Fresh;
        (self.used, self.written) = (0, 0);
    }

    /// Does one job, and once more if the device fails.
    fn do_twice(&mut self, source: &[u8], destination: &mut [u8], flags: JobFlags) -> Result<Outcome, Error> {
        let error = match self.do_once(source, destination, flags) {
            Err(error) if error.may_pass() && self.runtime.fallback() != Fallback::Never => error,
            result => return result,
        };
        let device = &self.runtime.inner.device;
        tracing::debug!(device = device.name(), %error, "a job of a stream is done again");
        // Nothing is lost of a stream that has not begun: somebody else may do it.
        let patience = if self.stage == Stage::Fresh { Duration::ZERO } else { device.core.options.deadline };
        if device.come_back(patience).is_err() {
            return Err(error);
        }
        device.core.tally.repeats.add(1);
        self.do_once(source, destination, flags)
    }

    /// Does one job. After an error the state is as it was.
    fn do_once(&mut self, source: &[u8], destination: &mut [u8], flags: JobFlags) -> Result<Outcome, Error> {
        let (aux, aux_len) = self.state.bytes();
        let work = RawWork {
            session: Some(&self.session),
            source: source.as_ptr(),
            source_len: source.len(),
            destination: destination.as_mut_ptr(),
            destination_len: destination.len(),
            aux,
            aux_len,
            flags,
            ..RawWork::new(self.session.operation())
        };
        let result = self.runtime.inner.device.run(&work);
        if let Err(error) = &result {
            // A call with borrowed memory returns an error only when the device touches nothing of the job any more, its state included.
            self.state.put_back();
            match error {
                Error::Corrupt(_) => self.stage = Stage::Corrupt,
                Error::Truncated(_) => self.stage = Stage::Truncated,
                _ => {}
            }
        }
        result
    }

    /// What a good answer means for the stream, if it can be true.
    fn step(
        &mut self,
        outcome: &Outcome,
        (offered, room): (usize, usize),
        flags: JobFlags,
        is_cut: bool,
    ) -> Result<Step, Error> {
        let (consumed, produced) = (clamp(outcome.consumed, offered), clamp(outcome.produced, room));
        let (ended, last) = (outcome.status == Status::Ok, flags.contains(JobFlags::LAST));
        let compresses = self.session.operation() == Operation::Compress;
        let stands = consumed == 0 && produced == 0;
        let used = self.used.saturating_add(consumed as u64);
        let written = self.written.saturating_add(produced as u64);
        let lie = if ended && compresses && !(last && consumed == offered) {
            Some("ended a stream that goes on")
        } else if !ended && stands && (last || is_cut || compresses && offered != 0) {
            // Whoever calls again with the same would do so for ever.
            Some("does not get on with a stream")
        } else if compresses && written > most_written(used) {
            Some("writes more than there can be of what it compresses")
        } else {
            None
        };
        if let Some(lie) = lie {
            self.state.put_back();
            return Err(Error::device_failed(self.runtime.device(), lie));
        }
        (self.used, self.written) = (used, written);
        self.stage = if ended { Stage::Ended } else { Stage::Begun };
        Ok(Step { consumed, produced, ended })
    }
}

/// The most that a compressor may have written when it has used so many bytes: far more than any has reason to. One that writes more would do so for ever.
fn most_written(used: u64) -> u64 {
    const SLACK: u64 = 1 << 20;
    used.saturating_mul(4).saturating_add(SLACK)
}

/// A length that the runtime has checked against what was offered.
fn clamp(len: u64, most: usize) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(most)
}
