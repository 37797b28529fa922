//! The engine in Rust: RustCrypto.

use aes::cipher::{BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit, StreamCipherCore};
use aes::{Aes128Dec, Aes128Enc, Aes256Dec, Aes256Enc, Block};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use uaccel_queue::{Algorithm, Direction};

use crate::UnitError;

pub(super) enum Key {
    EncryptCbc128(Aes128Enc),
    DecryptCbc128(Aes128Dec),
    EncryptCbc256(Aes256Enc),
    DecryptCbc256(Aes256Dec),
    Ctr128(Aes128Enc),
    Ctr256(Aes256Enc),
}

impl Key {
    pub(super) fn new(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Result<Self, UnitError> {
        let expanded = match (algorithm, direction) {
            (Algorithm::Aes128Cbc, Direction::Forward) => Aes128Enc::new_from_slice(key).map(Self::EncryptCbc128),
            (Algorithm::Aes128Cbc, Direction::Inverse) => Aes128Dec::new_from_slice(key).map(Self::DecryptCbc128),
            (Algorithm::Aes256Cbc, Direction::Forward) => Aes256Enc::new_from_slice(key).map(Self::EncryptCbc256),
            (Algorithm::Aes256Cbc, Direction::Inverse) => Aes256Dec::new_from_slice(key).map(Self::DecryptCbc256),
            (Algorithm::Aes128Ctr, _) => Aes128Enc::new_from_slice(key).map(Self::Ctr128),
            (Algorithm::Aes256Ctr, _) => Aes256Enc::new_from_slice(key).map(Self::Ctr256),
            _ => return Err(UnitError::Unsupported(algorithm)),
        };
        expanded.map_err(|_| UnitError::Key(algorithm))
    }

    /// Encrypts or decrypts in place. `false` if a text of CBC does not consist of whole blocks.
    pub(super) fn transform(&self, text: &mut [u8], iv: [u8; 16]) -> bool {
        let iv = Block::from(iv);
        match self {
            Self::EncryptCbc128(key) => {
                in_blocks(text, |blocks| cbc::Encryptor::inner_iv_init(key, &iv).encrypt_blocks(blocks))
            }
            Self::DecryptCbc128(key) => {
                in_blocks(text, |blocks| cbc::Decryptor::inner_iv_init(key, &iv).decrypt_blocks(blocks))
            }
            Self::EncryptCbc256(key) => {
                in_blocks(text, |blocks| cbc::Encryptor::inner_iv_init(key, &iv).encrypt_blocks(blocks))
            }
            Self::DecryptCbc256(key) => {
                in_blocks(text, |blocks| cbc::Decryptor::inner_iv_init(key, &iv).decrypt_blocks(blocks))
            }
            Self::Ctr128(key) => count(key, text, &iv),
            Self::Ctr256(key) => count(key, text, &iv),
        }
    }
}

fn in_blocks(text: &mut [u8], transform: impl FnOnce(&mut [Block])) -> bool {
    let (blocks, rest) = Block::slice_as_chunks_mut(text);
    let whole = rest.is_empty();
    if whole {
        transform(blocks);
    }
    whole
}

/// Counter mode. The library counts from the IV on, and over the end of the 128 bits. `false` if there are not so many counters.
fn count<C>(key: &C, text: &mut [u8], iv: &Block) -> bool
where
    C: BlockCipherEncrypt + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    CtrCore::<_, Ctr128BE>::inner_iv_init(key, iv).try_apply_keystream_partial(text.into()).is_ok()
}
