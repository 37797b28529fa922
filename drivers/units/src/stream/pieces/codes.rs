//! Huffman codes (RFC 1951, 3.2.2) and the numbers behind their symbols.

/// The longest code.
const LONGEST: usize = 15;

/// A code, by the lengths of its words.
pub(super) struct Code {
    /// How many words there are of each length.
    counts: [u16; LONGEST + 1],
    /// The symbols, in the order of their words.
    symbols: [u16; 288],
}

/// How complete a set of lengths is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Every sequence of bits begins with a word.
    Complete,
    /// There are sequences that mean nothing.
    Incomplete,
}

/// Bits that were not read, least significant first.
#[derive(Clone, Copy)]
pub(super) struct Bits {
    pub(super) word: u64,
    pub(super) count: u8,
}

impl Bits {
    /// Takes so many bits, at most 32, if they are there.
    pub(super) fn take(&mut self, count: u8) -> Option<u32> {
        let rest = self.count.checked_sub(count)?;
        let value = self.word & ((1 << count) - 1);
        self.word >>= count;
        self.count = rest;
        u32::try_from(value).ok()
    }
}

impl Code {
    /// The code of these lengths, each at most 15; `None` if they are of no code.
    pub(super) fn new(lens: &[u8]) -> Option<(Self, Fit)> {
        let mut counts = [0_u16; LONGEST + 1];
        lens.iter().for_each(|len| counts[usize::from(*len)] += 1);
        let mut left = 1_i32;
        for count in &counts[1..] {
            left = (left << 1) - i32::from(*count);
            if left < 0 {
                return None;
            }
        }
        let mut offsets = [0_u16; LONGEST + 2];
        for len in 1..=LONGEST {
            offsets[len + 1] = offsets[len] + counts[len];
        }
        let mut symbols = [0; 288];
        for (symbol, len) in (0..).zip(lens).filter(|(_, len)| **len != 0) {
            let offset = &mut offsets[usize::from(*len)];
            symbols[usize::from(*offset)] = symbol;
            *offset += 1;
        }
        counts[0] = 0;
        Some((Self { counts, symbols }, if left == 0 { Fit::Complete } else { Fit::Incomplete }))
    }

    /// How many words it has.
    pub(super) fn words(&self) -> u16 {
        self.counts.iter().sum()
    }

    /// Whether its only words have one bit.
    pub(super) fn is_single(&self) -> bool {
        self.words() == self.counts[1] && self.words() <= 1
    }

    /// Reads a word.
    ///
    /// # Errors
    /// If the bits are of no word; [`None`] if there are not enough of them.
    pub(super) fn read(&self, bits: &mut Bits) -> Result<Option<u16>, NoWord> {
        let (mut word, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for count in &self.counts[1..] {
            let Some(bit) = bits.take(1) else { return Ok(None) };
            let count = u32::from(*count);
            word |= bit;
            if word < first + count {
                let at = index + word - first;
                return Ok(usize::try_from(at).ok().and_then(|at| self.symbols.get(at)).copied());
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        Err(NoWord)
    }
}

/// Bits that are of no word.
pub(super) struct NoWord;

/// Length codes 257 to 285: base and extra bits (RFC 1951, 3.2.5).
pub(super) const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// Distance codes: base and extra bits (RFC 1951, 3.2.5).
pub(super) const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// The order in which the lengths of the code for lengths come (RFC 1951, 3.2.7).
pub(super) const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
