//! Where devices lie on the machine's root bus, as far as firmware has to know them by their place.

use crate::driver::Driver;
use crate::ssdt::Ssdt;

/// Devices in their order on the command line, and what the firmware has for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) devices: Vec<String>,
    pub(crate) table: Ssdt,
}

impl Slots {
    /// Gives the devices of drivers that reset theirs through the firmware the first slots, and a method each. One that says itself
    /// where it lies stays there, without a method.
    pub(crate) fn of(devices: Vec<String>, drivers: &[Driver]) -> Self {
        let (mut first, mut rest, mut table, mut slot) = (Vec::new(), devices, Ssdt::default(), 1);
        for (&driver, method) in drivers.iter().filter_map(|driver| Some((driver, driver.reset_method()?))) {
            let named = rest.iter().any(|words| Driver::of_device(words) == Some(driver));
            let mut left = Vec::new();
            for (index, words) in rest.into_iter().enumerate() {
                // Under another name it is the first one.
                let its = if named { Driver::of_device(&words) == Some(driver) } else { index == 0 };
                if its && !words.split(',').any(|word| word.starts_with("addr=") || word.starts_with("bus=")) {
                    table.add_method(slot, method);
                    first.push(format!("{words},addr={slot}"));
                    slot += 1;
                } else {
                    left.push(words);
                }
            }
            rest = left;
        }
        first.append(&mut rest);
        Self { devices: first, table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(devices: &[&str], drivers: &[Driver]) -> (Vec<String>, Ssdt) {
        let Slots { devices, table } = Slots::of(devices.iter().map(|&words| words.to_owned()).collect(), drivers);
        (devices, table)
    }

    fn table(slots: &[u8]) -> Ssdt {
        let mut table = Ssdt::default();
        slots.iter().for_each(|&slot| table.add_method(slot, *b"ZRST"));
        table
    }

    #[test]
    fn a_device_that_firmware_resets_lies_where_firmware_looks() {
        let both = [Driver::Warp, Driver::HisiZip];
        assert_eq!(
            slots(&["warp", "hisi-zip", "edu", "hisi-zip,x=1"], &both),
            (["hisi-zip,addr=1", "hisi-zip,x=1,addr=2", "warp", "edu"].map(str::to_owned).to_vec(), table(&[1, 2]))
        );
        assert_eq!(slots(&["warp", "edu"], &[Driver::Warp]), (vec!["warp".to_owned(), "edu".to_owned()], table(&[])));
    }

    #[test]
    fn a_device_by_another_name_is_the_first_one() {
        let expected = (vec!["mine,addr=1".to_owned(), "edu".to_owned()], table(&[1]));
        assert_eq!(slots(&["mine", "edu"], &[Driver::HisiZip]), expected);
    }

    #[test]
    fn who_says_where_it_lies_stays_there_without_a_method() {
        let expected = (vec!["hisi-zip,addr=5".to_owned()], table(&[]));
        assert_eq!(slots(&["hisi-zip,addr=5"], &[Driver::HisiZip]), expected);
    }
}
