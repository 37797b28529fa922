//! What a process's jobs are: cases of all algorithms and many sizes, with what should come out of each.

use accel_bench::case::{Case, CaseError};
use accel_bench::corpus::Corpus;
use accel_bench::random::Random;
use accel_bench::size::ByteSize;
use accel_bench::workload::{Directions, Workload};

/// Bytes of text, small ones more often.
const SIZES: [usize; 12] = [1, 64, 100, 1000, 1500, 4096, 4096, 5000, 16_384, 20_000, 65_536, 200_000];

/// So many cases, drawn by the seed: each algorithm in turn, in some direction, at some size.
///
/// They are never freed: buffers of jobs in flight, and of futures that outlive their scope, borrow from them.
///
/// # Errors
/// If an oracle does not know what should come out.
pub fn draw(corpus: &Corpus, count: usize, largest: u64, seed: u64) -> Result<&'static [Case], CaseError> {
    let mut random = Random::new(seed ^ 0x63_61_73_65_73);
    let names = Workload::names();
    let start = random.below(names.len());
    let cases = (0..count)
        .map(|index| {
            let ways = Workload::named(names[(start + index) % names.len()], Directions::Both);
            let workload = ways[random.below(ways.len())];
            // The fastest level of whatever has levels: it is not the compressors that are under stress.
            let sizes: Vec<usize> = SIZES.into_iter().filter(|size| is_taken(workload, *size)).collect();
            let size = ByteSize(sizes[random.below(sizes.len())]);
            Case::new(workload, size, Some(1), corpus, random.next_u64())
        })
        .filter(|case| case.as_ref().map_or(true, |case| case.largest() <= largest))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Vec::leak(cases))
}

/// Whether the workload takes texts of this size: a cipher may want whole blocks.
fn is_taken(workload: Workload, size: usize) -> bool {
    let Workload::Session(algorithm, _) = workload else { return true };
    algorithm.text_lengths().is_none_or(|lengths| lengths.contains(size as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_takes_some_of_the_sizes() {
        for workload in Workload::names().into_iter().flat_map(|name| Workload::named(name, Directions::Both)) {
            assert!(SIZES.into_iter().filter(|size| is_taken(workload, *size)).count() > 4, "{workload}");
        }
    }

    #[test]
    fn the_seed_decides_and_everything_comes() {
        let corpus = Corpus::generated(1);
        let count = Workload::names().len();
        let draw = |largest, seed| draw(&corpus, count, largest, seed).expect("cases");
        let names = |seed| {
            draw(u64::MAX, seed).iter().map(|case| format!("{} {}", case.workload, case.size.0)).collect::<Vec<_>>()
        };
        let first = names(1);
        assert_eq!(first, names(1));
        assert_ne!(first, names(2));
        for name in Workload::names() {
            assert!(first.iter().any(|case| case.starts_with(name)), "{name}");
        }
        let small = draw(5000, 1);
        assert!(!small.is_empty() && small.iter().all(|case| case.largest() <= 5000));
    }
}
