//! A published figure.

/// A published figure: what somebody measured on the hardware.
///
/// As text: depth, bytes, missing pages and MB/s, in this order, between spaces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Jobs in flight.
    pub depth: u16,
    /// Bytes of a job's text.
    pub bytes: u64,
    /// Pages that each job misses.
    pub missing: u32,
    /// Megabytes (of 10⁶ bytes) of text in a second.
    pub megabytes_per_second: f64,
}

impl Point {
    /// Reads a point; `None` if it is none that can be.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let point = Self {
            depth: words.next()?.parse().ok().filter(|depth| *depth != 0)?,
            bytes: words.next()?.parse().ok().filter(|bytes| *bytes != 0)?,
            missing: words.next()?.parse().ok()?,
            megabytes_per_second: words
                .next()?
                .parse()
                .ok()
                .filter(|figure: &f64| *figure > 0.0 && figure.is_finite())?,
        };
        words.next().is_none().then_some(point)
    }
}
