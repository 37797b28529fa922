//! XTS (IEEE 1619 section 5, NIST SP 800-38E) over the AES of RustCrypto. AWS-LC has no safe interface to the mode, and for
//! AES-128 none at all; the mode by itself is little: a tweak for each block, and the last two blocks.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Dec, Aes128Enc, Aes256Dec, Aes256Enc, Block};
use uaccel_queue::{Algorithm, Direction};

use crate::UnitError;

const BLOCK: usize = 16;

/// Blocks that are worked on at a time: as many as the widest vectors take, a few times over, and few enough for the nearest cache.
const RUN: usize = 64;

/// The two keys, expanded for one direction.
pub(super) struct XtsKey {
    data: Data,
    tweak: Tweak,
}

enum Data {
    Encrypt128(Aes128Enc),
    Decrypt128(Aes128Dec),
    Encrypt256(Aes256Enc),
    Decrypt256(Aes256Dec),
}

/// The key of the tweak encrypts in either direction.
enum Tweak {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl XtsKey {
    pub(super) fn new(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Result<Self, UnitError> {
        let (first, second) = key.split_at(key.len() / 2);
        let expand = || {
            Ok(match (algorithm, direction) {
                (Algorithm::Aes128Xts, Direction::Forward) => Self {
                    data: Data::Encrypt128(Aes128Enc::new_from_slice(first)?),
                    tweak: Tweak::Aes128(Aes128Enc::new_from_slice(second)?),
                },
                (Algorithm::Aes128Xts, Direction::Inverse) => Self {
                    data: Data::Decrypt128(Aes128Dec::new_from_slice(first)?),
                    tweak: Tweak::Aes128(Aes128Enc::new_from_slice(second)?),
                },
                (_, Direction::Forward) => Self {
                    data: Data::Encrypt256(Aes256Enc::new_from_slice(first)?),
                    tweak: Tweak::Aes256(Aes256Enc::new_from_slice(second)?),
                },
                (_, Direction::Inverse) => Self {
                    data: Data::Decrypt256(Aes256Dec::new_from_slice(first)?),
                    tweak: Tweak::Aes256(Aes256Enc::new_from_slice(second)?),
                },
            })
        };
        expand().map_err(|_: aes::cipher::InvalidLength| UnitError::Key(algorithm))
    }

    /// Encrypts or decrypts in place. `false` if the text is shorter than a block.
    pub(super) fn transform(&self, text: &mut [u8], iv: [u8; BLOCK]) -> bool {
        let tweak = self.first_tweak(iv);
        match &self.data {
            Data::Encrypt128(key) => transform(|blocks| key.encrypt_blocks(blocks), Direction::Forward, text, tweak),
            Data::Encrypt256(key) => transform(|blocks| key.encrypt_blocks(blocks), Direction::Forward, text, tweak),
            Data::Decrypt128(key) => transform(|blocks| key.decrypt_blocks(blocks), Direction::Inverse, text, tweak),
            Data::Decrypt256(key) => transform(|blocks| key.decrypt_blocks(blocks), Direction::Inverse, text, tweak),
        }
    }

    fn first_tweak(&self, iv: [u8; BLOCK]) -> u128 {
        let mut tweak = Block::from(iv);
        match &self.tweak {
            Tweak::Aes128(key) => key.encrypt_block(&mut tweak),
            Tweak::Aes256(key) => key.encrypt_block(&mut tweak),
        }
        u128::from_le_bytes(tweak.into())
    }
}

/// The tweak of the next block: times x modulo x^128 + x^7 + x^2 + x + 1, the first byte being the lowest (IEEE 1619 section 5.2).
const fn next(tweak: u128) -> u128 {
    // All ones if the highest bit is set: no branch depends on the tweak.
    let carry = (tweak >> 127).wrapping_neg();
    (tweak << 1) ^ (carry & 0x87)
}

fn transform(cipher: impl Fn(&mut [Block]), direction: Direction, text: &mut [u8], tweak: u128) -> bool {
    let rest = text.len() % BLOCK;
    if rest == 0 {
        run(&cipher, text, tweak);
        return !text.is_empty();
    }
    let Some((head, rest)) = text.split_at_mut_checked(text.len() - rest) else { return false };
    let Some((head, last)) = head.split_last_chunk_mut::<BLOCK>() else { return false };
    let tweak = run(&cipher, head, tweak);
    // Ciphertext stealing, section 5.3.2: the last whole block goes through the cipher twice, and between the two gives its first
    // bytes away for the incomplete one. Backwards the tweaks come in the other order.
    let tweaks = match direction {
        Direction::Forward => [tweak, next(tweak)],
        Direction::Inverse => [next(tweak), tweak],
    };
    run(&cipher, last, tweaks[0]);
    last[..rest.len()].swap_with_slice(rest);
    run(&cipher, last, tweaks[1]);
    true
}

/// Transforms whole blocks, and returns the tweak of the block behind them.
fn run(cipher: &impl Fn(&mut [Block]), text: &mut [u8], mut tweak: u128) -> u128 {
    let mut tweaks = [0; RUN];
    for piece in text.chunks_mut(RUN * BLOCK) {
        let (blocks, _) = Block::slice_as_chunks_mut(piece);
        let tweaks = &mut tweaks[..blocks.len()];
        for place in tweaks.iter_mut() {
            *place = tweak;
            tweak = next(tweak);
        }
        mask(blocks, tweaks);
        cipher(blocks);
        mask(blocks, tweaks);
    }
    tweak
}

fn mask(blocks: &mut [Block], tweaks: &[u128]) {
    for (block, tweak) in blocks.iter_mut().zip(tweaks) {
        block.0 = (u128::from_le_bytes(block.0) ^ tweak).to_le_bytes();
    }
}
