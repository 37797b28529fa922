//! A job of a stream: it goes on where the one before stopped.
//!
//! What is known between two jobs stands in the stream's buffer and in the words that the host carries from entry to entry, and nowhere else, so that
//! the device knows nothing of streams. Jobs of one stream are therefore one behind the other: the next one is submitted when this one is answered.

use std::sync::{Arc, Mutex, PoisonError};

use uaccel_hisi_abi::zip::stream::{self, Halt, LARGEST_WINDOW, Progress, STATE, WINDOW};
use uaccel_hisi_abi::zip::{Carried, Ended, Entry, Status as Code};
use uaccel_queue::{Direction, Outcome, Status};
use uaccel_units::stream::State;
use uaccel_units::stream::pieces::{self, InflateState};

use super::engine::{Checksum, Engine, Trailer};
use crate::{Aftermath, Compute, Scratch, Task};

/// Bytes of the buffer that are read before a job: state and window.
pub(super) const READ: usize = WINDOW + LARGEST_WINDOW;

/// Where the part of the trailer that was read stands in the state: its bytes, and how many there are. Ours, as all of the state.
const TRAILER: usize = STATE + InflateState::SIZE;
/// How many bytes of the window count. Also in word 2 of the context, which the host carries.
const WINDOW_LEN: usize = TRAILER + 12;
/// Whether the stream has ended.
const OVER: usize = WINDOW_LEN + 4;

const _: () = assert!(OVER < WINDOW);

/// A job of a stream.
#[derive(Debug)]
pub(super) struct StreamJob {
    engine: Arc<Engine>,
    entry: Entry,
    aftermath: Mutex<Option<Aftermath>>,
}

/// What is known of a stream between two jobs.
struct Stream {
    /// The end of the text so far.
    window: Vec<u8>,
    inflate: InflateState,
    /// The part of the trailer that was read.
    trailer: Vec<u8>,
    over: bool,
    checksum: Checksum,
    len: u32,
}

impl StreamJob {
    pub(super) fn new(engine: Arc<Engine>, entry: Entry) -> Self {
        Self { engine, entry, aftermath: Mutex::default() }
    }

    /// What is known of the stream; `None` if it makes no sense.
    fn stream(&self, context: &[u8]) -> Option<Stream> {
        let trailer = self.engine.trailer();
        if self.entry.flow.new_stream {
            return Some(Stream {
                window: Vec::new(),
                inflate: InflateState::new(),
                trailer: Vec::new(),
                over: false,
                checksum: Checksum::new(trailer),
                len: 0,
            });
        }
        let word = |at: usize| Some(u32::from_le_bytes(*context.get(at..)?.first_chunk()?));
        let window_len = usize::try_from(word(WINDOW_LEN)?).ok()?;
        let read = usize::from(*context.get(TRAILER + 8)?);
        // The host can write here.
        if read > trailer.len() {
            return None;
        }
        Some(Stream {
            window: context.get(WINDOW..)?.get(..window_len)?.to_vec(),
            inflate: InflateState::decode(context.get(STATE..)?.first_chunk()?)?,
            trailer: context.get(TRAILER..TRAILER + 8)?.get(..read)?.to_vec(),
            over: *context.get(OVER)? != 0,
            checksum: Checksum::carried(trailer, self.entry.checksum),
            len: self.entry.running_len,
        })
    }

    /// Leaves what is known of the stream now.
    fn leave(&self, stream: &Stream, progress: Progress, ended: Ended) {
        let mut bytes = vec![0; WINDOW + stream.window.len()];
        bytes[STATE..][..InflateState::SIZE].copy_from_slice(&stream.inflate.encode());
        bytes[TRAILER..][..stream.trailer.len()].copy_from_slice(&stream.trailer);
        bytes[TRAILER + 8] = stream.trailer.len().to_le_bytes()[0];
        let window_len = u32::try_from(stream.window.len()).unwrap_or(0);
        bytes[WINDOW_LEN..][..4].copy_from_slice(&window_len.to_le_bytes());
        bytes[OVER] = stream.over.into();
        bytes[WINDOW..].copy_from_slice(&stream.window);
        let carried = Carried {
            context_words: [progress.encode(), 0, window_len],
            running_len: stream.len,
            checksum: stream.checksum.register(),
        };
        let aftermath = Aftermath { bytes, words: words(self.entry.destination_len, carried, ended) };
        *self.aftermath.lock().unwrap_or_else(PoisonError::into_inner) = Some(aftermath);
    }

