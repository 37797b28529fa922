//! Whether there is an address space behind a PASID, looked up in the IOMMU's tables.
//!
//! When a process ends, Linux (7.3, `intel_pasid_tear_down_entry` in `drivers/iommu/intel/pasid.c`) takes its address space from a device in three steps: it clears the present bit of
//! the PASID's entry, has the caches forget it, and clears the rest of the entry. From the first step on nothing is to be translated (VT-d Specification 9.6, field P). QEMU 11.1 looks
//! at the bit when a page is requested, but not when a translation is, as long as it remembers the function's context entry: between the steps it walks on in page tables whose pages are about to be
//! given to others. What it finds then stays in its cache, where the next process finds it that gets the PASID. So the bit is looked at here, before QEMU is asked.
//!
//! The system may clear the bit just after it was looked at. But then it has the caches forget only after that: this is one step under the emulator's big lock, as is an invalidation.

use super::REGISTERS;

/// Registers (VT-d Specification 11.4.4, 11.4.5): command and status, with the status in the upper half, and the root table's address.
const STATUS: u64 = REGISTERS + 0x18;
const ROOT: u64 = REGISTERS + 0x20;
/// In the first: addresses are translated.
const TRANSLATES: u64 = 1 << 63;
/// In the second: tables are those of scalable mode, the only ones with PASIDs.
const SCALABLE: u64 = 1 << 10;

/// An entry of any of the tables is there: bit 0 of its first word.
const PRESENT: u64 = 1;
/// Where an entry says the next table is.
const ADDRESS: u64 = !0xfff;

/// Whether a function with this requester number can have addresses of `pasid` translated, or its own, without a PASID. The machine's memory is read word by word with `word`, which has `None`
/// where there is none.
///
/// Without an IOMMU, or with one that does not know of PASIDs at the moment, it is QEMU who has to say.
pub(crate) fn is_present(word: impl Fn(u64) -> Option<u64>, requester: u16, pasid: Option<u32>) -> bool {
    let Some((status, root)) = word(STATUS).zip(word(ROOT)) else { return true };
    if status & TRANSLATES == 0 || root & SCALABLE == 0 {
        return true;
    }
    entry(&word, root & ADDRESS, requester, pasid).is_some()
}

/// The first word of the PASID's entry, if it and all on the way to it are there.
fn entry(word: &impl Fn(u64) -> Option<u64>, root: u64, requester: u16, pasid: Option<u32>) -> Option<u64> {
    let there = |address| word(address).filter(|first| first & PRESENT != 0);
    let [bus, function] = requester.to_be_bytes().map(u64::from);
    // Scalable-mode root entry (9.2): 16 bytes for a bus, a table for each half of its functions.
    let contexts = there(root + bus * 16 + function / 128 * 8)? & ADDRESS;
    // Scalable-mode context entry (9.4): 32 bytes; where the directory is and, as a power of two over 128, how many entries it has; behind that the PASID of accesses that name none.
    let context = contexts + function % 128 * 32;
    let directory = there(context)?;
    let number = match pasid {
        Some(pasid) => u64::from(pasid),
        None => word(context + 8)? & 0xf_ffff,
    };
    // Directory entry (9.5): 8 bytes, a table of 64. Table entry (9.6): 64 bytes.
    let (index, entries) = (number / 64, 128 << (directory >> 9 & 7));
    let table = if index < entries { there((directory & ADDRESS) + index * 8)? & ADDRESS } else { return None };
    there(table + number % 64 * 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Function 1a.2 of bus 3, whose own accesses have PASID 0. PASIDs 2 and 0x1ffff are there, 0 and 3 are not.
    const REQUESTER: u16 = 0x03d2;

    fn machine() -> BTreeMap<u64, u64> {
        BTreeMap::from([
            (STATUS, TRANSLATES),
            (ROOT, 0x10_0000 | SCALABLE),
            // Bus 3, functions from 0x80 on.
            (0x10_0038, 0x20_0000 | PRESENT),
            // Function 0xd2, 0x52 of its half: a directory of 128 << 4 entries; the function's own PASID.
            (0x20_0a40, 0x30_0000 | 4 << 9 | PRESENT),
            (0x20_0a48, 0),
            // PASIDs from 0 to 63, and the last 64.
            (0x30_0000, 0x40_0000 | PRESENT),
            (0x30_3ff8, 0x50_0000 | PRESENT),
            (0x40_0000, 0),
            (0x40_0080, 0x60_0000 | PRESENT),
            // Its present bit is cleared, and the rest still there.
            (0x40_00c0, 0x60_0000),
            (0x50_0fc0, 0x60_0000 | PRESENT),
        ])
    }

    fn look(machine: &BTreeMap<u64, u64>, requester: u16, pasid: Option<u32>) -> bool {
        is_present(|address| machine.get(&address).copied(), requester, pasid)
    }

    #[test]
    fn an_entry_is_found_by_bus_function_and_pasid() {
        let machine = machine();
        assert!(look(&machine, REQUESTER, Some(2)));
        assert!(look(&machine, REQUESTER, Some(0x1_ffff)), "the last of the last table");
        assert!(!look(&machine, REQUESTER, Some(0x2_0000)), "behind the directory");
        assert!(!look(&machine, REQUESTER, Some(64)), "no table");
        assert!(!look(&machine, REQUESTER + 1, Some(2)), "another function");
        assert!(!look(&machine, REQUESTER & 0xff, Some(2)), "another bus");
    }

    #[test]
    fn an_entry_that_is_not_present_is_none_whatever_else_it_says() {
        assert!(!look(&machine(), REQUESTER, Some(3)));
    }

    #[test]
    fn accesses_without_a_pasid_have_the_one_of_their_context() {
        let mut machine = machine();
        assert!(!look(&machine, REQUESTER, None));
        machine.insert(0x20_0a48, 2);
        assert!(look(&machine, REQUESTER, None));
    }

    #[test]
    fn where_there_are_no_pasids_it_is_not_for_the_tables_to_say() {
        assert!(look(&BTreeMap::new(), REQUESTER, Some(3)), "no IOMMU");
        let mut machine = machine();
        machine.insert(ROOT, 0x10_0000);
        assert!(look(&machine, REQUESTER, Some(3)), "tables without PASIDs");
        machine.insert(ROOT, 0x10_0000 | SCALABLE);
        machine.insert(STATUS, 0);
        assert!(look(&machine, REQUESTER, Some(3)), "nothing is translated");
    }
}
