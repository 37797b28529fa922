//! Jobs of every kind, each held against another library, byte by byte.

use std::io::{Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use uaccel_runtime::{Algorithm, Direction, Error, Lease, Runtime, Session, SessionSpec, Work};

use super::jobs::noise;

/// Sessions of one of each kind.
#[derive(Debug)]
pub(crate) struct Workload {
    deflate: Session,
    inflate: Session,
    digest: Session,
    seal: Session,
    open: Session,
    key: Vec<u8>,
}

impl Workload {
    pub(crate) fn new(runtime: &Runtime, seed: u64) -> Self {
        let key = noise(seed, 32);
        let session =
            |spec: Result<SessionSpec, _>| runtime.session(spec.expect("a session")).expect("the device has it");
        let compression = |direction| session(SessionSpec::compression(Algorithm::Gzip, direction, None));
        let keyed = |direction| session(SessionSpec::keyed(Algorithm::Aes256Gcm, direction, &key));
        Self {
            deflate: compression(Direction::Forward),
            inflate: compression(Direction::Inverse),
            digest: session(SessionSpec::digest(Algorithm::Sha256, &[])),
            seal: keyed(Direction::Forward),
            open: keyed(Direction::Inverse),
            key,
        }
    }

    /// Runs one of each.
    pub(crate) fn round(&self, lease: &mut Lease, seed: u64) -> Result<(), Error> {
        // Half noise, half text: it can be compressed, and is not nothing afterwards.
        let len = 3000 + (seed as usize * 7919) % 30_000;
        let mut source = noise(seed, len / 2);
        source.extend(b"the quick brown fox ".iter().cycle().take(len - len / 2));

        let mut copied = vec![0; len];
        lease.run(Work::copy(&source, &mut copied))?;
        assert!(copied == source, "copy");

        let mut filled = vec![0; len];
        lease.run(Work::fill(&mut filled, seed))?;
        assert!(filled.iter().zip(seed.to_le_bytes().iter().cycle()).all(|(a, b)| a == b), "fill");

        assert_eq!(lease.run(Work::crc32c(&source, 0))?.checksum, crc32c::crc32c(&source), "crc32c");
        copied[len - 1] ^= 1;
        assert_eq!(lease.run(Work::compare(&source, &copied))?.produced, len as u64 - 1, "compare");

        let mut packed = vec![0; 2 * len];
        let outcome = lease.run(Work::session(&self.deflate, &source, &mut packed))?;
        packed.truncate(outcome.produced as usize);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("a gzip stream");
        assert!(unpacked == source, "gzip");

        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&source).expect("memory");
        let packed = encoder.finish().expect("memory");
        let mut unpacked = vec![0; len];
        assert_eq!(lease.run(Work::session(&self.inflate, &packed, &mut unpacked))?.produced, len as u64);
        assert!(unpacked == source, "gunzip");

        let mut hash = [0; 32];
        lease.run(Work::session(&self.digest, &source, &mut hash))?;
        assert_eq!(hash, digest::digest(&digest::SHA256, &source).as_ref(), "sha-256");

        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&seed.to_le_bytes());
        let mut sealed = vec![0; len + 16];
        lease.run(Work::session(&self.seal, &source, &mut sealed).with_nonce(nonce, b"header"))?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.key).expect("a key"));
        let mut expected = source.clone();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(b"header"), &mut expected)
            .expect("sealed");
        assert!(sealed == expected, "seal");
        let mut opened = vec![0; len];
        lease.run(Work::session(&self.open, &expected, &mut opened).with_nonce(nonce, b"header"))?;
        assert!(opened == source, "open");
        Ok(())
    }
}
