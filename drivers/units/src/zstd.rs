//! Zstandard frames: RFC 8878.

use uaccel_queue::{Algorithm, Outcome, Status};
use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, DCtx, compress_bound, find_frame_compressed_size, get_frame_content_size, is_error_kind};

use crate::Scratch;
use crate::unit::{too_small, too_small_for};

/// A worker's contexts. One compressor serves all levels: the library grows its tables when a level needs more.
#[derive(Default)]
pub(crate) struct Contexts {
    compressor: Option<CCtx<'static>>,
    decompressor: Option<DCtx<'static>>,
}

/// The frame states its content size and has no checksum, as the library does by default.
pub(crate) fn compress(scratch: &mut Scratch, level: u8, source: &[u8], destination: &mut [u8]) -> Outcome {
    let Scratch { zstd, stage, .. } = scratch;
    if zstd.compressor.is_none() {
        zstd.compressor = CCtx::try_create();
    }
    let Some(context) = &mut zstd.compressor else {
        return Outcome::failed(Status::DeviceError);
    };
    let level = i32::from(level);
    let most = compress_bound(source.len());
    if destination.len() >= most {
        return match context.compress(destination, source, level) {
            Ok(written) => Outcome::ok(source.len() as u64, written as u64),
            Err(code) => failed_to_compress(code, source),
        };
    }
    // With less room than that the library may give up on a frame that would fit, or choose another encoding: the result of a
    // job must not depend on the size of its room.
    let Some(room) = stage.room(most) else {
        return Outcome::failed(Status::DeviceError);
    };
    let outcome = match context.compress(room, source, level) {
        Ok(written) => match destination.get_mut(..written) {
            Some(frame) => {
                frame.copy_from_slice(&room[..written]);
                Outcome::ok(source.len() as u64, written as u64)
            }
            None => too_small_for(Algorithm::Zstd, source),
        },
        Err(code) => failed_to_compress(code, source),
    };
    stage.trim();
    outcome
}

fn failed_to_compress(code: usize, source: &[u8]) -> Outcome {
    if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) {
        too_small_for(Algorithm::Zstd, source)
    } else {
        Outcome::failed(Status::DeviceError)
    }
}

pub(crate) fn decompress(contexts: &mut Contexts, source: &[u8], destination: &mut [u8]) -> Outcome {
    // Walks the block headers: a few loads per 128 KiB of text. Tells where the frame ends, and whether it does.
    let frame = match find_frame_compressed_size(source) {
        Ok(len) => &source[..len.min(source.len())],
        Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_srcSize_wrong) => {
            return Outcome::failed(Status::Truncated);
        }
        Err(_) => return Outcome::failed(Status::Corrupt),
    };
    if contexts.decompressor.is_none() {
        contexts.decompressor = DCtx::try_create();
    }
    let Some(context) = &mut contexts.decompressor else {
        return Outcome::failed(Status::DeviceError);
    };
    match context.decompress(destination, frame) {
        Ok(written) => Outcome::ok(frame.len() as u64, written as u64),
        Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) => too_small(stated_size(frame)),
        Err(code) if is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_memory_allocation) => {
            Outcome::failed(Status::DeviceError)
        }
        Err(_) => Outcome::failed(Status::Corrupt),
    }
}

/// What the frame's header states, if a frame of this length could hold it: a block is at least three bytes and makes at most
/// 128 KiB (RFC 8878 section 3.1.1.2). Else 0.
fn stated_size(frame: &[u8]) -> u64 {
    const BLOCK: u64 = 128 << 10;
    let most = (frame.len() as u64 / 3).saturating_mul(BLOCK);
    match get_frame_content_size(frame) {
        Ok(Some(stated)) if stated <= most => stated,
        _ => 0,
    }
}
