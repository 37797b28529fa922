//! The CPU path beside the libraries under it.

use std::hint::black_box;

use uaccel_runtime::{Algorithm, Direction, Error, SessionSpec, Work};

use super::pages::Pages;
use super::{Bench, PromiseError, Ratio};

/// Bytes of a job.
const BLOCK: usize = 4096;

impl Bench {
    pub(super) fn aes_gcm(&self) -> Result<Ratio, PromiseError> {
        use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        const OPERATIONS: u64 = 5_000;
        let refused = |_| PromiseError::Wrong("AWS-LC refuses the key");
        let (key, nonce) = ([7; 16], [1; 12]);
        let direct = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(refused)?);
        let (runtime, mut lease) = self.open("software", 1)?;
        let session = runtime
            .session(SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Forward, &key).map_err(Error::from)?)?;
        let mut memory = Pages::new(&[BLOCK, BLOCK + 16]);
        memory.fill_first();
        let (text, sealed) = memory.two();
        let mut expected = vec![0; BLOCK + 16];
        let mut failed = false;
        let seal_directly = |room: &mut [u8]| {
            let (room, tag) = room.split_at_mut(BLOCK);
            let nonce = Nonce::assume_unique_for_key(nonce);
            direct.seal_out_of_place_scatter(nonce, Aad::empty(), black_box(text), room, &[], tag).is_ok()
        };
        if !seal_directly(&mut expected) {
            return Err(PromiseError::Wrong("AWS-LC refuses the text"));
        }
        // Both write to the same buffer, in turn.
        let room = std::cell::RefCell::new(sealed);
        let ratio = self.against_library(
            OPERATIONS,
            || {
                let mut room = room.borrow_mut();
                failed |=
                    lease.run(Work::session(&session, black_box(text), &mut room[..]).with_nonce(nonce, &[])).is_err();
            },
            || {
                black_box(seal_directly(&mut room.borrow_mut()[..]));
            },
        )?;
        room.borrow_mut().fill(0);
        let result = lease.run(Work::session(&session, text, &mut room.borrow_mut()[..]).with_nonce(nonce, &[]));
        if failed || result.is_err() || room.borrow()[..] != expected[..] {
            return Err(PromiseError::Wrong("the framework's ciphertext is not that of the library"));
        }
        Ok(ratio)
    }

    pub(super) fn deflate(&self) -> Result<Ratio, PromiseError> {
        const OPERATIONS: u64 = 200;
        let mut direct = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let (runtime, mut lease) = self.open("software", 1)?;
        let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, Some(6)).map_err(Error::from)?;
        let session = runtime.session(spec)?;
        let mut memory = Pages::new(&[BLOCK, 2 * BLOCK]);
        memory.fill_first();
        let (text, packed) = memory.two();
        let room = std::cell::RefCell::new(packed);
        let (mut of_framework, mut of_library) = (0, 0);
        let ratio = self.against_library(
            OPERATIONS,
            || {
                let mut room = room.borrow_mut();
                of_framework = lease
                    .run(Work::session(&session, black_box(text), &mut room[..]))
                    .map_or(0, |outcome| outcome.produced);
            },
            || {
                of_library =
                    direct.deflate_compress(black_box(text), &mut room.borrow_mut()[..]).map_or(0, |len| len as u64);
            },
        )?;
        if of_framework == 0 || of_framework != of_library {
            return Err(PromiseError::Wrong("the framework's stream is not that of the library"));
        }
        Ok(ratio)
    }

    /// The cheapest way to the CPU path: jobs built in place in one scope.
    pub(super) fn crc32c(&self) -> Result<Ratio, PromiseError> {
        let (_runtime, mut lease) = self.open("software", 1)?;
        self.crc32c_by(|text, n| {
            lease.scope(|scope| {
                let mut found = None;
                for _ in 0..n {
                    scope.crc32c(black_box(text), 0)?;
                    scope.submit()?;
                    scope.poll(|answer| found = answer.outcome().ok().map(|outcome| outcome.checksum));
                }
                Ok::<_, Error>(found)
            })?
        })
    }

    /// The same job by job, each in a call of its own.
    pub(super) fn crc32c_run(&self) -> Result<Ratio, PromiseError> {
        let (_runtime, mut lease) = self.open("software", 1)?;
        self.crc32c_by(|text, n| {
            let mut found = None;
            for _ in 0..n {
                found = Some(lease.run(Work::crc32c(black_box(text), 0))?.checksum);
            }
            Ok(found)
        })
    }

    fn crc32c_by(
        &self,
        mut framework: impl FnMut(&[u8], u64) -> Result<Option<u32>, Error>,
    ) -> Result<Ratio, PromiseError> {
        const OPERATIONS: u64 = 20_000;
        let mut memory = Pages::new(&[BLOCK, 0]);
        memory.fill_first();
        let (text, _) = memory.two();
        let expected = crc_fast::crc32_iscsi(text);
        let right = |found: Option<u32>| {
            if found == Some(expected) {
                Ok(())
            } else {
                Err(PromiseError::Wrong("the framework's checksum is not that of the library"))
            }
        };
        self.pair(
            || self.timed(OPERATIONS, &mut |n| right(framework(text, n)?)),
            || {
                self.timed(OPERATIONS, &mut |n| {
                    (0..n).for_each(|_| {
                        black_box(crc_fast::crc32_iscsi(black_box(text)));
                    });
                    Ok(())
                })
            },
        )
    }
}
