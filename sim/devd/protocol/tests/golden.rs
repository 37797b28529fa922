//! Messages to the byte.

use uaccel_devd_protocol::{
    DecodeError, HelloFlags, MESSAGE, Priority, RECORD, Refusal, Reply, Request, TEXT, VERSION, WelcomeFlags, serial_of,
};

const SERIAL: u32 = 0x0403_0201;

/// A record, from its fields as they lie in memory.
fn record(kind: u8, queue: [u8; 4], code: u8, words: &[[u8; 8]]) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(queue);
    bytes.extend([1, 2, 3, 4, code, 0, 0, 0]);
    bytes.extend(words.iter().flatten());
    bytes.resize(RECORD, 0);
    bytes
}

fn word(low: u8) -> [u8; 8] {
    [low, 0, 0, 0, 0, 0, 0, 0]
}

const WIDE: u64 = 0x8877_6655_4433_2211;
const WIDE_BYTES: [u8; 8] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
const QUEUE: u32 = 0xd00d_0007;
const QUEUE_BYTES: [u8; 4] = [7, 0, 0x0d, 0xd0];
const NONE: [u8; 4] = [0; 4];

fn requests() -> Vec<(Request, Vec<u8>)> {
    let hello = Request::Hello {
        version: VERSION,
        flags: HelloFlags::FENCED,
        priority: Priority::High,
        gate: WIDE,
        canary: [5, WIDE],
    };
    vec![
        (hello, record(1, NONE, 0, &[word(1), word(1), word(2), WIDE_BYTES, word(5), WIDE_BYTES])),
        (Request::Device { index: 3 }, record(2, NONE, 0, &[word(3)])),
        (Request::Open { index: 4 }, record(3, NONE, 0, &[word(4)])),
        (Request::Ring { queue: QUEUE, len: WIDE }, record(4, QUEUE_BYTES, 0, &[WIDE_BYTES])),
        (
            Request::Control { queue: QUEUE, offset: 0x50, value: WIDE },
            record(5, QUEUE_BYTES, 0, &[word(0x50), WIDE_BYTES]),
        ),
        (Request::Stop { queue: QUEUE, within: WIDE }, record(6, QUEUE_BYTES, 0, &[WIDE_BYTES])),
        (Request::Reset { queue: QUEUE, within: WIDE }, record(7, QUEUE_BYTES, 0, &[WIDE_BYTES])),
        (Request::Close { queue: QUEUE }, record(8, QUEUE_BYTES, 0, &[])),
        (Request::Window { address: WIDE, len: 9 }, record(9, NONE, 0, &[WIDE_BYTES, word(9)])),
        (Request::Unwindow { id: WIDE }, record(10, NONE, 0, &[WIDE_BYTES])),
        (Request::Status, record(11, NONE, 0, &[])),
    ]
}

fn replies() -> Vec<(Reply, Vec<u8>)> {
    let welcome = Reply::Welcome {
        version: VERSION,
        flags: WelcomeFlags::FENCES,
        pasid: 2,
        queues: 3,
        windows: 4,
        window_bytes: WIDE,
    };
    let device =
        Reply::Device { count: 1, queues: 64, free: 63, name: "warp0".to_owned(), interface: "warp-1".to_owned() };
    let busy = Reply::Refused { refusal: Refusal::Busy, text: "später".to_owned() };
    let system = Reply::Refused { refusal: Refusal::System(13), text: String::new() };
    let with = |mut record: Vec<u8>, text: &[u8]| {
        record.extend(text);
        record
    };
    vec![
        (welcome, record(1, NONE, 0, &[word(1), word(1), word(2), word(3), word(4), WIDE_BYTES])),
        (device, with(record(2, NONE, 0, &[word(1), word(64), word(63)]), b"warp0\nwarp-1")),
        (Reply::Opened { queue: QUEUE }, record(3, QUEUE_BYTES, 0, &[])),
        (Reply::Ring { queue: QUEUE, address: WIDE, len: 9 }, record(4, QUEUE_BYTES, 0, &[WIDE_BYTES, word(9)])),
        (Reply::Done, record(5, NONE, 0, &[])),
        (Reply::Stopped { quiet: true }, record(6, NONE, 0, &[word(1)])),
        (Reply::Stopped { quiet: false }, record(6, NONE, 0, &[])),
        (Reply::Window { id: WIDE }, record(7, NONE, 0, &[WIDE_BYTES])),
        (Reply::Status { len: 5 }, record(8, NONE, 0, &[word(5)])),
        (busy, with(record(9, NONE, 4, &[]), "später".as_bytes())),
        (system, record(9, NONE, 9, &[word(13)])),
    ]
}

