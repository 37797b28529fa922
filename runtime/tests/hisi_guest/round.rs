//! One round of work in every format, each result held against another library.

use uaccel_runtime::{Algorithm, Direction, Error, Lease, Runtime, Session, Work};

use crate::bench::noise;
use crate::formats::{packed, session, unpacked};

const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

/// Sessions of every format, both ways.
#[derive(Debug)]
pub(crate) struct Rounds(Vec<(Algorithm, Session, Session)>);

impl Rounds {
    pub(crate) fn new(runtime: &Runtime) -> Self {
        let both = |format| {
            (format, session(runtime, format, Direction::Forward), session(runtime, format, Direction::Inverse))
        };
        Self(FORMATS.map(both).into())
    }

    /// Packs and unpacks in every format.
    pub(crate) fn run(&self, lease: &mut Lease, seed: u64) -> Result<(), Error> {
        let text = text(seed);
        for (format, pack, unpack) in &self.0 {
            let mut stream = vec![0; text.len() + text.len() / 8 + 200];
            let outcome = lease.run(Work::session(pack, &text, &mut stream))?;
            stream.truncate(outcome.produced as usize);
            assert!(unpacked(*format, &stream) == text, "{format}, {seed}");
            let stream = packed(*format, &text, 1);
            let mut back = vec![0; text.len()];
            let outcome = lease.run(Work::session(unpack, &stream, &mut back))?;
            assert_eq!((outcome.consumed, outcome.produced), (stream.len() as u64, text.len() as u64));
            assert!(back == text, "{format}, {seed}");
        }
        Ok(())
    }
}

/// Half noise, half words.
pub(crate) fn text(seed: u64) -> Vec<u8> {
    let len = 3000 + (seed as usize * 7919) % 30_000;
    let mut text = noise(seed, len / 2);
    text.extend(b"the quick brown fox ".iter().cycle().take(len - len / 2));
    text
}
