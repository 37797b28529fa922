//! Texts that packers find something in.

use arbitrary::{Arbitrary, Unstructured};

/// A text in short: a few bytes of input become up to some hundred thousand bytes of text.
#[derive(Clone, Debug, Arbitrary)]
pub struct Text {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, Arbitrary)]
enum Piece {
    /// As it stands.
    Plain(Vec<u8>),
    /// One byte, over and over.
    Run(u8, u16),
    /// What was there so many bytes ago, for so many bytes.
    Again(u16, u16),
    /// Bytes in which nothing repeats.
    Noise(u32, u16),
}

impl Text {
    /// The text, cut off at `most` bytes.
    #[must_use]
    pub fn bytes(&self, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Plain(plain) => bytes.extend_from_slice(plain),
                Piece::Run(byte, count) => bytes.resize(bytes.len() + usize::from(*count), *byte),
                Piece::Again(back, count) => {
                    let from = bytes.len().saturating_sub(usize::from(*back).max(1));
                    for at in from..from + usize::from(*count) {
                        let Some(byte) = bytes.get(at).copied() else { break };
                        bytes.push(byte);
                    }
                }
                Piece::Noise(seed, count) => {
                    let mut state = *seed | 1;
                    bytes.extend((0..*count).map(|_| {
                        state ^= state << 13;
                        state ^= state >> 17;
                        state ^= state << 5;
                        state.to_le_bytes()[1]
                    }));
                }
            }
            if bytes.len() >= most {
                bytes.truncate(most);
                break;
            }
        }
        bytes
    }
}

/// Places at which a stream is damaged, and how.
#[derive(Clone, Debug, Default, Arbitrary)]
pub struct Damage {
    flips: Vec<(u16, u8)>,
    cut: Option<u16>,
    tail: Vec<u8>,
}

impl Damage {
    /// None, most of the time: streams that break at once teach a fuzzer little.
    ///
    /// # Errors
    /// If the input ends.
    pub fn rarely(u: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        if u.ratio(1, 3)? { u.arbitrary() } else { Ok(Self::default()) }
    }

    /// Damages a stream.
    pub fn strike(&self, stream: &mut Vec<u8>) {
        for (at, flip) in &self.flips {
            let len = stream.len();
            if let Some(byte) = stream.get_mut(usize::from(*at) % len.max(1)) {
                *byte ^= flip;
            }
        }
        if let Some(cut) = self.cut {
            stream.truncate(usize::from(cut));
        }
        stream.extend_from_slice(&self.tail);
    }
}

/// Lengths of the pieces in which something is handed over, again from the start when they are used up. Never 0 and never none.
#[derive(Clone, Debug)]
pub struct Pieces(Vec<usize>, usize);

impl<'a> Arbitrary<'a> for Pieces {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = u.int_in_range(1..=6)?;
        let lens: arbitrary::Result<_> = (0..count)
            .map(|_| {
                Ok(match u.int_in_range(0..=3)? {
                    0 => 1,
                    1 => u.int_in_range(1..=16)?,
                    2 => u.int_in_range(1..=700)?,
                    _ => u.int_in_range(1..=0x1_ffff)?,
                })
            })
            .collect();
        Ok(Self(lens?, 0))
    }
}

impl Pieces {
    /// The next length.
    pub fn advance(&mut self) -> usize {
        self.1 += 1;
        self.0[(self.1 - 1) % self.0.len()]
    }
}
