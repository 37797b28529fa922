//! Decompression that can be put aside anywhere, and gone on with by somebody else.

use super::super::{State, Step, StreamError};
use super::codes::{Bits, Code, DISTANCES, Fit, LENGTHS, NoWord, ORDER};

/// Lengths of both codes of a block, at most.
const LENS: usize = 286 + 30;

/// All that is known of a raw deflate stream between two pieces of it, but for the last 32 KiB of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InflateState {
    phase: Phase,
    /// Whether this is the last block.
    last: bool,
    /// Bits that were taken and not read.
    bits: u64,
    bit_count: u8,
    /// How many lengths of a code are known.
    known: u16,
    /// How many words each code of the block has: literals and lengths, distances, lengths of codes.
    words: [u16; 3],
    /// The lengths of the code for lengths.
    meta: [u8; 19],
    /// The lengths of the codes for literals and for distances, one behind the other.
    lens: [u8; LENS],
    /// Bytes of a copy, or of a stored block, that are left.
    left: u16,
    /// How far back the copy is from.
    distance: u16,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Block,
    StoredHead,
    Stored,
    Counts,
    Meta,
    Lens,
    Symbols,
    Copy,
    End,
}

impl Phase {
    const ALL: [Self; 9] = [
        Self::Block,
        Self::StoredHead,
        Self::Stored,
        Self::Counts,
        Self::Meta,
        Self::Lens,
        Self::Symbols,
        Self::Copy,
        Self::End,
    ];
}

/// Why a piece ends.
enum Halt {
    Dry,
    Full,
    Corrupt,
}

impl From<NoWord> for Halt {
    fn from(NoWord: NoWord) -> Self {
        Self::Corrupt
    }
}

/// Input and output of one piece.
struct Piece<'a> {
    window: &'a [u8],
    source: &'a [u8],
    destination: &'a mut [u8],
    taken: usize,
    produced: usize,
}

impl InflateState {
    /// Bytes of a state.
    pub const SIZE: usize = 376;

