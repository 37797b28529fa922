//! Any bytes are either a message or an error.

use proptest::prelude::*;
use uaccel_devd_protocol::{MESSAGE, Reply, Request, serial_of};

/// Bytes that are mostly small numbers, so that many are messages after all.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => Just(0u8), 3 => 0..16u8, 1 => any::<u8>()];
    prop_oneof![
        proptest::collection::vec(byte, 64),
        proptest::collection::vec(any::<u8>(), 0..MESSAGE + 8),
        (1..12u8, proptest::collection::vec(Just(0u8), 63), "[ -~\n]{0,60}").prop_map(|(kind, rest, text)| {
            let mut bytes = vec![kind];
            bytes.extend(rest);
            bytes.extend(text.bytes());
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_decodes_as_a_request_encodes_to_the_same_bytes(bytes in bytes(), descriptors in 0..4usize) {
        if let Ok((serial, request)) = Request::decode(&bytes, descriptors) {
            prop_assert_eq!(request.encode(serial).to_vec(), bytes.clone());
            prop_assert_eq!(request.descriptors(), descriptors);
            prop_assert_eq!(serial_of(&bytes), serial);
        }
    }

    #[test]
    fn what_decodes_as_a_reply_decodes_again_to_the_same(bytes in bytes(), descriptors in 0..4usize) {
        if let Ok((serial, reply)) = Reply::decode(&bytes, descriptors) {
            prop_assert_eq!(Reply::decode(&reply.encode(serial), descriptors), Ok((serial, reply)));
        }
    }
}
