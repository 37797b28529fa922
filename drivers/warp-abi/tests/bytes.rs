//! Golden bytes, and what goes in comes out.

use proptest::prelude::*;
use uaccel_warp_abi::{
    Answer, Assignment, AssignmentError, CONTROL_VERSION, Command, Completion, Descriptor, DescriptorError,
    DescriptorFlags, Features, Geometry, GeometryError, Limits, Mode, SessionEntry, SessionEntryError, Space, State,
    VERSION, control_ident, control_page, ident, pci, user_page,
};

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn a_descriptor() {
    let descriptor = Descriptor {
        source: 0x0706_0504_0302_0100,
        destination: 0x0f0e_0d0c_0b0a_0908,
        source_len: 0x1312_1110,
        destination_len: 0x1716_1514,
        aux: 0x1f1e_1d1c_1b1a_1918,
        aux_len: 0x2322_2120,
        operand: [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x24, 0x25, 0x26, 0x27],
        context: 0x2f2e_2d2c_2b2a_2928,
        token: 0x3b3a_3938,
        opcode: 0x3c,
        flags: DescriptorFlags::VOUCHED | DescriptorFlags::CHAINED,
        session: 0x3f3e,
    };
    let mut expected: Vec<u8> = (0..64).collect();
    expected[0x3d] = 0b101;
    assert_eq!(bytes(&descriptor.encode(false)), expected);
    expected[0x3f] |= 0x80;
    assert_eq!(bytes(&descriptor.encode(true)), expected);
    assert_eq!(Descriptor::decode(&descriptor.encode(true)), Ok(descriptor));
}

#[test]
fn an_operand_of_sixteen_bytes() {
    let mut descriptor = Descriptor { opcode: 0x15, ..Descriptor::default() };
    descriptor.set_wide_operand(*b"0123456789abcdef");
    let mut expected = [0; 64];
    expected[0x30..0x38].copy_from_slice(b"01234567");
    expected[0x24..0x28].copy_from_slice(b"89ab");
    expected[0x20..0x24].copy_from_slice(b"cdef");
    expected[0x3c] = 0x15;
    assert_eq!(bytes(&descriptor.encode(false)), expected);
    let decoded = Descriptor::decode(&descriptor.encode(false)).expect("no reserved bits");
    assert_eq!(&decoded.wide_operand(), b"0123456789abcdef");
}

#[test]
fn reserved_flags_are_refused() {
    for bit in 3..8 {
        let mut words = Descriptor::default().encode(true);
        words[7] |= 1 << (40 + bit);
        assert_eq!(Descriptor::decode(&words), Err(DescriptorError::ReservedFlags(1 << bit)));
    }
    let words = Descriptor::refused(0x1234_5678).encode(true);
    assert!(Descriptor::decode(&words).is_err());
    assert_eq!(Descriptor::token_of(words[7]), 0x1234_5678);
    assert_eq!(words[7] & Completion::ANSWERED, 0, "it is not taken for an answer");
}

#[test]
fn completions() {
    let counts = Completion {
        token: 0x0b0a_0908,
        status: 0x0c,
        answer: Answer::Counts { consumed: 0x0302_0100, produced: 0x0706_0504 },
    };
    assert_eq!(bytes(&counts.encode(false)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0]);
    let fault = |answer| bytes(&Completion { token: 1, status: 9, answer }.encode(true));
    assert_eq!(fault(Answer::ReadFault(0x1122)), [0x22, 0x11, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1, 0, 0x80]);
    assert_eq!(fault(Answer::WriteFault(0x1122)), [0x22, 0x11, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 2, 0, 0x80]);
}

#[test]
fn a_session_entry() {
    let mut entry =
        SessionEntry { algorithm: 0x0100, direction: 1, level: 9, key_len: 3, key: [0; SessionEntry::MAX_KEY] };
    entry.key[..3].copy_from_slice(b"key");
    let mut expected = vec![0, 1, 1, 9, 3, 0, 0, 0, b'k', b'e', b'y'];
    expected.resize(256, 0);
    assert_eq!(bytes(&entry.encode()), expected);
    assert!(!format!("{entry:?}").contains("107"), "the key stays out of logs");
    let refused = |word: u64| {
        let mut words = entry.encode();
        words[0] = word;
        SessionEntry::decode(&words).err()
    };
    assert_eq!(refused(1 << 48), Some(SessionEntryError::Reserved(1)));
    assert_eq!(refused(2 << 16), Some(SessionEntryError::Direction(2)));
    assert_eq!(refused(249 << 32), Some(SessionEntryError::KeyLength(249)));
    assert_eq!(refused(248 << 32), None);
}

