//! Whether what came out is what should have come out.

use serde::{Deserialize, Serialize};
use uaccel_runtime::Outcome;

use crate::case::{Case, Expected};
use crate::oracle;

/// How much is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Nothing but the status of each job.
    None,
    /// Every job of the first round, then one of sixteen.
    Sample,
    /// Every byte of every job.
    #[default]
    All,
}

/// Jobs of later rounds of which [`Verify::Sample`] verifies one.
const SAMPLE: usize = 16;

/// A result that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The input, from 0.
    pub input: usize,
    /// What is wrong with the result.
    pub reason: String,
}

/// Verifies the results of one case, outside of what is timed.
#[derive(Debug)]
pub struct Verifier<'a> {
    case: &'a Case,
    mode: Verify,
    /// For each input, a stream from which the source was seen to come back: the next one that is equal needs no decoding.
    proven: Vec<Option<Vec<u8>>>,
    round: usize,
    checked: u64,
    wrong: u64,
    mismatches: Vec<Mismatch>,
}

/// Mismatches of a case that are kept in words.
const KEPT: usize = 4;

impl<'a> Verifier<'a> {
    /// A verifier that has seen nothing yet.
    #[must_use]
    pub fn new(case: &'a Case, mode: Verify) -> Self {
        Self {
            case,
            mode,
            proven: case.inputs.iter().map(|_| None).collect(),
            round: 0,
            checked: 0,
            wrong: 0,
            mismatches: Vec::new(),
        }
    }

    /// Verifies one good outcome. `room` is all that the job could write to.
    pub fn check(&mut self, job: usize, outcome: &Outcome, room: &[u8]) {
        let wanted = match self.mode {
            Verify::None => false,
            Verify::Sample => self.round == 0 || job.is_multiple_of(SAMPLE),
            Verify::All => true,
        };
        if !wanted {
            return;
        }
        self.checked += 1;
        let index = job % self.case.inputs.len();
        if let Err(reason) = self.judge(index, outcome, room) {
            self.note(index, reason);
        }
    }

    /// A round has ended; `Sample` goes on more sparingly.
    pub fn next_round(&mut self) {
        self.round += 1;
    }

    /// Sees to it that no source was written to. To be called at the end.
    pub fn check_sources(&mut self) {
        if self.mode == Verify::None {
            return;
        }
        for (index, input) in self.case.inputs.iter().enumerate() {
            if oracle::crc32c(&input.source) != input.fingerprint {
                self.note(index, "the source is not what it was before the jobs".to_owned());
            }
        }
    }

    /// Results verified.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// Results that were wrong.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    /// The first few wrong results, in words.
    #[must_use]
    pub fn mismatches(&self) -> &[Mismatch] {
        &self.mismatches
    }

    fn note(&mut self, input: usize, reason: String) {
        self.wrong += 1;
        if self.mismatches.len() < KEPT {
            self.mismatches.push(Mismatch { input, reason });
        }
    }

    fn judge(&mut self, index: usize, outcome: &Outcome, room: &[u8]) -> Result<(), String> {
        let input = &self.case.inputs[index];
        let produced = usize::try_from(outcome.produced).ok().and_then(|produced| room.get(..produced));
        let result = || {
            produced.ok_or_else(|| format!("claims {} bytes, of {} there is room for", outcome.produced, room.len()))
        };
        match &input.expected {
            Expected::Done => Ok(()),
            Expected::Bytes(expected) => same(result()?, expected),
            Expected::Checksum(expected) if outcome.checksum == *expected => Ok(()),
            Expected::Checksum(expected) => Err(format!("checksum {:08x}, not {expected:08x}", outcome.checksum)),
            Expected::Offset(expected) if outcome.produced == *expected => Ok(()),
            Expected::Offset(expected) => Err(format!("first difference at {}, not {expected}", outcome.produced)),
            Expected::StreamOfSource(algorithm) => {
                let stream = result()?;
                if self.proven[index].as_deref() == Some(stream) {
                    return Ok(());
                }
                let text = oracle::decompress(*algorithm, stream, input.source.len())
                    .map_err(|refusal| refusal.to_string())?;
                same(&text, &input.source).map_err(|reason| format!("decoded: {reason}"))?;
                self.proven[index] = Some(stream.to_vec());
                Ok(())
            }
        }
    }
}

