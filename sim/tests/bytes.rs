//! Descriptor and completion, byte for byte, as they lie in ring memory; the user page, word for word.

mod support;

use support::{Hand, device, open};
use uaccel_queue::{Algorithm, Bus, Operation, RegionKind};
use uaccel_sim::{Plan, UserPage, WarpConfig};
use uaccel_warp_abi::{Descriptor, Geometry, INTERFACE, Mode, user_page};

fn bytes(hand: &Hand, offset: usize, len: usize) -> Vec<u8> {
    (offset..offset + len).step_by(8).flat_map(|offset| hand.ring.read(offset).to_le_bytes()).collect()
}

/// A job that fails at a known address, so that every field of the answer is known: nothing is ever mapped at 0x1000.
fn failing() -> Descriptor {
    Descriptor {
        source: 0x1000,
        source_len: 0x10,
        operand: *b"ABCDEFGHIJKL",
        token: 0x0001_2345,
        opcode: 5,
        session: 0x77,
        ..Descriptor::default()
    }
}

const LINE: [u8; 64] = [
    0x00, 0x10, 0, 0, 0, 0, 0, 0, // source
    0, 0, 0, 0, 0, 0, 0, 0, // destination
    0x10, 0, 0, 0, 0, 0, 0, 0, // their lengths
    0, 0, 0, 0, 0, 0, 0, 0, // aux
    0, 0, 0, 0, b'I', b'J', b'K', b'L', // its length, end of the operand
    0, 0, 0, 0, 0, 0, 0, 0, // context
    b'A', b'B', b'C', b'D', b'E', b'F', b'G', b'H', // start of the operand
    0x45, 0x23, 0x01, 0x00, 5, 0, 0x77, 0x80, // token, opcode, flags, session with phase
];

#[test]
fn a_job_answered_in_the_completion_ring() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&failing());
    assert_eq!(bytes(&hand, 0x100, 64), LINE);
    let completion = [0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x45, 0x23, 0x01, 0x00, 9, 0x01, 0, 0x80];
    assert_eq!(bytes(&hand, 0x100 + 64 * 64, 16), completion);
}

#[test]
fn a_job_answered_in_its_own_line() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Mailbox);
    hand.run(&failing());
    assert_eq!(bytes(&hand, 0x100, 48), LINE[..48]);
    let answer = [0x00, 0x10, 0, 0, 0, 0, 0, 0, 0x45, 0x23, 0x01, 0x00, 9, 0x81, 0, 0x80];
    assert_eq!(bytes(&hand, 0x130, 16), answer);
}

#[test]
fn phases_alternate() {
    let device = device(Plan::default());
    let mut hand = Hand::with(open(&device), Geometry::new(1, 0, Mode::Ring).unwrap());
    for (round, phase) in [(0, 0x80), (0, 0x80), (1, 0), (1, 0), (2, 0x80)] {
        let at = hand.geometry.completion(hand.head) + 15;
        hand.run(&Descriptor { token: 0x1000, ..Descriptor::default() });
        assert_eq!(hand.ring.read(at - 7) >> 56, phase, "round {round}");
    }
}

#[test]
fn the_user_page_says_what_it_is() {
    let device = device(Plan::default());
    let info = &device.devices()[0];
    assert_eq!((info.interface.as_str(), info.simulated), (INTERFACE, true));
    let transport = open(&device);
    let page = transport.region(RegionKind::User).unwrap();
    assert_eq!(page.len(), UserPage::SIZE);
    assert_eq!(page.read(user_page::IDENT).to_le_bytes(), *b"WARP\x01\0\0\0");
    assert_eq!(page.read(user_page::FEATURES), 0b1001);
    let WarpConfig { entries, sessions, max_transfer, .. } = WarpConfig::default();
    assert_eq!(
        page.read(user_page::LIMITS),
        u64::from(entries) | u64::from(sessions) << 16 | u64::from(max_transfer) << 32
    );
    assert_eq!(page.read(user_page::OPERATIONS), Operation::ALL.iter().map(|operation| 1 << *operation as u8).sum());
    for algorithm in Algorithm::ALL {
        let raw = algorithm as usize;
        let bit = |register| page.read(register + raw / 64 * 8) >> (raw % 64) & 1;
        assert_eq!(bit(user_page::FORWARD), 1, "{algorithm}");
        assert_eq!(bit(user_page::INVERSE), u64::from(algorithm.digest_len().is_none()), "{algorithm}");
    }
}
