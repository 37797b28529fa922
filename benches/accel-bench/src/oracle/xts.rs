//! XTS (IEEE 1619 section 5.3) over the AES of AWS-LC, which offers the block cipher by itself.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};

const BLOCK: usize = 16;

/// Encrypts. `None` if the key or the text does not fit.
pub(super) fn encrypt(key: &[u8], iv: [u8; BLOCK], text: &[u8]) -> Option<Vec<u8>> {
    let (data, tweak) = key.split_at(key.len() / 2);
    let (data, tweak) = (block_cipher(data)?, block_cipher(tweak)?);
    let mut first = iv;
    each_block(&tweak, &mut first)?;
    let whole = text.len() / BLOCK * BLOCK;
    // One mask for each block, and one more for the incomplete one.
    let masks: Vec<[u8; BLOCK]> =
        std::iter::successors(Some(first), |mask| Some(times_x(*mask))).take(whole / BLOCK + 1).collect();
    let mut made = text[..whole].to_vec();
    masked(&data, &mut made, masks.as_flattened())?;
    let rest = &text[whole..];
    if !rest.is_empty() {
        let last = made.split_off(whole.checked_sub(BLOCK)?);
        let mut stolen = [rest, &last[rest.len()..]].concat();
        masked(&data, &mut stolen, masks.last()?)?;
        made.extend(stolen);
        made.extend(&last[..rest.len()]);
    }
    (whole != 0).then_some(made)
}

fn block_cipher(key: &[u8]) -> Option<EncryptingKey> {
    let cipher = if key.len() == 16 { &AES_128 } else { &AES_256 };
    EncryptingKey::ecb(UnboundCipherKey::new(cipher, key).ok()?).ok()
}

fn masked(cipher: &EncryptingKey, blocks: &mut [u8], masks: &[u8]) -> Option<()> {
    let mask = |blocks: &mut [u8]| blocks.iter_mut().zip(masks).for_each(|(byte, mask)| *byte ^= mask);
    mask(blocks);
    each_block(cipher, blocks)?;
    mask(blocks);
    Some(())
}

/// Encrypts each block by itself.
fn each_block(cipher: &EncryptingKey, blocks: &mut [u8]) -> Option<()> {
    cipher.less_safe_encrypt(blocks, EncryptionContext::None).ok().map(|_| ())
}

/// A mask times the primitive element: the bits move up through the bytes.
fn times_x(mask: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut carry = 0;
    let mut product = mask.map(|byte| {
        let moved = byte << 1 | carry;
        carry = byte >> 7;
        moved
    });
    product[0] ^= 0x87 * carry;
    product
}
