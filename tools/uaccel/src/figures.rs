//! Numbers for people: three digits that count, and a unit.

/// A plain number: `0.12`, `1.23`, `12.3`, `123`, `1234`.
#[must_use]
pub fn plain(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A count per second: `950`, `12.3k`, `4.56M`.
#[must_use]
pub fn rate(value: f64) -> String {
    match value {
        value if value >= 999_500.0 => format!("{}M", plain(value / 1e6)),
        value if value >= 9_995.0 => format!("{}k", plain(value / 1e3)),
        value => format!("{value:.0}"),
    }
}

/// A time given in nanoseconds: `87 ns`, `1.23 us`, `4.56 ms`.
#[must_use]
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns >= 999_500_000.0 => format!("{} s", plain(ns / 1e9)),
        ns if ns >= 999_500.0 => format!("{} ms", plain(ns / 1e6)),
        ns if ns >= 999.5 => format!("{} us", plain(ns / 1e3)),
        ns if ns >= 99.95 => format!("{ns:.0} ns"),
        ns => format!("{} ns", plain(ns)),
    }
}

/// A number of bytes in the largest binary unit of which there is one: `512 bytes`, `4 KiB`, `1 TiB`. What is beyond whole units is cut off.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(|| format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

/// A count with its noun: `1 job`, `12 jobs`, `3 processes`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ if noun.ends_with('s') => format!("{number} {noun}es"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        assert_eq!(
            [0.0, 1.234, 9.999, 12.34, 99.97, 1234.5].map(plain),
            ["0.00", "1.23", "10.0", "12.3", "100", "1234"]
        );
        assert_eq!(
            [12.0, 9999.0, 123_456.0, 999_900.0, 4_560_000.0].map(rate),
            ["12", "10.0k", "123k", "1.00M", "4.56M"]
        );
        assert_eq!(
            [0.5, 87.0, 999.7, 1234.0, 4.5e6, 2e9].map(time),
            ["0.50 ns", "87.0 ns", "1.00 us", "1.23 us", "4.50 ms", "2.00 s"]
        );
        assert_eq!([512, 4096, 6 << 20, 1 << 40].map(bytes), ["512 bytes", "4 KiB", "6 MiB", "1 TiB"]);
        assert_eq!([count(1, "job"), count(0, "job"), count(3, "process")], ["1 job", "0 jobs", "3 processes"]);
    }
}
