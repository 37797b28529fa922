//! Checksums, fill and compare.

use proptest::prelude::*;
use uaccel_units::plain::{compare, crc32, crc32c, fill};

/// Bit by bit, from the definition.
fn crc_by_definition(polynomial: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { polynomial } else { 0 })
    })
}

#[test]
fn the_checksums_have_their_published_check_values() {
    assert_eq!(crc32c(0, b"123456789"), 0xE306_9283);
    assert_eq!(crc32(0, b"123456789"), 0xCBF4_3926);
    // RFC 3720 appendix B.4.
    assert_eq!(crc32c(0, &[0; 32]), 0x8A91_36AA);
    assert_eq!(crc32c(0, &[0xFF; 32]), 0x62A8_AB43);
    assert_eq!((crc32c(0, &[]), crc32(0, &[])), (0, 0));
    assert_eq!((crc32c(7, &[]), crc32(7, &[])), (7, 7));
}

#[test]
fn compare_finds_the_first_of_several_differences_at_any_offset() {
    let a = vec![7_u8; 1000];
    assert_eq!(compare(&a, &a.clone()), 1000);
    for at in 0..a.len() {
        let mut b = a.clone();
        b[at] = 8;
        b[999] = 9;
        assert_eq!(compare(&a, &b), at);
    }
    assert_eq!(compare(&[], &[]), 0);
    assert_eq!(compare(&a, &a[..300]), 300);
}

proptest! {
    #[test]
    fn checksums_follow_their_definition_and_continue(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0_usize..2000) {
        let (head, tail) = bytes.split_at(at.min(bytes.len()));
        prop_assert_eq!(crc32c(0, &bytes), crc_by_definition(0x82F6_3B78, &bytes));
        prop_assert_eq!(crc32(0, &bytes), crc_by_definition(0xEDB8_8320, &bytes));
        prop_assert_eq!(crc32c(crc32c(0, head), tail), crc32c(0, &bytes));
        prop_assert_eq!(crc32(crc32(0, head), tail), crc32(0, &bytes));
    }

    #[test]
    fn fill_repeats_the_pattern_from_the_start(pattern in any::<u64>(), len in 0_usize..100) {
        let mut room = vec![0; len];
        fill(pattern, &mut room);
        let expected: Vec<u8> = pattern.to_le_bytes().into_iter().cycle().take(len).collect();
        prop_assert_eq!(room, expected);
    }
}
