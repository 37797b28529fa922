//! From which job size on a device is faster than the CPU.

use serde::Serialize;

use crate::report::Row;
use crate::size::ByteSize;

/// The break-even of one workload on one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BreakEven {
    /// The workload, as a flat name.
    pub workload: String,
    /// The device.
    pub device: String,
    /// Whether the device is a model.
    pub simulated: bool,
    /// Where the device overtakes the CPU.
    #[serde(flatten)]
    pub place: Place,
    /// The largest size measured.
    pub largest: ByteSize,
    /// Jobs per second of the device, by those of the CPU, at that size.
    pub ratio_at_largest: f64,
}

/// Where a device overtakes the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "place", content = "size", rename_all = "snake_case")]
pub enum Place {
    /// It is faster at every size measured; this was the smallest.
    AtMost(ByteSize),
    /// Between two sizes measured, about here.
    About(ByteSize),
    /// It is slower at the largest size measured.
    Beyond(ByteSize),
}

/// The name of what devices are compared with.
pub const REFERENCE: &str = "software";

/// Finds the break-even of every workload on every device that was measured beside the CPU at two sizes or more.
#[must_use]
pub fn find(rows: &[Row]) -> Vec<BreakEven> {
    let mut found: Vec<BreakEven> = Vec::new();
    for row in rows.iter().filter(|row| row.effective && row.device != REFERENCE && row.mb_per_second.is_some()) {
        if found.iter().any(|known| known.workload == row.key && known.device == row.device) {
            continue;
        }
        let mut ratios: Vec<(ByteSize, f64)> = rows_of(rows, &row.key, &row.device)
            // What the CPU did in the device's place is no figure of the device.
            .filter(|own| own.fallbacks == 0 && own.is_good())
            .filter_map(|own| {
                let reference = rows_of(rows, &row.key, REFERENCE)
                    .find(|reference| reference.size == own.size && reference.jobs_per_second > 0.0)?;
                Some((own.size, own.jobs_per_second / reference.jobs_per_second))
            })
            .collect();
        ratios.sort_by_key(|(size, _)| *size);
        if let Some((place, largest, ratio)) = place(&ratios) {
            found.push(BreakEven {
                workload: row.key.clone(),
                device: row.device.clone(),
                simulated: row.simulated,
                place,
                largest,
                ratio_at_largest: ratio,
            });
        }
    }
    found
}

/// The rows of a workload on a device.
fn rows_of<'a>(rows: &'a [Row], key: &'a str, device: &'a str) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| row.key == key && row.device == device)
}

/// The place, from ratios by rising size; `None` below two sizes.
fn place(ratios: &[(ByteSize, f64)]) -> Option<(Place, ByteSize, f64)> {
    let (largest, ratio) = *ratios.last().filter(|_| ratios.len() > 1)?;
    // The last size at which the CPU was faster decides: what lies below it may be chance.
    let place = match ratios.iter().rposition(|(_, ratio)| *ratio < 1.0) {
        None => Place::AtMost(ratios[0].0),
        Some(last) if last + 1 == ratios.len() => Place::Beyond(largest),
        Some(last) => Place::About(between(ratios[last], ratios[last + 1])),
    };
    Some((place, largest, ratio))
}

/// The size at which the ratio becomes one, on a straight line through two points over the logarithm of the size.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two sizes")]
fn between(slower: (ByteSize, f64), faster: (ByteSize, f64)) -> ByteSize {
    let (from, to) = ((slower.0.0 as f64).ln(), (faster.0.0 as f64).ln());
    let share = (1.0 - slower.1) / (faster.1 - slower.1);
    let size = (from + (to - from) * share).exp();
    // It is an estimate, and should not look more exact than it is.
    let rounded = if size >= 2048.0 { (size / 1024.0).round() * 1024.0 } else { (size / 16.0).round() * 16.0 };
    ByteSize(rounded as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: usize = 1024;

    fn place_of(ratios: &[(usize, f64)]) -> Option<Place> {
        place(&ratios.iter().map(|(size, ratio)| (ByteSize(*size), *ratio)).collect::<Vec<_>>())
            .map(|(place, ..)| place)
    }

    #[test]
    fn the_last_crossing_counts() {
        assert_eq!(place_of(&[(K, 2.0), (4 * K, 3.0)]), Some(Place::AtMost(ByteSize(K))));
        assert_eq!(place_of(&[(K, 0.2), (4 * K, 0.3)]), Some(Place::Beyond(ByteSize(4 * K))));
        assert_eq!(place_of(&[(K, 0.5), (4 * K, 1.5)]), Some(Place::About(ByteSize(2 * K))));
        // Faster once by chance, then slower again.
        assert_eq!(place_of(&[(K, 1.1), (4 * K, 0.5), (16 * K, 1.5)]), Some(Place::About(ByteSize(8 * K))));
        assert_eq!(place_of(&[(K, 2.0)]), None);
    }
}