#[test]
fn registers() {
    assert_eq!(ident(VERSION), 0x0000_0001_5052_4157);
    let limits = Limits { entries: 0x1000, sessions: 0x0203, max_transfer: 0x0400_0000 };
    assert_eq!(limits.encode(), 0x0400_0000_0203_1000);
    assert_eq!(Limits::decode(limits.encode()), limits);
    assert_eq!(Features::all().bits(), 0b1111);
    for (state, word) in
        [(State::Off, 0), (State::Ready, 1), (State::Stopped, 2), (State::Failed(0x0102_0304), 0x01_0203_0403)]
    {
        assert_eq!(state.encode(), word);
        assert_eq!(State::decode(word), state);
    }
    assert_eq!(State::decode(0x77), State::Failed(0), "what is not known is a failure");
    let offsets = [
        user_page::IDENT,
        user_page::FEATURES,
        user_page::LIMITS,
        user_page::OPERATIONS,
        user_page::FORWARD,
        user_page::INVERSE,
        user_page::RING_BASE,
        user_page::GEOMETRY,
        user_page::ENABLE,
        user_page::SUBMIT,
        user_page::ARM,
    ];
    assert_eq!(offsets, [0, 8, 0x10, 0x18, 0x20, 0x30, 0x40, 0x48, 0x50, 0x80, 0x88]);
    assert_eq!(Command::ALL.map(|command| command as u8), [0x80, 0x81, 0x82]);
    for opcode in 0..=255 {
        assert_eq!(
            Command::from_opcode(opcode).map(|command| command as u8),
            (0x80..=0x82).contains(&opcode).then_some(opcode)
        );
    }
}

#[test]
fn the_control_page() {
    assert_eq!(control_ident(CONTROL_VERSION), 0x0000_0001_4c54_4357);
    let offsets = [
        control_page::IDENT,
        control_page::QUEUES,
        control_page::RESET,
        control_page::TRANSLATIONS,
        control_page::PAGE_REQUESTS,
        control_page::PAGE_REQUESTS_GRANTED,
        control_page::PAGE_REQUESTS_REFUSED,
        control_page::INVALIDATIONS,
    ];
    assert_eq!(offsets, [0, 8, 0x10, 0x20, 0x28, 0x30, 0x38, 0x40]);
    assert_eq!([0, 1, 63].map(control_page::assign), [0x400, 0x420, 0xbe0]);
    assert_eq!([0, 1, 63].map(control_page::queue_state), [0x408, 0x428, 0xbe8]);
    assert_eq!(control_page::queue_of(0x3ff), None);
    assert_eq!(control_page::queue_of(0x400), Some((0, 0)));
    assert_eq!(control_page::queue_of(0x428), Some((1, 8)));
    assert_eq!(control_page::queue_of(0xbff), Some((63, 31)));
    assert_eq!(control_page::queue_of(0xc00), None);
}

#[test]
fn the_pci_function() {
    assert_eq!((pci::VENDOR, pci::DEVICE, pci::REVISION, pci::CLASS), (0x1234, 0x5741, 1, 0x1200));
    assert_eq!([0, 1, 15].map(pci::user_page), [0x1000, 0x2000, 0x10000]);
    assert_eq!([1, 3, 7, 16, 64].map(pci::pages_size), [0x2000, 0x4000, 0x8000, 0x20000, 0x80000]);
}

#[test]
fn assignments() {
    let value = |assignment: Assignment| assignment.encode().to_le_bytes();
    assert_eq!(value(Assignment::to(0x1_2345).expect("20 bits")), [0x45, 0x23, 0x01, 0, 0, 0, 0, 0x80]);
    assert_eq!(
        value(Assignment { space: Some(Space::Pasid(7)), busy: true, ..Assignment::REVOKED }),
        [7, 0, 0, 0, 0, 0, 0, 0xc0]
    );
    assert_eq!(value(Assignment { busy: true, ..Assignment::REVOKED }), [0, 0, 0, 0, 0, 0, 0, 0x40]);
    assert_eq!(value(Assignment { awaits_pages: true, ..Assignment::REVOKED }), [0, 0, 0, 0, 0, 0, 0, 0x10]);
    assert_eq!(value(Assignment::OWN), [0, 0, 0, 0, 0, 0, 0, 0xa0]);
    assert_eq!(value(Assignment::REVOKED), [0; 8]);
    assert_eq!(Assignment::to(1 << 20), Err(AssignmentError::Pasid(1 << 20)));
    let zero = Assignment::to(0).expect("20 bits");
    for assignment in [Assignment::REVOKED, Assignment::OWN, zero] {
        assert_eq!(Assignment::decode(assignment.encode()), assignment);
        assert_eq!(Assignment::from_write(assignment.encode()), Ok(assignment), "PASID 0 is not the same as none");
    }
    for wrong in [1 << 62, 1 << 60, 1 << 63 | 1 << 20, 1 << 63 | 1 << 61 | 5, 1 << 61, 5] {
        assert_eq!(Assignment::from_write(wrong), Err(AssignmentError::Reserved(wrong)));
    }
}

