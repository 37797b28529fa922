//! The engine in Rust: zlib-rs.

use uaccel_queue::{Outcome, Status};
use zlib_rs::{Deflate, DeflateError, DeflateFlush, Inflate, InflateError, InflateFlush, Status as Progress};

use super::{Format, Settings};
use crate::unit::too_small_for;

/// The largest window the format has, 32 KiB.
pub(crate) const WINDOW_BITS: u8 = 15;

#[derive(Default)]
pub(super) struct Engine {
    inflate: Option<Box<Inflate>>,
    deflate: Compressors,
}

/// Compressors, one for each settings that came up: zlib-rs can change nothing of them without making a stream anew. The one that was used last comes first.
#[derive(Default)]
struct Compressors(Vec<(Settings, Box<Deflate>)>);

impl Compressors {
    /// So many are kept; each has some 300 KiB. All formats and levels of one window.
    const MOST: usize = 30;

    /// The one for these settings, at the beginning of a stream.
    fn ready(&mut self, settings: Settings) -> Option<&mut Deflate> {
        match self.0.iter().position(|(of, _)| *of == settings) {
            Some(at) => self.0[..=at].rotate_right(1),
            None => {
                self.0.truncate(Self::MOST - 1);
                self.0.insert(0, (settings, Box::new(deflate_engine(settings))));
            }
        }
        let (_, engine) = self.0.first_mut()?;
        engine.reset();
        Some(engine)
    }
}

impl Engine {
    /// One raw or zlib stream. Reports a stream that ends early apart from one that is broken.
    pub(super) fn inflate(&mut self, format: Format, source: &[u8], destination: &mut [u8]) -> Outcome {
        let wrapped = format == Format::Zlib;
        let engine = self.inflate.get_or_insert_with(|| Box::new(Inflate::new(wrapped, WINDOW_BITS)));
        engine.reset(wrapped);
        match run(engine, source, destination) {
            Ok(outcome) => outcome,
            Err(InflateError::MemError) => Outcome::failed(Status::DeviceError),
            // A preset dictionary (RFC 1950 section 2.2, FDICT) counts as corrupt: a session cannot name one.
            Err(InflateError::DataError | InflateError::StreamError | InflateError::NeedDict { .. }) => {
                Outcome::failed(Status::Corrupt)
            }
        }
    }

    pub(super) fn compress(&mut self, settings: Settings, source: &[u8], destination: &mut [u8]) -> Outcome {
        let Some(engine) = self.deflate.ready(settings) else {
            return Outcome::failed(Status::DeviceError);
        };
        let (mut consumed, mut produced) = (0, 0);
        loop {
            // zlib-rs takes 4 GiB at a time; only the last piece may be told that it is the last.
            let rest = &source[consumed..];
            let (piece, flush) = match rest.get(..PIECE) {
                Some(piece) => (piece, DeflateFlush::NoFlush),
                None => (rest, DeflateFlush::Finish),
            };
            let before = (engine.total_in(), engine.total_out());
            let progress = engine.compress(piece, &mut destination[produced..], flush);
            let (used, made) = (engine.total_in() - before.0, engine.total_out() - before.1);
            consumed += clamp(used, piece.len());
            produced += clamp(made, destination.len() - produced);
            match progress {
                Ok(Progress::StreamEnd) => return Outcome::ok(consumed as u64, produced as u64),
                Ok(Progress::Ok | Progress::BufError) if used != 0 || made != 0 => {}
                Ok(Progress::Ok | Progress::BufError) => {
                    // The engine says that the stream is at its end only in a call that has room left, needed or not.
                    return match engine.compress(&[], &mut [0], DeflateFlush::Finish) {
                        Ok(Progress::StreamEnd)
                            if consumed == source.len() && engine.total_out() == produced as u64 =>
                        {
                            Outcome::ok(consumed as u64, produced as u64)
                        }
                        _ => too_small_for(settings.format.algorithm(), source),
                    };
                }
                Err(DeflateError::MemError) => return Outcome::failed(Status::DeviceError),
                Err(DeflateError::StreamError | DeflateError::DataError) => return Outcome::failed(Status::InvalidJob),
            }
        }
    }
}

/// A new compressor.
pub(crate) fn deflate_engine(settings: Settings) -> Deflate {
    let Settings { format, level, window_bits } = settings;
    // zlib's way to ask for a gzip wrapper is a window sixteen bits larger than there is.
    let (wrapped, bits) = match format {
        Format::Raw => (false, window_bits),
        Format::Zlib => (true, window_bits),
        Format::Gzip => (true, window_bits + 16),
    };
    Deflate::new(i32::from(level), wrapped, bits)
}

/// The most one call of zlib-rs is handed.
pub(crate) const PIECE: usize = 1 << 30;

/// The engine's counters are wider than a slice's length; what it reports never exceeds what it was handed.
pub(crate) fn clamp(count: u64, limit: usize) -> usize {
    usize::try_from(count).map_or(limit, |count| count.min(limit))
}

fn run(engine: &mut Inflate, source: &[u8], destination: &mut [u8]) -> Result<Outcome, InflateError> {
    let (mut consumed, mut produced) = (0, 0);
    loop {
        let (rest, room) = (&source[consumed..], &mut destination[produced..]);
        let full = room.is_empty();
        // `Finish` spares the engine its copy of the window where all goes in one call, and is harmless where it does not.
        let (progress, used, made) = step(engine, rest, room, InflateFlush::Finish)?;
        consumed += used;
        produced += made;
        match progress {
            Progress::StreamEnd => return Ok(Outcome::ok(consumed as u64, produced as u64)),
            Progress::Ok | Progress::BufError if used != 0 || made != 0 => {}
            Progress::Ok | Progress::BufError if !full => return Ok(Outcome::failed(Status::Truncated)),
            // The room is used up. One byte more tells whether the stream goes on, or is short as well.
            Progress::Ok | Progress::BufError => {
                let (progress, _, made) = step(engine, rest, &mut [0], InflateFlush::NoFlush)?;
                return Ok(match (progress, made) {
                    (Progress::StreamEnd, 0) => Outcome::ok(engine.total_in(), produced as u64),
                    (_, 0) => Outcome::failed(Status::Truncated),
                    _ => Outcome::failed(Status::OutputTooSmall),
                });
            }
        }
    }
}

/// One call: progress, bytes read, bytes written.
fn step(
    engine: &mut Inflate,
    source: &[u8],
    room: &mut [u8],
    flush: InflateFlush,
) -> Result<(Progress, usize, usize), InflateError> {
    let before = (engine.total_in(), engine.total_out());
    let progress = engine.decompress(source, room, flush)?;
    let used = clamp(engine.total_in() - before.0, source.len());
    let made = clamp(engine.total_out() - before.1, room.len());
    Ok((progress, used, made))
}
