//! Where devices lie on the machine's root bus, as far as firmware has to know them by their place.

use crate::driver::Driver;
use crate::ssdt::Ssdt;

/// The slot that q35 has for itself.
const LAST: u8 = 31;

/// Devices in their order on the command line, and what the firmware has for them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) devices: Vec<String>,
    pub(crate) table: Ssdt,
}

impl Slots {
    /// Gives the devices of drivers that reset theirs through the firmware the first free slots, and a method each. One that says itself
    /// where it lies stays there, without a method.
    pub(crate) fn of(devices: Vec<String>, drivers: &[Driver]) -> Self {
        let taken: Vec<u8> = devices.iter().filter_map(|words| said(words)).collect();
        let mut free = (1..LAST).filter(|slot| !taken.contains(slot)).peekable();
        let (mut first, mut rest, mut table) = (Vec::new(), devices, Ssdt::default());
        for (&driver, method) in drivers.iter().filter_map(|driver| Some((driver, driver.reset_method()?))) {
            let named = rest.iter().any(|words| Driver::of_device(words) == Some(driver));
            let mut left = Vec::new();
            for (index, words) in rest.into_iter().enumerate() {
                // Under another name it is the first one.
                let its = if named { Driver::of_device(&words) == Some(driver) } else { index == 0 };
                let anywhere = !words.split(',').any(|word| word.starts_with("addr=") || word.starts_with("bus="));
                match free.next_if(|_| its && anywhere) {
                    Some(slot) => {
                        table.add_method(slot, method);
                        // QEMU reads it as hexadecimal.
                        first.push(format!("{words},addr={slot:x}"));
                    }
                    None => left.push(words),
                }
            }
            rest = left;
        }
        first.append(&mut rest);
        Self { devices: first, table }
    }
}

/// The slot of the root bus that a device says it lies in.
fn said(words: &str) -> Option<u8> {
    let mut words = words.split(',');
    let addr = words.clone().find_map(|word| word.strip_prefix("addr="))?;
    let elsewhere = words.any(|word| word.strip_prefix("bus=").is_some_and(|bus| bus != "pcie.0"));
    let slot = addr.split('.').next().unwrap_or(addr);
    u8::from_str_radix(slot.trim_start_matches("0x"), 16).ok().filter(|_| !elsewhere)
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

    #[test]
    fn a_slot_that_is_taken_is_left_out_and_slots_are_hexadecimal() {
        let mut devices = vec!["edu,addr=1", "edu,addr=0x03.0", "edu,bus=other,addr=2", "edu,bus=pcie.0,addr=a"];
        devices.extend(["hisi-zip"; 9]);
        let (placed, table) = slots(&devices, &[Driver::HisiZip]);
        let places: Vec<&str> = placed[..9].iter().map(|words| &words["hisi-zip,addr=".len()..]).collect();
        assert_eq!(places, ["2", "4", "5", "6", "7", "8", "9", "b", "c"]);
        assert_eq!(placed[9..], devices[..4]);
        assert_eq!(table, self::table(&[2, 4, 5, 6, 7, 8, 9, 11, 12]));
    }
}