#[test]
fn a_geometry() {
    let geometry = Geometry::new(4, 2, Mode::Mailbox).expect("possible");
    assert_eq!(geometry.register(), 0x0002_0104);
    assert_eq!((geometry.entries(), geometry.sessions(), geometry.mode()), (16, 2, Mode::Mailbox));
    assert_eq!([0, 1, 15, 16, 17].map(|index| geometry.submission(index)), [0x100, 0x140, 0x4c0, 0x100, 0x140]);
    assert_eq!([0, 1, 16].map(|index| geometry.completion(index)), [0x500, 0x510, 0x500]);
    assert_eq!((geometry.session(0), geometry.session(1), geometry.size()), (0x600, 0x700, 0x800));
    assert_eq!([0, 15, 16, 31, 32].map(|index| geometry.phase(index)), [true, true, false, false, true]);
    for log2 in [0, 14, 255] {
        assert_eq!(Geometry::new(log2, 0, Mode::Ring), Err(GeometryError::Entries(log2)));
    }
    assert_eq!(Geometry::new(4, 0x8001, Mode::Ring), Err(GeometryError::Sessions(0x8001)));
    for reserved in [9, 15, 32, 63] {
        assert!(
            matches!(Geometry::from_register(4 | 1 << reserved), Err(GeometryError::Reserved(_))),
            "bit {reserved}"
        );
    }
}

proptest! {
    #[test]
    fn any_words_decode_without_panic(words: [u64; 8]) {
        if let Ok(descriptor) = Descriptor::decode(&words) {
            let phase = words[7] & Descriptor::PHASE != 0;
            prop_assert_eq!(descriptor.encode(phase), words, "nothing is lost");
        }
        let completion = Completion::decode(words[0], words[1]);
        prop_assert_eq!(u64::from(completion.token), words[1] & 0xffff_ffff);
        let _ = Limits::decode(words[2]);
        let _ = State::decode(words[3]);
        if let Ok(geometry) = Geometry::from_register(words[4]) {
            prop_assert_eq!(geometry.register(), words[4]);
        }
    }

    #[test]
    fn geometries_come_back_and_parts_do_not_overlap(
        log2 in 1..=13_u8,
        sessions in 0..=32768_u16,
        mailbox: bool,
        index: u64,
    ) {
        let mode = if mailbox { Mode::Mailbox } else { Mode::Ring };
        let geometry = Geometry::new(log2, sessions, mode).expect("in range");
        prop_assert_eq!(Geometry::from_register(geometry.register()), Ok(geometry));
        let first_completion = geometry.completion(0);
        prop_assert!(geometry.submission(index) >= Geometry::SUBMISSIONS);
        prop_assert!(geometry.submission(index) + Descriptor::SIZE <= first_completion);
        prop_assert!(geometry.completion(index) >= first_completion);
        prop_assert!(geometry.completion(index) + Completion::SIZE <= geometry.session(0));
        prop_assert_ne!(geometry.phase(index), geometry.phase(index.wrapping_add(geometry.entries() as u64)));
    }

    #[test]
    fn completions_come_back(token: u32, status: u8, kind in 0..3, value: u64, phase: bool) {
        let answer = match kind {
            0 => Answer::ReadFault(value),
            1 => Answer::WriteFault(value),
            _ => Answer::Counts { consumed: u32::try_from(value >> 32).expect("a half"), produced: 7 },
        };
        let completion = Completion { token, status, answer };
        let [result, control] = completion.encode(phase);
        prop_assert_eq!(Completion::decode(result, control), completion);
        prop_assert_eq!(control & Descriptor::PHASE != 0, phase);
        prop_assert_eq!(Completion::decode(result, control | Completion::ANSWERED), completion);
        let success = status == 0 && matches!(answer, Answer::Counts { .. });
        for control in [control, control | Completion::ANSWERED] {
            prop_assert_eq!((Completion::token_of(control), Completion::is_success(control)), (token, success));
        }
    }
}
