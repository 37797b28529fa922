//! A workload at one size, with inputs, and with what should come out of each.

use uaccel_runtime::{Algorithm, Direction, Family, SessionSpec, TextLengths, Work};

use crate::corpus::Corpus;
use crate::oracle::{self, Refusal};
use crate::random::Random;
use crate::size::ByteSize;
use crate::workload::Workload;

/// A workload at one size, ready to be measured.
#[derive(Debug)]
pub struct Case {
    /// What is done.
    pub workload: Workload,
    /// Bytes of text per job.
    pub size: ByteSize,
    /// The inputs, used in turn.
    pub inputs: Vec<Input>,
    /// Room each job gets for its result.
    pub room: usize,
    /// The session the jobs belong to.
    pub spec: Option<SessionSpec>,
    /// What the source of a decompression was made with is not what it is compared with: the level counts for compression only.
    pub level: Option<u8>,
}

/// One input.
#[derive(Debug)]
pub struct Input {
    /// What the job reads.
    pub source: Vec<u8>,
    /// Its second source: the other range of a comparison, the associated data of a cipher.
    pub aux: Vec<u8>,
    /// The initialisation vector of a cipher, the nonce of an authenticated one, or the pattern of a fill.
    pub immediate: [u8; 16],
    /// A checksum of the source, taken before anything was submitted.
    pub fingerprint: u32,
    /// What should come out.
    pub expected: Expected,
}

/// What should come out of a job.
#[derive(Debug)]
pub enum Expected {
    /// Nothing but a good status.
    Done,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A stream from which the source comes back.
    StreamOfSource(Algorithm),
    /// This checksum.
    Checksum(u32),
    /// This offset of the first difference.
    Offset(u64),
}

/// Why there is no such case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The session cannot be.
    #[error(transparent)]
    Spec(#[from] uaccel_runtime::SpecError),
    /// The cipher does not take texts of that size.
    #[error("{algorithm} takes {lengths}, not {size}")]
    TextLength {
        /// The cipher.
        algorithm: Algorithm,
        /// What it takes.
        lengths: TextLengths,
        /// The size asked for.
        size: ByteSize,
    },
    /// No oracle knows what should come out.
    #[error("no expected result: {0}")]
    Oracle(#[from] Refusal),
}

/// Most bytes of sources a case holds, unless one is longer.
const POOL: usize = 8 << 20;
/// Most inputs of a case.
const MOST_INPUTS: usize = 16;
/// Associated data: as long as the header of a TLS 1.3 record.
const AAD: [u8; 5] = [23, 3, 3, 0, 0];

impl Case {
    /// Cuts inputs from the corpus, and asks the oracles what should come out.
    ///
    /// # Errors
    /// See [`CaseError`].
    pub fn new(
        workload: Workload,
        size: ByteSize,
        level: Option<u8>,
        corpus: &Corpus,
        seed: u64,
    ) -> Result<Self, CaseError> {
        if let Workload::Session(algorithm, _) = workload
            && let Some(lengths) = algorithm.text_lengths()
            && !lengths.contains(size.0 as u64)
        {
            return Err(CaseError::TextLength { algorithm, lengths, size });
        }
        let count = (POOL / size.0).clamp(1, MOST_INPUTS);
        let mut random = Random::new(seed);
        let key = match workload {
            Workload::Session(Algorithm::HmacSha256, _) => random.bytes(32),
            Workload::Session(algorithm, _) => random.bytes(algorithm.key_len().unwrap_or_default()),
            _ => Vec::new(),
        };
        // A level is for those that have it; others go without.
        let level = match workload {
            Workload::Session(algorithm, _) if algorithm.levels().is_some() => level,
            _ => None,
        };
        let spec = match workload {
            Workload::Session(algorithm, direction) => Some(match algorithm.family() {
                Family::Aead | Family::Cipher => SessionSpec::keyed(algorithm, direction, &key)?,
                Family::Digest => SessionSpec::digest(algorithm, &key)?,
                // The levels of formats differ; one that a format has not becomes its nearest.
                _ => {
                    SessionSpec::compression(algorithm, direction, level.map(|level| nearest_level(algorithm, level)))?
                }
            }),
            _ => None,
        };
        let pieces = if workload == Workload::Nop { vec![Vec::new()] } else { corpus.pieces(size.0, count) };
        let inputs = pieces
            .into_iter()
            .enumerate()
            .map(|(index, text)| Input::new(workload, text, index, level, &key, &mut random))
            .collect::<Result<Vec<_>, _>>()?;
        let room = match workload {
            Workload::Copy | Workload::Fill => size.0,
            Workload::Session(algorithm, Direction::Forward) => uaccel_units::bound(algorithm, size.0 as u64)
                .and_then(|bound| usize::try_from(bound).ok())
                .unwrap_or(size.0),
            Workload::Session(_, Direction::Inverse) => size.0,
            _ => 0,
        };
        Ok(Self { workload, size, inputs, room, spec, level })
    }

    /// The same with a window, if one is given, where the workload compresses to a format that has windows to choose from.
    ///
    /// # Errors
    /// [`CaseError::Spec`] if it has not this one.
    pub fn with_window(self, window: Option<ByteSize>) -> Result<Self, CaseError> {
        let Some(window) = window else { return Ok(self) };
        let compresses = self.workload.compresses();
        let has_windows = |spec: &SessionSpec| compresses && spec.algorithm().windows().is_some();
        let spec = match self.spec {
            Some(spec) if has_windows(&spec) => Some(spec.with_window(u32::try_from(window.0).unwrap_or(u32::MAX))?),
            spec => spec,
        };
        Ok(Self { spec, ..self })
    }

    /// The input of the job with this number.
    #[must_use]
    pub fn input(&self, job: usize) -> &Input {
        &self.inputs[job % self.inputs.len()]
    }

    /// The most bytes one of the jobs reads or writes.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.inputs.iter().map(|input| input.source.len().max(input.aux.len())).max().unwrap_or(0).max(self.written())
            as u64
    }

    /// Bytes a job may write, as the transfer limit counts them: room that the data decides on does not count.
    fn written(&self) -> usize {
        match self.workload {
            workload if workload.compresses() => 0,
            _ => self.room,
        }
    }

    /// Bytes of text that the job with this number stands for: throughput is counted in text, on either side of a compressor.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        if self.workload == Workload::Nop { 0 } else { self.size.0 as u64 }
    }

    /// The job with this number.
    #[must_use]
    pub fn work<'a>(
        &'a self,
        job: usize,
        session: Option<&'a uaccel_runtime::Session>,
        room: &'a mut [u8],
    ) -> Work<'a> {
        let input = self.input(job);
        match (self.workload, session) {
            (Workload::Copy, _) => Work::copy(&input.source, room),
            (Workload::Fill, _) => Work::fill(room, input.pattern()),
            (Workload::Compare, _) => Work::compare(&input.source, &input.aux),
            (Workload::Crc32c, _) => Work::crc32c(&input.source, 0),
            (Workload::Crc32, _) => Work::crc32(&input.source, 0),
            (Workload::Session(algorithm, _), Some(session)) => {
                let work = Work::session(session, &input.source, room);
                match algorithm.family() {
                    Family::Aead => work.with_nonce(input.nonce(), &input.aux),
                    Family::Cipher => work.with_iv(input.immediate),
                    _ => work,
                }
            }
            (Workload::Nop | Workload::Session(..), _) => Work::nop(),
        }
    }
}

