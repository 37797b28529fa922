//! Windows: what the engine is told of them, and the header.

use uaccel_queue::{Algorithm, Direction, SessionError, SessionId, SessionSpec};

use crate::device::Device;
use crate::queue::Queue;
use crate::stream::Stream;

const SESSION: SessionId = SessionId(30);

fn spec(algorithm: Algorithm, window: u32) -> SessionSpec {
    let spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("a session");
    spec.with_window(window).expect("a window")
}

/// The windows that sessions ask for, the code of the one that they get (UADK: `enum wd_comp_winsz_type`), and the first byte of zlib's header: 8, and the power of two that is large enough, less eight.
const ASKED: [(u32, u8, u8); 9] = [
    (4096, 0, 0x48),
    (8191, 0, 0x48),
    (8192, 1, 0x58),
    (16_383, 1, 0x58),
    (16_384, 2, 0x68),
    (24_575, 2, 0x68),
    (24_576, 3, 0x78),
    (32_767, 3, 0x78),
    (32_768, 4, 0x78),
];

#[test]
fn a_session_gets_the_next_smaller_window() {
    for (window, code, method) in ASKED {
        for algorithm in [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip] {
            let device = Device::new(8);
            let mut queue = Queue::over(&device, 1);
            queue.submitter.open_session(SESSION, &spec(algorithm, window)).expect("offered");
            queue.send(0, SESSION, b"text", 300);
            // The engine never answers the first job; the table has room for one.
            let other = Device::new(8);
            let mut streamed = Queue::over(&other, 1);
            streamed.submitter.open_session(SESSION, &spec(algorithm, window)).expect("offered");
            Stream::new(SESSION).send(&mut streamed, b"text", 300, false);
            for (device, queue) in [(&device, &queue), (&other, &streamed)] {
                assert_eq!(device.compress.entry(0).window, code, "{window}");
                if algorithm == Algorithm::Zlib {
                    let written = queue.memory[0].1.bytes();
                    assert_eq!(written[0], method, "{window}");
                    // RFC 1950, 2.2: no dictionary, and a multiple of 31.
                    assert!(written[1] & 0x20 == 0 && u16::from_be_bytes([written[0], written[1]]).is_multiple_of(31));
                }
            }
        }
    }
}

#[test]
fn nothing_has_a_header_that_tells_of_the_window_as_well() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    queue.submitter.open_session(SESSION, &spec(Algorithm::Zlib, 5000)).expect("offered");
    let (_, whole) = queue.run(SESSION, b"", 300);
    let (_, streamed) = Stream::new(SESSION).run(&mut queue, b"", 300, true);
    for stream in [whole, streamed] {
        assert_eq!(stream[..9], [0x48, 0x89, 3, 0, 0, 0, 0, 1, 0xa5]);
    }
}

#[test]
fn no_window_is_smaller_than_the_smallest() {
    let device = Device::new(8);
    let mut queue = Queue::over(&device, 1);
    assert_eq!(queue.granted.smallest_window, 4096);
    for window in [512, 4095] {
        let refused = queue.submitter.open_session(SESSION, &spec(Algorithm::Gzip, window));
        assert!(matches!(refused, Err(SessionError::Unsupported { .. })), "{window}: {refused:?}");
    }
}