/// Whether two ranges are equal, and if not, where they differ.
fn same(found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    match found.iter().zip(expected).position(|(a, b)| a != b) {
        Some(at) => Err(format!("byte {at} is {:02x}, not {:02x}", found[at], expected[at])),
        None => Err(format!("{} bytes, not {}", found.len(), expected.len())),
    }
}

#[cfg(test)]
mod tests {
    use uaccel_runtime::{Algorithm, Direction};

    use super::*;
    use crate::corpus::Corpus;
    use crate::size::ByteSize;
    use crate::workload::Workload;

    fn case(workload: Workload) -> Case {
        Case::new(workload, ByteSize(1000), None, &Corpus::generated(3), 3).expect("a case")
    }

    fn reason(case: &Case, outcome: &Outcome, room: &[u8]) -> Option<String> {
        let mut verifier = Verifier::new(case, Verify::All);
        verifier.check(0, outcome, room);
        assert_eq!(verifier.checked(), 1);
        verifier.mismatches().first().map(|mismatch| mismatch.reason.clone())
    }

    #[test]
    fn a_flipped_bit_is_found_in_what_was_copied() {
        let case = case(Workload::Copy);
        let mut room = case.inputs[0].source.clone();
        assert_eq!(reason(&case, &Outcome::ok(1000, 1000), &room), None);
        room[999] ^= 1;
        assert!(reason(&case, &Outcome::ok(1000, 1000), &room).is_some_and(|reason| reason.starts_with("byte 999 is")));
        room[999] ^= 1;
        assert_eq!(reason(&case, &Outcome::ok(1000, 999), &room).as_deref(), Some("999 bytes, not 1000"));
        assert!(reason(&case, &Outcome::ok(1000, 1001), &room).is_some_and(|reason| reason.starts_with("claims")));
    }

    #[test]
    fn a_stream_must_decode_to_its_source() {
        let case = case(Workload::Session(Algorithm::Zlib, Direction::Forward));
        let mut stream = oracle::compress(Algorithm::Zlib, None, &case.inputs[0].source).expect("compresses");
        let outcome = Outcome::ok(1000, stream.len() as u64);
        assert_eq!(reason(&case, &outcome, &stream), None);
        let other = oracle::compress(Algorithm::Zlib, None, &case.inputs[1].source).expect("compresses");
        assert!(
            reason(&case, &Outcome::ok(1000, other.len() as u64), &other)
                .is_some_and(|reason| reason.starts_with("decoded: "))
        );
        let middle = stream.len() / 2;
        stream[middle] ^= 4;
        assert!(reason(&case, &outcome, &stream).is_some());
    }

    #[test]
    fn checksums_and_offsets_are_compared() {
        let crc = case(Workload::Crc32c);
        let good = oracle::crc32c(&crc.inputs[0].source);
        assert_eq!(reason(&crc, &Outcome::ok(1000, 0).with_checksum(good), &[]), None);
        assert!(reason(&crc, &Outcome::ok(1000, 0).with_checksum(good ^ 1), &[]).is_some());
        let compare = case(Workload::Compare);
        assert_eq!(reason(&compare, &Outcome::ok(1000, 1000), &[]), None);
        assert!(reason(&compare, &Outcome::ok(1000, 999), &[]).is_some());
    }

    #[test]
    fn a_source_that_was_written_to_is_noticed() {
        let mut case = case(Workload::Copy);
        case.inputs[1].source[5] ^= 1;
        let mut verifier = Verifier::new(&case, Verify::All);
        verifier.check_sources();
        assert_eq!((verifier.wrong(), verifier.mismatches()[0].input), (1, 1));
    }

    #[test]
    fn a_sample_is_the_first_round_and_then_one_of_sixteen() {
        let case = case(Workload::Nop);
        let mut verifier = Verifier::new(&case, Verify::Sample);
        for _ in 0..2 {
            (0..32).for_each(|job| verifier.check(job, &Outcome::ok(0, 0), &[]));
            verifier.next_round();
        }
        assert_eq!(verifier.checked(), 32 + 2);
    }
}
