//! A and B in turn, and what comes of it.

use std::fmt;

use crate::error::{RawError, within};

/// Smallest, middle and largest of some figures, in the figures' own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Middle one; with an even number of figures, the mean of the two in the middle.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Sorts the figures and takes the three. `None` if there are none.
    pub fn of(figures: &mut [f64]) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median =
            if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) };
        Some(Self { min, median, max })
    }
}

impl fmt::Display for Spread {
    /// `min / median / max`, with the formatter's precision or two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} / {:.digits$} / {:.digits$}", self.min, self.median, self.max)
    }
}

/// How many pairs a comparison is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairs(usize);

impl Default for Pairs {
    /// The fewest.
    fn default() -> Self {
        Self(Self::LEAST)
    }
}

impl Pairs {
    /// Fewest pairs from which a median is taken.
    pub const LEAST: usize = 9;

    /// `count` pairs.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`] below [`Pairs::LEAST`] or above a million.
    pub fn new(count: usize) -> Result<Self, RawError> {
        within("the number of pairs", count as u64, Self::LEAST as u64, 1_000_000)?;
        Ok(Self(count))
    }

    /// The number of pairs.
    #[must_use]
    pub fn count(self) -> usize {
        self.0
    }

    /// Runs A and B in turn, one repetition each per pair, and compares them.
    ///
    /// One pair is run first and thrown away. Then A and B change places from pair to pair (A B, B A, A B, …), so that
    /// neither always runs in the other's wake and a steady drift falls out of the median. The ratio is **A / B**: let
    /// A be what is judged and B the limit, both in nanoseconds per operation; then 1.0 is the best there can be.
    ///
    /// # Errors
    ///
    /// The first error of either side; [`RawError::BadFigure`] if a side gives zero, a negative, or no finite number.
    pub fn run<E: From<RawError>>(
        self,
        mut a: impl FnMut() -> Result<f64, E>,
        mut b: impl FnMut() -> Result<f64, E>,
    ) -> Result<PairReport, E> {
        usable(a()?)?;
        usable(b()?)?;
        let (mut of_a, mut of_b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..self.0 {
            let (figure_a, figure_b) = if pair % 2 == 0 {
                let figure_a = usable(a()?)?;
                (figure_a, usable(b()?)?)
            } else {
                let figure_b = usable(b()?)?;
                (usable(a()?)?, figure_b)
            };
            of_a.push(figure_a);
            of_b.push(figure_b);
            ratios.push(figure_a / figure_b);
        }
        Ok(PairReport { pairs: self.0, a: spread(of_a), b: spread(of_b), ratio: spread(ratios) })
    }
}

/// The figure, if a ratio can be made from it.
fn usable(figure: f64) -> Result<f64, RawError> {
    if figure.is_finite() && figure > 0.0 { Ok(figure) } else { Err(RawError::BadFigure { figure }) }
}

/// Spread of at least [`Pairs::LEAST`] figures.
fn spread(mut figures: Vec<f64>) -> Spread {
    Spread::of(&mut figures).unwrap_or(Spread { min: f64::NAN, median: f64::NAN, max: f64::NAN })
}

/// Outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PairReport {
    /// Number of pairs.
    pub pairs: usize,
    /// A's figures, nanoseconds per operation.
    pub a: Spread,
    /// B's figures, nanoseconds per operation.
    pub b: Spread,
    /// A / B of each pair. `ratio.median` is the result: the median of the ratios, not the ratio of the medians.
    pub ratio: Spread,
}

impl fmt::Display for PairReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "A / B = {:.3} (median of {} pairs; from {:.3} to {:.3}); A {} ns, B {} ns (min / median / max)",
            self.ratio.median, self.pairs, self.ratio.min, self.ratio.max, self.a, self.b
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Spread::of(&mut []), None);
        assert_eq!(Spread::of(&mut [3.0]), Some(Spread { min: 3.0, median: 3.0, max: 3.0 }));
        assert_eq!(Spread::of(&mut [9.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 9.0 }));
        assert_eq!(Spread::of(&mut [4.0, 1.0, 9.0, 2.0]), Some(Spread { min: 1.0, median: 3.0, max: 9.0 }));
    }

    #[test]
    fn the_ratio_is_the_median_of_ratios_and_the_order_changes() {
        let order = std::cell::RefCell::new(String::new());
        // Both drift upwards together; one pair is disturbed on A's side, another on B's.
        let (mut at_a, mut at_b) = (0, 0);
        let report = Pairs::default()
            .run(
                || {
                    order.borrow_mut().push('a');
                    at_a += 1;
                    Ok::<_, RawError>(if at_a == 4 { 1e6 } else { 20.0 * f64::from(at_a) })
                },
                || {
                    order.borrow_mut().push('b');
                    at_b += 1;
                    Ok(if at_b == 7 { 1e6 } else { 10.0 * f64::from(at_b) })
                },
            )
            .expect("good figures");
        assert_eq!(*order.borrow(), "ababbaabbaabbaabbaab");
        assert_eq!(report.pairs, 9);
        assert_eq!(report.ratio.median, 2.0);
        assert_eq!(report.a, Spread { min: 40.0, median: 140.0, max: 1e6 });
        assert_eq!(report.b, Spread { min: 20.0, median: 60.0, max: 1e6 });
        assert!(report.to_string().starts_with("A / B = 2.000 (median of 9 pairs"));
    }

    #[test]
    fn too_few_pairs_and_useless_figures_are_errors() {
        assert!(matches!(Pairs::new(8), Err(RawError::BadParameter { least: 9, given: 8, .. })));
        assert_eq!(Pairs::new(11).expect("enough").count(), 11);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let result = Pairs::default().run(|| Ok::<_, RawError>(1.0), || Ok(bad));
            assert!(matches!(result, Err(RawError::BadFigure { .. })));
        }
    }
}
