//! What several processes got of one device.

use serde::Serialize;

use crate::report::Row;
use crate::size::ByteSize;

/// One workload at one size on one device, by one process alone and by several together.
#[derive(Clone, Debug, Serialize)]
pub struct Sharing {
    /// The algorithm.
    pub algorithm: &'static str,
    /// What was done with it, where that is a choice.
    pub operation: Option<&'static str>,
    /// Bytes of text per job.
    pub size: ByteSize,
    /// The device.
    pub device: String,
    /// How many processes.
    pub processes: usize,
    /// What one of them gets while the others do nothing.
    pub alone: Row,
    /// What all of them get: jobs added up, latencies of all jobs.
    pub together: Row,
    /// What each gets while all work.
    pub each: Vec<Row>,
    /// Jobs per second of all together, by those of one alone.
    pub of_one: f64,
    /// Jobs per second of the process that got least, by those of the one that got most.
    pub smallest_by_largest_share: f64,
    /// Jain's index of the jobs per second: 1 if all got the same, 1/N if one got everything.
    pub jain_index: f64,
}

impl Sharing {
    /// Compares. `each` has at least one row.
    #[must_use]
    pub fn new(alone: Row, together: Row, each: Vec<Row>) -> Self {
        let rates: Vec<f64> = each.iter().map(|row| row.jobs_per_second).collect();
        let (smallest_by_largest_share, jain_index) = (smallest_by_largest(&rates), jain_index(&rates));
        Self {
            algorithm: together.algorithm,
            operation: together.operation,
            size: together.size,
            device: together.device.clone(),
            processes: each.len(),
            of_one: ratio(together.jobs_per_second, alone.jobs_per_second),
            alone,
            together,
            each,
            smallest_by_largest_share,
            jain_index,
        }
    }

    /// Whether every job ended well and every verified result was right.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.alone.is_good() && self.each.iter().all(Row::is_good)
    }

    /// What a process got of everything, from 0 to 1.
    #[must_use]
    pub fn share(&self, row: &Row) -> f64 {
        ratio(row.jobs_per_second, self.each.iter().map(|row| row.jobs_per_second).sum())
    }
}

/// The smallest by the largest; 0 if nobody got anything.
pub(crate) fn smallest_by_largest(rates: &[f64]) -> f64 {
    let least = rates.iter().copied().min_by(f64::total_cmp).unwrap_or(0.0);
    ratio(least, rates.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0))
}

/// Jain, Chiu and Hawe's fairness index (DEC-TR-301, 1984): the square of the sum by N times the sum of squares.
fn jain_index(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    ratio(sum * sum, rates.len() as f64 * rates.iter().map(|rate| rate * rate).sum::<f64>())
}

fn ratio(what: f64, by: f64) -> f64 {
    if by > 0.0 { what / by } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_of_equals_and_of_one_who_takes_everything() {
        assert_eq!((jain_index(&[5.0; 4]), smallest_by_largest(&[5.0; 4])), (1.0, 1.0));
        assert_eq!((jain_index(&[7.0, 0.0, 0.0, 0.0]), smallest_by_largest(&[7.0, 0.0])), (0.25, 0.0));
        assert_eq!(jain_index(&[1.0, 3.0]), 0.8);
        assert_eq!((jain_index(&[]), smallest_by_largest(&[])), (0.0, 0.0));
    }
}
