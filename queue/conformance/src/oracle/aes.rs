//! AES as FIPS 197 writes it down, byte by byte, and the modes of NIST SP 800-38A and 800-38E over it. Slow, with nothing of any
//! library in it.

use uaccel_queue::Algorithm;

const BLOCK: usize = 16;

/// The ciphertext of a text whose length the algorithm takes.
pub(crate) fn encrypt(algorithm: Algorithm, key: &[u8], iv: [u8; BLOCK], text: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Aes128Cbc | Algorithm::Aes256Cbc => cbc(&Aes::new(key), iv, text),
        Algorithm::Aes128Ctr | Algorithm::Aes256Ctr => ctr(&Aes::new(key), iv, text),
        Algorithm::Aes128Xts | Algorithm::Aes256Xts => {
            let (data, tweak) = key.split_at(key.len() / 2);
            xts(&Aes::new(data), &Aes::new(tweak), iv, text)
        }
        _ => panic!("{algorithm} is no cipher of AES"),
    }
}

/// SP 800-38A, section 6.2.
fn cbc(aes: &Aes, iv: [u8; BLOCK], text: &[u8]) -> Vec<u8> {
    let (blocks, rest) = text.as_chunks();
    assert!(rest.is_empty(), "whole blocks");
    let chain = blocks.iter().scan(iv, |before, block| {
        *before = aes.encrypt(xor(*before, *block));
        Some(*before)
    });
    chain.flatten().collect()
}

/// SP 800-38A, section 6.5, with the incrementing function of its appendix B.1 over all 128 bits.
fn ctr(aes: &Aes, iv: [u8; BLOCK], text: &[u8]) -> Vec<u8> {
    let counters = (0..).map(|index| u128::from_be_bytes(iv).wrapping_add(index).to_be_bytes());
    let stream = counters.flat_map(|counter| aes.encrypt(counter));
    text.iter().zip(stream).map(|(byte, mask)| byte ^ mask).collect()
}

/// IEEE 1619, section 5.3.
fn xts(data: &Aes, tweak: &Aes, iv: [u8; BLOCK], text: &[u8]) -> Vec<u8> {
    let mut tweaks = std::iter::successors(Some(tweak.encrypt(iv)), |tweak| Some(times_x(*tweak)));
    let mut block = |block: [u8; BLOCK]| {
        let tweak = tweaks.next().expect("there is always another");
        xor(data.encrypt(xor(block, tweak)), tweak)
    };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut made: Vec<[u8; BLOCK]> = blocks.iter().map(|plain| block(*plain)).collect();
    let mut stolen = Vec::new();
    if let Some(last) = made.last_mut().filter(|_| !rest.is_empty()) {
        stolen = last[..rest.len()].to_vec();
        last[..rest.len()].copy_from_slice(rest);
        *last = block(*last);
    }
    [made.concat(), stolen].concat()
}

/// A tweak times the primitive element, section 5.2: the bits move up through the bytes.
fn times_x(tweak: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut carry = 0;
    let mut product = tweak.map(|byte| {
        let moved = byte << 1 | carry;
        carry = byte >> 7;
        moved
    });
    product[0] ^= 0x87 * carry;
    product
}

fn xor(a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
    std::array::from_fn(|at| a[at] ^ b[at])
}

/// The block cipher, with its key expanded: a key for the start, and one for each round.
struct Aes(Vec<[u8; BLOCK]>);

/// The inverse in the field, then an affine transformation: section 5.1.1.
const S_BOX: [u8; 256] = {
    // The powers of 3 are all elements but zero; the inverse of the n-th is the (255 - n)-th.
    let mut powers = [1_u8; 256];
    let mut n = 1;
    while n < 256 {
        powers[n] = powers[n - 1] ^ double(powers[n - 1]);
        n += 1;
    }
    let mut s_box = [0x63; 256];
    n = 0;
    while n < 255 {
        let inverse = powers[255 - n];
        let mut turn = 0;
        while turn < 5 {
            s_box[powers[n] as usize] ^= inverse.rotate_left(turn);
            turn += 1;
        }
        n += 1;
    }
    s_box
};

impl Aes {
    /// Section 5.2.
    fn new(key: &[u8]) -> Self {
        let mut words: Vec<[u8; 4]> = key.as_chunks().0.to_vec();
        let of_key = words.len();
        assert!([4, 8].contains(&of_key), "16 or 32 bytes");
        let mut constant = 1;
        for at in of_key..4 * (of_key + 7) {
            let mut word = words[at - 1];
            if at % of_key == 0 {
                word.rotate_left(1);
                word = word.map(|byte| S_BOX[usize::from(byte)]);
                word[0] ^= constant;
                constant = double(constant);
            } else if of_key > 6 && at % of_key == 4 {
                word = word.map(|byte| S_BOX[usize::from(byte)]);
            }
            words.push(std::array::from_fn(|byte| words[at - of_key][byte] ^ word[byte]));
        }
        Self(words.as_flattened().as_chunks().0.to_vec())
    }

    /// Section 5.1.
    fn encrypt(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut state = xor(block, self.0[0]);
        for (round, key) in self.0.iter().enumerate().skip(1) {
            let substituted = state.map(|byte| S_BOX[usize::from(byte)]);
            // The state is a square by columns; row r moves r places.
            state = std::array::from_fn(|at| substituted[(at + 4 * (at % 4)) % BLOCK]);
            if round < self.0.len() - 1 {
                state = mix(state);
            }
            state = xor(state, *key);
        }
        state
    }
}

/// The columns, each times a matrix: section 5.1.3.
fn mix(state: [u8; BLOCK]) -> [u8; BLOCK] {
    std::array::from_fn(|at| {
        let column = &state[at / 4 * 4..][..4];
        let row = |offset: usize| column[(at % 4 + offset) % 4];
        double(row(0)) ^ double(row(1)) ^ row(1) ^ row(2) ^ row(3)
    })
}

/// Times x in the field: section 4.2.
const fn double(byte: u8) -> u8 {
    (byte << 1) ^ (0x1b * (byte >> 7))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::hex;

    #[test]
    fn the_examples_of_fips_197() {
        // Appendix C.1 and C.3.
        let text: [u8; 16] = hex("00112233445566778899aabbccddeeff").try_into().expect("a block");
        let key = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        assert_eq!(Aes::new(&key[..16]).encrypt(text).to_vec(), hex("69c4e0d86a7b0430d8cdb78070b4c55a"));
        assert_eq!(Aes::new(&key).encrypt(text).to_vec(), hex("8ea2b7ca516745bfeafc49904b496089"));
    }
}