/// The nonce in a small operand.
fn nonce(immediate: &[u8; 16]) -> [u8; 12] {
    let [nonce @ .., _, _, _, _] = *immediate;
    nonce
}

fn nearest_level(algorithm: Algorithm, level: u8) -> u8 {
    algorithm.levels().map_or(level, |levels| level.clamp(levels.min, levels.max))
}

impl Input {
    fn new(
        workload: Workload,
        text: Vec<u8>,
        index: usize,
        level: Option<u8>,
        key: &[u8],
        random: &mut Random,
    ) -> Result<Self, Refusal> {
        let mut immediate = [0; 16];
        immediate.copy_from_slice(&random.bytes(16));
        let mut aux = Vec::new();
        let (source, expected) = match workload {
            Workload::Nop => (text, Expected::Done),
            Workload::Copy => (text.clone(), Expected::Bytes(text)),
            Workload::Fill => {
                let pattern = immediate[..8].repeat(text.len().div_ceil(8));
                (Vec::new(), Expected::Bytes(pattern[..text.len()].to_vec()))
            }
            Workload::Compare => {
                aux.clone_from(&text);
                // Every other pair differs, at the very end, so that the work is the same.
                let offset = text.len() - usize::from(index % 2 == 1);
                if let Some(byte) = aux.get_mut(offset) {
                    *byte ^= 0x10;
                }
                (text, Expected::Offset(offset as u64))
            }
            Workload::Crc32c => {
                let checksum = oracle::crc32c(&text);
                (text, Expected::Checksum(checksum))
            }
            Workload::Crc32 => {
                let checksum = oracle::crc32(&text);
                (text, Expected::Checksum(checksum))
            }
            Workload::Session(algorithm, direction) => match (algorithm.family(), direction) {
                (Family::Compression, Direction::Forward) => (text, Expected::StreamOfSource(algorithm)),
                (Family::Compression, Direction::Inverse) => {
                    (oracle::compress(algorithm, level, &text)?, Expected::Bytes(text))
                }
                (Family::Aead, direction) => {
                    aux = AAD.to_vec();
                    let sealed = oracle::seal(algorithm, key, nonce(&immediate), &aux, &text)?;
                    match direction {
                        Direction::Forward => (text, Expected::Bytes(sealed)),
                        Direction::Inverse => (sealed, Expected::Bytes(text)),
                    }
                }
                (Family::Cipher, direction) => {
                    let ciphertext = oracle::encrypt(algorithm, key, immediate, &text)?;
                    match direction {
                        Direction::Forward => (text, Expected::Bytes(ciphertext)),
                        Direction::Inverse => (ciphertext, Expected::Bytes(text)),
                    }
                }
                _ => {
                    let digest = oracle::digest(algorithm, key, &text)?;
                    (text, Expected::Bytes(digest))
                }
            },
        };
        Ok(Self { fingerprint: oracle::crc32c(&source), source, aux, immediate, expected })
    }

    /// The pattern of a fill.
    fn pattern(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.immediate[..8]);
        u64::from_le_bytes(bytes)
    }

    /// The nonce of an authenticated cipher.
    #[must_use]
    pub fn nonce(&self) -> [u8; 12] {
        nonce(&self.immediate)
    }
}