#[test]
fn requests_have_these_bytes() {
    for (request, bytes) in requests() {
        assert_eq!(request.encode(SERIAL).as_slice(), bytes, "{request:?}");
        assert_eq!(Request::decode(&bytes, request.descriptors()), Ok((SERIAL, request)));
        assert_eq!(serial_of(&bytes), SERIAL);
    }
}

#[test]
fn replies_have_these_bytes() {
    for (reply, bytes) in replies() {
        assert_eq!(reply.encode(SERIAL), bytes, "{reply:?}");
        assert_eq!(Reply::decode(&bytes, reply.descriptors()), Ok((SERIAL, reply)));
    }
}

#[test]
fn every_refusal_has_a_number_of_its_own() {
    let all = [
        Refusal::BadRequest,
        Refusal::Version,
        Refusal::NoSuchDevice,
        Refusal::Busy,
        Refusal::Limit,
        Refusal::NotPermitted,
        Refusal::TimedOut,
        Refusal::Failed,
        Refusal::System(7),
    ];
    for (code, refusal) in (1..).zip(all) {
        let reply = Reply::Refused { refusal, text: String::new() };
        let message = reply.encode(1);
        assert_eq!(message[12..16], [code, 0, 0, 0]);
        assert_eq!(Reply::decode(&message, 0), Ok((1, reply)));
    }
}

#[test]
fn lengths_and_descriptors_must_be_right() {
    for (request, bytes) in requests() {
        let expected = request.descriptors();
        let found = expected + 1;
        assert_eq!(Request::decode(&bytes, found), Err(DecodeError::Descriptors { expected, found }));
        assert!(matches!(Request::decode(&bytes[..63], expected), Err(DecodeError::Length { .. })));
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(Request::decode(&longer, expected), Err(DecodeError::Length { .. })));
    }
    for (reply, bytes) in replies() {
        let found = reply.descriptors() + 1;
        assert!(matches!(Reply::decode(&bytes, found), Err(DecodeError::Descriptors { .. })));
        assert!(matches!(Reply::decode(&bytes[..63], found - 1), Err(DecodeError::Length { .. })));
    }
}

#[test]
fn words_and_fields_that_a_kind_does_not_use_must_be_zero() {
    let status = Request::Status.encode(SERIAL);
    for at in (4..8).chain(12..RECORD) {
        let mut bytes = status;
        bytes[at] = 1;
        assert!(matches!(Request::decode(&bytes, 0), Err(DecodeError::Reserved { .. })), "byte {at}");
        let mut bytes = Reply::Done.encode(SERIAL);
        bytes[at] = 1;
        assert!(matches!(Reply::decode(&bytes, 0), Err(DecodeError::Reserved { .. })), "byte {at}");
    }
}

#[test]
fn values_that_make_no_sense_are_refused_and_named() {
    let mut hello = record(1, NONE, 0, &[word(1), word(2)]);
    let found = Request::decode(&hello, 2).expect_err("an unknown flag");
    assert_eq!(found.to_string(), "flags cannot be 0x2");
    hello[24] = 0;
    hello[32] = 3;
    assert_eq!(Request::decode(&hello, 2), Err(DecodeError::Value { field: "priority", value: 3 }));
    assert_eq!(Request::decode(&record(99, NONE, 0, &[]), 0), Err(DecodeError::Kind(99)));
    assert!(Reply::decode(&record(6, NONE, 0, &[word(2)]), 0).is_err(), "neither quiet nor not");
    assert!(Reply::decode(&record(2, NONE, 0, &[]), 0).is_err(), "a device without a name");
}

#[test]
fn text_that_is_too_long_is_cut_off_between_characters() {
    let text = format!("x{}", "ä".repeat(TEXT));
    let message = Reply::Refused { refusal: Refusal::Limit, text: text.clone() }.encode(SERIAL);
    assert!(message.len() <= MESSAGE);
    let Ok((_, Reply::Refused { text: cut, .. })) = Reply::decode(&message, 0) else { panic!("a refusal") };
    assert!(text.starts_with(&cut) && cut.len() >= TEXT - 1, "{} bytes", cut.len());
}