    fn compress(&self, stream: &mut Stream, scratch: &mut Scratch, source: &[u8], destination: &mut [u8]) -> Outcome {
        let trailer = self.engine.trailer();
        let finish = self.entry.flow.finish;
        if stream.over || (source.is_empty() && !finish) {
            self.leave(stream, Progress::default(), Ended::new(Code::Ok, stream.over));
            return Outcome::ok(0, 0);
        }
        // All of it, and the end if it is to be finished; or as much of it as there is room for. Without the end not all of what is to be finished: all of it means the end.
        let mut tries = vec![(source.len(), finish)];
        let mut len = source.len() / 2;
        while len != 0 {
            tries.push((len, false));
            len /= 2;
        }
        for (len, ends) in tries {
            let Some(room) = destination.len().checked_sub(if ends { trailer.len() } else { 0 }) else { continue };
            let (window, piece) = (&stream.window, &source[..len]);
            let made = pieces::deflate(scratch, self.engine.window(), window, piece, &mut destination[..room], ends);
            let Some(made) = made else { continue };
            stream.took(piece);
            let mut produced = made;
            if ends {
                produced += trailer.len();
                stream.checksum.write(stream.len, &mut destination[made..produced]);
                stream.over = true;
            }
            let grown = produced > len;
            self.leave(stream, Progress::default(), Ended::new(if grown { Code::Grown } else { Code::Ok }, ends));
            return Outcome::ok(len as u64, produced as u64);
        }
        Outcome::failed(Status::OutputTooSmall)
    }

    fn decompress(&self, stream: &mut Stream, source: &[u8], destination: &mut [u8]) -> Outcome {
        let (mut consumed, mut produced) = (0, 0);
        let mut full = false;
        if !stream.inflate.is_at_end() {
            let Ok(step) = stream.inflate.process(&stream.window, source, destination) else {
                return Outcome::failed(Status::Corrupt);
            };
            (consumed, produced) = (step.consumed, step.produced);
            full = step.state == State::NeedOutput;
            stream.took(&destination[..produced]);
        }
        if stream.inflate.is_at_end() && !stream.over {
            let wanted = self.engine.trailer().len() - stream.trailer.len();
            let found = &source[consumed..][..wanted.min(source.len() - consumed)];
            stream.trailer.extend_from_slice(found);
            consumed += found.len();
            if found.len() == wanted {
                let mut expected = vec![0; stream.trailer.len()];
                stream.checksum.write(stream.len, &mut expected);
                if expected != stream.trailer {
                    return Outcome::failed(Status::Corrupt);
                }
                stream.over = true;
            }
        }
        let last_block = stream.inflate.in_last_block();
        let halt = match (full, last_block) {
            (true, true) => Halt::LastBlock,
            (true, false) => Halt::Block,
            (false, _) if stream.inflate.between_blocks() => Halt::Between,
            (false, _) => Halt::Input,
        };
        let progress = Progress { halt, last_block, bits: stream.inflate.bits() };
        let code = if stream.over { Code::StreamEnd } else { Code::Ok };
        self.leave(stream, progress, Ended::new(code, stream.over));
        Outcome::ok(consumed as u64, produced as u64)
    }
}

impl Stream {
    /// More of the text is known.
    fn took(&mut self, text: &[u8]) {
        self.checksum.update(text);
        // Modulo 2³², as gzip has it; a job's lengths have no more bits.
        self.len = self.len.wrapping_add(u32::try_from(text.len()).unwrap_or(0));
        let keep = LARGEST_WINDOW.saturating_sub(text.len());
        self.window.drain(..self.window.len().saturating_sub(keep));
        self.window.extend_from_slice(&text[text.len().saturating_sub(LARGEST_WINDOW)..]);
    }
}

impl Compute for StreamJob {
    fn compute(&self, task: &Task<'_>, scratch: &mut Scratch, destination: &mut [u8]) -> Outcome {
        let Some(mut stream) = self.stream(task.aux) else { return Outcome::failed(Status::InvalidJob) };
        match self.engine.direction() {
            Direction::Forward => self.compress(&mut stream, scratch, task.source, destination),
            Direction::Inverse => self.decompress(&mut stream, task.source, destination),
        }
    }

    fn aftermath(&self) -> Option<Aftermath> {
        self.aftermath.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn cost(&self, bytes: u64) -> u64 {
        10_000 + bytes * 10
    }
}

/// What the answer of a job says of its stream, for [`said`].
fn words(destination_len: u32, carried: Carried, ended: Ended) -> Vec<u32> {
    let [first, second, third] = carried.context_words;
    vec![destination_len, first, second, third, carried.running_len, carried.checksum, ended.encode()]
}

/// What the answer of a job says of its stream: the room of its destination, what is carried, and how it ended; `None` for a job that is none of a stream.
pub(super) fn said(aftermath: &Aftermath) -> Option<(u32, Carried, Ended)> {
    let [destination_len, first, second, third, running_len, checksum, ended] = *aftermath.words.first_chunk()?;
    let carried = Carried { context_words: [first, second, third], running_len, checksum };
    Some((destination_len, carried, Ended::decode(ended)))
}

/// The running checksum as entries carry it.
pub(super) fn register(trailer: Trailer, sum: u32) -> u32 {
    if trailer == Trailer::Gzip { stream::gzip_register(sum) } else { sum }
}

/// The other way.
pub(super) fn sum(trailer: Trailer, register: u32) -> u32 {
    if trailer == Trailer::Gzip { stream::gzip_crc(register) } else { register }
}