    /// A stream at its beginning.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Block,
            last: false,
            bits: 0,
            bit_count: 0,
            known: 0,
            words: [0; 3],
            meta: [0; 19],
            lens: [0; LENS],
            left: 0,
            distance: 0,
        }
    }

    /// Whether the stream is at its end.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.phase == Phase::End
    }

    /// Whether the last block has begun.
    #[must_use]
    pub fn in_last_block(&self) -> bool {
        self.last
    }

    /// Whether the next block has not begun.
    #[must_use]
    pub fn between_blocks(&self) -> bool {
        self.phase == Phase::Block
    }

    /// Bits that were taken and not read.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bit_count
    }

    /// The bytes. No byte's meaning is anybody else's business.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = self.phase as u8;
        bytes[1] = self.last.into();
        bytes[2] = self.bit_count;
        bytes[8..16].copy_from_slice(&self.bits.to_le_bytes());
        let [literals, distances, meta] = self.words;
        for (at, value) in [self.known, literals, distances, meta, self.left, self.distance].into_iter().enumerate() {
            bytes[16 + 2 * at..][..2].copy_from_slice(&value.to_le_bytes());
        }
        bytes[32..51].copy_from_slice(&self.meta);
        bytes[56..56 + LENS].copy_from_slice(&self.lens);
        bytes
    }

    /// Reads a state; `None` if it is none.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let half = |at: usize| u16::from_le_bytes([bytes[16 + 2 * at], bytes[17 + 2 * at]]);
        let mut state = Self::new();
        state.phase = *Phase::ALL.get(usize::from(bytes[0]))?;
        state.last = bytes[1] != 0;
        state.bit_count = bytes[2];
        state.bits = u64::from_le_bytes(*bytes[8..].first_chunk()?);
        state.known = half(0);
        state.words = [half(1), half(2), half(3)];
        state.left = half(4);
        state.distance = half(5);
        state.meta.copy_from_slice(&bytes[32..51]);
        state.lens.copy_from_slice(&bytes[56..56 + LENS]);
        let possible = state.bit_count < 64
            && state.bits >> state.bit_count == 0
            && state.words[0] <= 286
            && state.words[1] <= 30
            && state.words[2] <= 19
            && state.known <= state.words[0] + state.words[1]
            && (state.phase != Phase::Meta || state.known <= state.words[2])
            && state.meta.iter().all(|len| *len < 8)
            && state.lens.iter().all(|len| *len < 16)
            && (state.phase != Phase::Copy || state.distance != 0);
        possible.then_some(state)
    }

    /// Takes the next piece of the stream. `window` is the end of the text so far, all of it or at least 32 KiB.
    ///
    /// All of the piece is used unless the destination is full or the stream at its end. The destination being full, the end of the stream is found if it is
    /// in the piece.
    ///
    /// # Errors
    /// [`StreamError::Corrupt`]; the state is of no use then.
    pub fn process(&mut self, window: &[u8], source: &[u8], destination: &mut [u8]) -> Result<Step, StreamError> {
        let mut piece = Piece { window, source, destination, taken: 0, produced: 0 };
        let mut codes = None;
        let state = loop {
            match self.step(&mut piece, &mut codes) {
                Ok(()) if self.is_at_end() => break State::End,
                Ok(()) => {}
                Err(Halt::Dry) => break State::More,
                Err(Halt::Full) => break State::NeedOutput,
                Err(Halt::Corrupt) => return Err(StreamError::Corrupt),
            }
        };
        if state != State::More {
            // What was taken ahead is given back. Of an earlier piece there is none: it ended for want of it.
            let ahead = usize::from(self.bit_count / 8).min(piece.taken);
            piece.taken -= ahead;
            self.bit_count -= u8::try_from(8 * ahead).unwrap_or(0);
            self.bits &= (1 << self.bit_count) - 1;
        }
        Ok(Step { consumed: piece.taken, produced: piece.produced, state })
    }

    /// Does as much as needs no decision in between.
    fn step(&mut self, piece: &mut Piece<'_>, codes: &mut Option<(Code, Code)>) -> Result<(), Halt> {
        self.refill(piece);
        let mut bits = Bits { word: self.bits, count: self.bit_count };
        match self.phase {
            Phase::Block => {
                let head = bits.take(3).ok_or(Halt::Dry)?;
                self.last = head & 1 != 0;
                *codes = None;
                match head >> 1 {
                    0 => {
                        bits.take(bits.count % 8).ok_or(Halt::Dry)?;
                        self.phase = Phase::StoredHead;
                    }
                    1 => {
                        self.fix();
                        self.phase = Phase::Symbols;
                    }
                    2 => self.phase = Phase::Counts,
                    _ => return Err(Halt::Corrupt),
                }
                self.keep(bits);
            }
            Phase::StoredHead => {
                let len = bits.take(32).ok_or(Halt::Dry)?;
                let [a, b, c, d] = len.to_le_bytes();
                if [!a, !b] != [c, d] {
                    return Err(Halt::Corrupt);
                }
                self.left = u16::from_le_bytes([a, b]);
                self.phase = Phase::Stored;
                self.keep(bits);
            }
            Phase::Stored => {
                while self.left != 0 {
                    if piece.produced == piece.destination.len() {
                        return Err(Halt::Full);
                    }
                    self.refill(piece);
                    let mut bits = Bits { word: self.bits, count: self.bit_count };
                    let byte = bits.take(8).ok_or(Halt::Dry)?;
                    piece.put(byte.to_le_bytes()[0]);
                    self.left -= 1;
                    self.keep(bits);
                }
                self.end_block();
            }
            Phase::Counts => {
                let counts = bits.take(14).ok_or(Halt::Dry)?;
                let field = |shift: u32, width: u32, base: u16| {
                    u16::try_from(counts >> shift & ((1 << width) - 1)).map_or(base, |field| field + base)
                };
                self.words = [field(0, 5, 257), field(5, 5, 1), field(10, 4, 4)];
                if self.words[0] > 286 || self.words[1] > 30 {
                    return Err(Halt::Corrupt);
                }
                (self.meta, self.lens, self.known, self.phase) = ([0; 19], [0; LENS], 0, Phase::Meta);
                self.keep(bits);
            }
            Phase::Meta => {
                while self.known < self.words[2] {
                    let len = bits.take(3).ok_or(Halt::Dry)?;
                    self.meta[usize::from(ORDER[usize::from(self.known)])] = len.to_le_bytes()[0];
                    self.known += 1;
                    self.keep(bits);
                    self.refill(piece);
                    bits = Bits { word: self.bits, count: self.bit_count };
                }
                (self.known, self.phase) = (0, Phase::Lens);
            }
            Phase::Lens => self.read_lens(piece)?,
            Phase::Symbols => self.read_symbols(piece, codes)?,
            Phase::Copy => {
                let distance = usize::from(self.distance);
                while self.left != 0 {
                    if piece.produced == piece.destination.len() {
                        return Err(Halt::Full);
                    }
                    let byte = piece.back(distance).ok_or(Halt::Corrupt)?;
                    piece.put(byte);
                    self.left -= 1;
                }
                self.phase = Phase::Symbols;
            }
            Phase::End => {}
        }
        Ok(())
    }

    /// Takes bytes while there is room for their bits.
    fn refill(&mut self, piece: &mut Piece<'_>) {
        while self.bit_count <= 55
            && let Some(byte) = piece.source.get(piece.taken)
        {
            self.bits |= u64::from(*byte) << self.bit_count;
            self.bit_count += 8;
            piece.taken += 1;
        }
    }

    fn keep(&mut self, bits: Bits) {
        (self.bits, self.bit_count) = (bits.word, bits.count);
    }

    fn end_block(&mut self) {
        self.phase = if self.last { Phase::End } else { Phase::Block };
        if self.last {
            let rest = self.bit_count % 8;
            self.bits >>= rest;
            self.bit_count -= rest;
        }
    }

    /// The lengths of the fixed codes (RFC 1951, 3.2.6). Those of the two words for literals that never occur count as well, and are known anyway.
    fn fix(&mut self) {
        (self.words, self.known) = ([0, 0, 0], 0);
    }

    fn read_lens(&mut self, piece: &mut Piece<'_>) -> Result<(), Halt> {
        let (meta, fit) = Code::new(&self.meta).ok_or(Halt::Corrupt)?;
        if fit != Fit::Complete {
            return Err(Halt::Corrupt);
        }
        let all = self.words[0] + self.words[1];
        while self.known < all {
            self.refill(piece);
            let mut bits = Bits { word: self.bits, count: self.bit_count };
            let symbol = meta.read(&mut bits)?.ok_or(Halt::Dry)?;
            let known = usize::from(self.known);
            let (len, times) = match symbol {
                16 if known == 0 => return Err(Halt::Corrupt),
                16 => (self.lens[known - 1], 3 + bits.take(2).ok_or(Halt::Dry)?),
                17 => (0, 3 + bits.take(3).ok_or(Halt::Dry)?),
                18 => (0, 11 + bits.take(7).ok_or(Halt::Dry)?),
                len => (len.to_le_bytes()[0], 1),
            };
            let times = u16::try_from(times).unwrap_or(u16::MAX);
            if times > all - self.known {
                return Err(Halt::Corrupt);
            }
            self.lens[known..known + usize::from(times)].fill(len);
            self.known += times;
            self.keep(bits);
        }
        // Without a word for the end of the block there is none.
        if self.lens[256] == 0 {
            return Err(Halt::Corrupt);
        }
        self.phase = Phase::Symbols;
        Ok(())
    }

    /// The codes of the block.
    fn codes(&self) -> Option<(Code, Code)> {
        let [literals, distances, _] = self.words.map(usize::from);
        if literals == 0 {
            let mut lens = [8; 288];
            lens[144..256].fill(9);
            lens[256..280].fill(7);
            return Some((Code::new(&lens)?.0, Code::new(&[5; 30])?.0));
        }
        let (literal_lens, rest) = self.lens.split_at(literals);
        let (literals, fit) = Code::new(literal_lens)?;
        let (distances, distance_fit) = Code::new(&rest[..distances])?;
        // A code of one word has one bit for it (RFC 1951, 3.2.7), and only then may there be bits that mean nothing.
        let fits = |code: &Code, fit| fit == Fit::Complete || code.is_single();
        (fits(&literals, fit) && fits(&distances, distance_fit)).then_some((literals, distances))
    }

    fn read_symbols(&mut self, piece: &mut Piece<'_>, codes: &mut Option<(Code, Code)>) -> Result<(), Halt> {
        if codes.is_none() {
            *codes = Some(self.codes().ok_or(Halt::Corrupt)?);
        }
        let Some((literals, distances)) = codes else { return Err(Halt::Corrupt) };
        loop {
            self.refill(piece);
            let mut bits = Bits { word: self.bits, count: self.bit_count };
            let symbol = literals.read(&mut bits)?.ok_or(Halt::Dry)?;
            match symbol {
                0..256 => {
                    if piece.produced == piece.destination.len() {
                        return Err(Halt::Full);
                    }
                    piece.put(symbol.to_le_bytes()[0]);
                    self.keep(bits);
                }
                256 => {
                    self.keep(bits);
                    self.end_block();
                    return Ok(());
                }
                _ => {
                    let (len, extra) = *LENGTHS.get(usize::from(symbol - 257)).ok_or(Halt::Corrupt)?;
                    let len = u32::from(len) + bits.take(extra).ok_or(Halt::Dry)?;
                    let symbol = distances.read(&mut bits)?.ok_or(Halt::Dry)?;
                    let (distance, extra) = *DISTANCES.get(usize::from(symbol)).ok_or(Halt::Corrupt)?;
                    let distance = u32::from(distance) + bits.take(extra).ok_or(Halt::Dry)?;
                    self.left = u16::try_from(len).map_err(|_| Halt::Corrupt)?;
                    self.distance = u16::try_from(distance).map_err(|_| Halt::Corrupt)?;
                    if piece.back(usize::from(self.distance)).is_none() {
                        return Err(Halt::Corrupt);
                    }
                    self.phase = Phase::Copy;
                    self.keep(bits);
                    return Ok(());
                }
            }
        }
    }
}

impl Default for InflateState {
    fn default() -> Self {
        Self::new()
    }
}

impl Piece<'_> {
    /// The byte so far back in the text.
    fn back(&self, distance: usize) -> Option<u8> {
        match self.produced.checked_sub(distance) {
            Some(at) => self.destination.get(at).copied(),
            None => self.window.len().checked_sub(distance - self.produced).map(|at| self.window[at]),
        }
    }

    fn put(&mut self, byte: u8) {
        if let Some(place) = self.destination.get_mut(self.produced) {
            *place = byte;
            self.produced += 1;
        }
    }
}
