//! LZ4 blocks, without a size prefix: the LZ4 Block Format Description.

use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into, get_maximum_output_size,
};
use uaccel_queue::{Algorithm, Outcome, Status};

use crate::Scratch;
use crate::unit::too_small_for;

/// `LZ4_MAX_INPUT_SIZE` of lz4.h; other implementations refuse what decodes to more.
const MAX_SOURCE: usize = 0x7E00_0000;

/// A worker's match tables. Two, because entries of 16 bits, which short inputs can do with, are quicker to clear.
#[derive(Default)]
pub(crate) struct Tables {
    short: Option<CompressTable>,
    long: Option<CompressTable>,
}

impl Tables {
    fn for_len(&mut self, len: usize) -> &mut CompressTable {
        if len < usize::from(u16::MAX) {
            self.short.get_or_insert_with(CompressTable::small)
        } else {
            self.long.get_or_insert_with(CompressTable::large)
        }
    }
}

pub(crate) fn compress(scratch: &mut Scratch, source: &[u8], destination: &mut [u8]) -> Outcome {
    if source.len() > MAX_SOURCE {
        return Outcome::failed(Status::InvalidJob);
    }
    let Scratch { lz4, stage, .. } = scratch;
    let table = lz4.for_len(source.len());
    let most = get_maximum_output_size(source.len());
    if destination.len() >= most {
        return match compress_into_with_table(source, destination, table) {
            Ok(written) => Outcome::ok(source.len() as u64, written as u64),
            Err(_) => too_small_for(Algorithm::Lz4Block, source),
        };
    }
    // The library refuses a destination that might be too small, whatever the block turns out to take.
    let Some(room) = stage.room(most) else {
        return Outcome::failed(Status::DeviceError);
    };
    let outcome = match compress_into_with_table(source, room, table) {
        Ok(written) => match destination.get_mut(..written) {
            Some(block) => {
                block.copy_from_slice(&room[..written]);
                Outcome::ok(source.len() as u64, written as u64)
            }
            None => too_small_for(Algorithm::Lz4Block, source),
        },
        Err(_) => too_small_for(Algorithm::Lz4Block, source),
    };
    stage.trim();
    outcome
}

pub(crate) fn decompress(source: &[u8], destination: &mut [u8]) -> Outcome {
    match decompress_into(source, destination) {
        Ok(written) => Outcome::ok(source.len() as u64, written as u64),
        // The library's `expected` is what the block needs up to the point where it gave up, not what it needs: no use to a caller.
        Err(DecompressError::OutputTooSmall { .. }) => Outcome::failed(Status::OutputTooSmall),
        Err(DecompressError::LiteralOutOfBounds | DecompressError::ExpectedAnotherByte) => {
            Outcome::failed(Status::Truncated)
        }
        Err(_) => Outcome::failed(Status::Corrupt),
    }
}
