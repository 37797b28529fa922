//! One stream in pieces: by the device where it has streams, else on the CPU.

use uaccel_runtime::{Error, Fallback, Operation, Runtime, SessionSpec, Stream};
use uaccel_units::stream::{DeflateStream, InflateStream, State, Step};

use crate::detour::{self, Detour};
use crate::inflate;
use crate::sink::Sink;

/// The least room of a piece, and on the CPU all of it.
const PIECE: usize = 64 << 10;

/// What a device is given at a time, and the most room it gets, where that is not the caller's.
const AT_A_TIME: usize = 1 << 20;

/// A stream on its way.
#[derive(Debug)]
pub(crate) struct Passage {
    runtime: Runtime,
    spec: SessionSpec,
    way: Way,
    /// Nothing was used and nothing written: another way can still be taken.
    untouched: bool,
}

#[derive(Debug)]
enum Way {
    Device(Box<Stream>),
    Deflate(Box<DeflateStream>, Detour),
    Inflate(Box<InflateStream>, Detour),
}

/// Whether the device in use does streams like this, and the policy does not prefer the CPU for one of which so many bytes are known.
pub(crate) fn on_device(runtime: &Runtime, spec: &SessionSpec, len: u64) -> bool {
    let granted = runtime.granted();
    let is_short = matches!(runtime.fallback(), Fallback::Auto { below } if len < below);
    !is_short && granted.offers(spec) && granted.streams.contains(spec.algorithm(), spec.direction())
}

/// Whether a stream like this can be done in pieces by anybody.
pub(crate) fn possible(runtime: &Runtime, spec: &SessionSpec) -> bool {
    on_device(runtime, spec, u64::MAX) || detour::allowed(runtime)
}

impl Passage {
    /// A stream that is known to have at least `len` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the device has no streams, and the policy says never.
    pub(crate) fn begin(runtime: &Runtime, spec: &SessionSpec, len: u64) -> Result<Self, Error> {
        if !on_device(runtime, spec, len) {
            return Self::on_cpu(runtime, spec, len);
        }
        let way = Way::Device(Box::new(runtime.stream(spec.clone())?));
        Ok(Self { runtime: runtime.clone(), spec: spec.clone(), way, untouched: true })
    }

    /// The same on the CPU, counted as a fallback.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the policy says never.
    pub(crate) fn on_cpu(runtime: &Runtime, spec: &SessionSpec, len: u64) -> Result<Self, Error> {
        let operation = spec.operation();
        let detour = Detour::begin(runtime, operation, len)?;
        let way = match operation {
            Operation::Compress => {
                let stream = DeflateStream::new(spec).map_err(|cause| inflate::no_unit(&cause, spec))?;
                Way::Deflate(Box::new(stream), detour)
            }
            _ => Way::Inflate(Box::new(inflate::stream(spec)?), detour),
        };
        Ok(Self { runtime: runtime.clone(), spec: spec.clone(), way, untouched: true })
    }

    /// Whether the device does it.
    pub(crate) fn is_on_device(&self) -> bool {
        matches!(self.way, Way::Device(_))
    }

    /// Back to the beginning, for another stream. `false` if that is to be made anew.
    pub(crate) fn restart(&mut self) -> bool {
        self.untouched = true;
        match &mut self.way {
            Way::Device(stream) => {
                stream.restart();
                true
            }
            // Each stream is a fallback of its own.
            Way::Deflate(..) | Way::Inflate(..) => false,
        }
    }

    /// A good length for a piece of input.
    pub(crate) fn piece(&self) -> usize {
        if self.is_on_device() { AT_A_TIME } else { PIECE }
    }

    /// A good room for what comes of so many bytes.
    pub(crate) fn room(&self, len: usize) -> usize {
        let whole = match &self.way {
            // Enough for what does not compress; devices want to see that.
            Way::Device(_) if self.spec.operation() == Operation::Compress => {
                let len = len.min(AT_A_TIME);
                len + len.div_ceil(8) + Stream::ROOM
            }
            Way::Device(_) => len.saturating_mul(4).min(AT_A_TIME),
            Way::Deflate(..) | Way::Inflate(..) => PIECE,
        };
        whole.max(PIECE)
    }

    /// Takes the next piece, and writes what is ready, as streams of the CPU do; the room is at least [`Stream::ROOM`]. `last` says that nothing comes after it, in this call and all
    /// that follow.
    ///
    /// A device that fails, or has no room, before it has done anything is left for the CPU, if the policy allows that.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Truncated`]. A device that has failed for good in the middle of the stream, or [`Error::QueueFull`]; the call can be made again.
    pub(crate) fn process(&mut self, input: &[u8], output: &mut [u8], last: bool) -> Result<Step, Error> {
        let stream = match &mut self.way {
            Way::Device(stream) => stream,
            Way::Deflate(stream, detour) => {
                let step = stream.process(input, output, last).map_err(|error| inflate::failed(&error))?;
                detour.worked_on(step.consumed);
                return Ok(step);
            }
            Way::Inflate(stream, detour) => {
                let step = stream.process(input, output, last).map_err(inflate::error)?;
                detour.worked_on(step.consumed);
                return Ok(step);
            }
        };
        match stream.run(input, output, last) {
            Ok(step) => {
                let (consumed, produced) = (step.consumed, step.produced);
                let stands = consumed == 0 && produced == 0;
                self.untouched &= stands;
                let state = match step.ended {
                    true => State::End,
                    false if stands || consumed == input.len() && produced < output.len() => State::More,
                    false => State::NeedOutput,
                };
                Ok(Step { consumed, produced, state })
            }
            Err(error) if self.untouched && detour::helps(&self.runtime, &error) => {
                *self = Self::on_cpu(&self.runtime, &self.spec, input.len() as u64)?;
                self.process(input, output, last)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes all of `source`, up to the end of the stream, and says how much of it that was.
    ///
    /// # Errors
    /// As [`process`](Self::process); [`Error::OutputTooSmall`].
    pub(crate) fn all(&mut self, source: &[u8], sink: &mut impl Sink) -> Result<usize, Error> {
        let operation = self.spec.operation();
        let (mut used, mut written) = (0, 0_usize);
        loop {
            let rest = &source[used..];
            let wanted = match operation {
                Operation::Compress => rest.len().saturating_add(rest.len().div_ceil(8)).saturating_add(Stream::ROOM),
                _ => written.max(rest.len()),
            };
            let room = sink.room(wanted.max(4096));
            let mut little = [0; Stream::ROOM];
            let step = if room.len() < Stream::ROOM {
                let step = self.process(rest, &mut little, true)?;
                let Some(room) = room.get_mut(..step.produced) else {
                    return Err(sink.too_small(operation));
                };
                room.copy_from_slice(&little[..step.produced]);
                step
            } else {
                self.process(rest, room, true)?
            };
            used += step.consumed;
            written += step.produced;
            sink.took(step.produced);
            if step.state == State::End {
                return Ok(used);
            }
        }
    }
}
