//! Deflate (RFC 1951) in pieces, with all that is known between them in a few bytes and a window: for whoever has to put the state of a stream elsewhere.

mod codes;
mod state;

pub use state::InflateState;

use zlib_rs::{Deflate, DeflateFlush, Status as Progress};

use crate::Scratch;
use crate::deflate::{Format, Settings, WINDOW_BITS, clamp, deflate_engine, window_bits};

/// What pieces are made with, but for the window.
const SETTINGS: Settings = Settings { format: Format::Raw, level: 6, window_bits: WINDOW_BITS };

/// Bytes that a distance can go back (RFC 1951, 3.2.5).
pub const WINDOW: usize = 1 << 15;

/// Compresses one piece of a text, which follows on `before`: the last bytes of what came before, at most [`WINDOW`] of them. No distance is above `limit`, of which the next smaller power of two
/// is taken, at least 512.
///
/// The output is raw deflate, ends at a byte, and needs no more than itself and what came before for being decoded; with `finish` it ends the stream.
/// `None` if it does not fit; what was written is then unspecified.
pub fn deflate(
    scratch: &mut Scratch,
    limit: u32,
    before: &[u8],
    piece: &[u8],
    destination: &mut [u8],
    finish: bool,
) -> Option<usize> {
    let engine = scratch.pieces.ready(window_bits(limit))?;
    if !before.is_empty() {
        engine.set_dictionary(before).ok()?;
    }
    let flush = if finish { DeflateFlush::Finish } else { DeflateFlush::SyncFlush };
    let (mut consumed, mut produced) = (0, 0);
    loop {
        let before = (engine.total_in(), engine.total_out());
        let progress = engine.compress(&piece[consumed..], &mut destination[produced..], flush).ok()?;
        let (used, made) = (engine.total_in() - before.0, engine.total_out() - before.1);
        consumed += clamp(used, piece.len() - consumed);
        produced += clamp(made, destination.len() - produced);
        match progress {
            Progress::StreamEnd => return Some(produced),
            // With room left all that was to be flushed is out.
            _ if !finish && consumed == piece.len() && produced < destination.len() => return Some(produced),
            _ if produced == destination.len() || (used == 0 && made == 0) => return None,
            _ => {}
        }
    }
}

/// A worker's compressors of pieces, by window: zlib-rs cannot change it.
#[derive(Default)]
pub(crate) struct Compressors([Option<Box<Deflate>>; WINDOW_BITS as usize + 1]);

impl Compressors {
    /// The one with this window, at the beginning of a stream.
    fn ready(&mut self, window_bits: u8) -> Option<&mut Deflate> {
        let place = self.0.get_mut(usize::from(window_bits))?;
        let engine = place.get_or_insert_with(|| Box::new(deflate_engine(Settings { window_bits, ..SETTINGS })));
        engine.reset();
        Some(engine)
    }
}
