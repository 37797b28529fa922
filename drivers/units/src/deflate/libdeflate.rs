//! The fast engine for whole buffers: libdeflate.
//!
//! Compression goes through `libdeflater`. Decompression does not: its safe interface lacks the functions that tell where in the source
//! the stream ends. This is the crate's one file with unsafe code.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use libdeflate_sys as sys;
use libdeflater::{CompressionLvl, Compressor};
use uaccel_queue::{Outcome, Status};

use super::Format;
use crate::unit::too_small_for;

#[derive(Default)]
pub(super) struct Engine {
    /// By level; a compressor serves all three formats.
    compressors: [Option<Compressor>; 10],
    decompressor: Option<Decompressor>,
}

impl Engine {
    pub(super) fn compress(&mut self, format: Format, level: u8, source: &[u8], destination: &mut [u8]) -> Outcome {
        let Some(slot) = self.compressors.get_mut(usize::from(level)) else {
            return Outcome::failed(Status::InvalidJob);
        };
        let compressor = match slot {
            Some(compressor) => compressor,
            None => match CompressionLvl::new(i32::from(level)) {
                Ok(level) => slot.insert(Compressor::new(level)),
                Err(_) => return Outcome::failed(Status::InvalidJob),
            },
        };
        let written = match format {
            Format::Raw => compressor.deflate_compress(source, destination),
            Format::Zlib => compressor.zlib_compress(source, destination),
            Format::Gzip => compressor.gzip_compress(source, destination),
        };
        match written {
            Ok(written) => Outcome::ok(source.len() as u64, written as u64),
            Err(_) => too_small_for(format.algorithm(), source),
        }
    }

    /// One raw or zlib stream; `None` if it cannot be decoded, for whatever reason.
    pub(super) fn inflate(&mut self, format: Format, source: &[u8], destination: &mut [u8]) -> Option<Outcome> {
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::new();
        }
        let (consumed, produced) = self.decompressor.as_mut()?.run(format, source, destination)?;
        Some(Outcome::ok(consumed as u64, produced as u64))
    }
}

/// Owns one decompressor of the C library.
struct Decompressor(NonNull<sys::libdeflate_decompressor>);

// SAFETY: the library keeps no thread-local state; its header asks only that one decompressor is not used by two threads at once, and
// `run` takes `&mut self`.
unsafe impl Send for Decompressor {}

impl Decompressor {
    fn new() -> Option<Self> {
        // SAFETY: no preconditions; null means out of memory.
        NonNull::new(unsafe { sys::libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Bytes read and written, or `None` on failure.
    fn run(&mut self, format: Format, source: &[u8], destination: &mut [u8]) -> Option<(usize, usize)> {
        let decode = match format {
            Format::Raw => sys::libdeflate_deflate_decompress_ex,
            Format::Zlib => sys::libdeflate_zlib_decompress_ex,
            Format::Gzip => sys::libdeflate_gzip_decompress_ex,
        };
        let (mut consumed, mut produced) = (0, 0);
        // SAFETY: the decompressor is live and, through `&mut self`, not in use elsewhere; both ranges are valid for their lengths and
        // do not overlap, being a shared and an exclusive borrow; the last two are valid for one write each.
        let result = unsafe {
            decode(
                self.0.as_ptr(),
                source.as_ptr().cast(),
                source.len(),
                destination.as_mut_ptr().cast(),
                destination.len(),
                &raw mut consumed,
                &raw mut produced,
            )
        };
        (result == sys::libdeflate_result_LIBDEFLATE_SUCCESS).then_some((consumed, produced))
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { sys::libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}
