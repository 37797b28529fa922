//! A table for the machine's firmware, in AML: methods for functions on the root bus of q35.

/// The body of a secondary system description table (SSDT). QEMU puts the header in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ssdt(Vec<u8>);

// ACPI 6.5, sections 20.2.2, 20.2.3 and 20.2.5.
const ZERO: u8 = 0x00;
const SCOPE: u8 = 0x10;
const METHOD: u8 = 0x14;
const RETURN: u8 = 0xa4;
const MULTI_NAME: u8 = 0x2f;
/// No argument, serialized.
const FLAGS: u8 = 0x08;

impl Ssdt {
    /// Adds a method that has nothing to do and says so by returning 0, to the function 0 of a slot. QEMU has given that function its
    /// node: `\_SB.PCI0.S08` for slot 1, by device and function number.
    pub(crate) fn add_method(&mut self, slot: u8, name: [u8; 4]) {
        let method = [&name[..], &[FLAGS, RETURN, ZERO]].concat();
        let function = format!("S{:02X}_", u16::from(slot) << 3);
        let path = [b"\\".as_slice(), &[MULTI_NAME, 3], b"_SB_", b"PCI0", function.as_bytes()].concat();
        self.0.extend(package(SCOPE, &[path, package(METHOD, &method)].concat()));
    }

    /// The bytes; none if nothing was added.
    pub(crate) fn body(&self) -> Option<&[u8]> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

/// A term whose length stands in front of it. The length counts itself: one byte up to 63, here else two.
fn package(operator: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() + 1 {
        short @ ..=63 => vec![short.to_le_bytes()[0]],
        long => {
            let [low, high, ..] = (long + 1).to_le_bytes();
            vec![0x40 | low & 0xf, high << 4 | low >> 4]
        }
    };
    [&[operator], &length[..], content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_written_as_the_compiler_of_acpi_writes_it() {
        let mut table = Ssdt::default();
        assert_eq!(table.body(), None);
        table.add_method(1, *b"ZRST");
        // Scope (\_SB.PCI0.S08) { Method (ZRST, 0, Serialized) { Return (Zero) } }
        let expected = b"\x10\x19\\\x2f\x03_SB_PCI0S08_\x14\x08ZRST\x08\xa4\x00";
        assert_eq!(table.body(), Some(expected.as_slice()));
        table.add_method(31, *b"ZRST");
        assert!(table.body().is_some_and(|body| body.len() == 2 * expected.len() && body.ends_with(b"SF8_\x14\x08ZRST\x08\xa4\x00")));
    }

    #[test]
    fn a_long_term_has_a_long_length() {
        assert_eq!(package(SCOPE, &[0; 62])[..2], [SCOPE, 63]);
        // 63 of content and two of length: 65 is 0x041.
        assert_eq!(package(SCOPE, &[0; 63])[..3], [SCOPE, 0x41, 0x04]);
    }
}
