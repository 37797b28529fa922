//! The end of a stream behind which nothing is left to compress. The engine is not asked for it (UADK: `append_store_block`).

use uaccel_hisi_abi::zip::{Carried, stream};

use super::super::format::Format;

/// A last block without anything (RFC 1951, 3.2.4). It begins with a byte, as what the engine writes ends with one.
const BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// A few bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    bytes: [u8; 16],
    len: usize,
}

impl End {
    /// That of a stream of which the engine has said this last.
    pub(super) fn of(format: Format, carried: Carried) -> Self {
        let mut end = Self::default();
        end.put(&BLOCK);
        match format {
            // LZ4 has no streams.
            Format::Deflate | Format::Lz4 => {}
            // RFC 1950, 2.2: Adler-32, the highest byte first.
            Format::Zlib => end.put(&carried.checksum.to_be_bytes()),
            // RFC 1952, 2.3.1: CRC-32, and the length, modulo 2^32.
            Format::Gzip => {
                end.put(&stream::gzip_crc(carried.checksum).to_le_bytes());
                end.put(&carried.running_len.to_le_bytes());
            }
        }
        end
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

const _: () = assert!(BLOCK.len() + 4 + 4 <= 16);
