//! Sessions with a window: nothing points farther back, whole or in pieces, and the header says so.

use uaccel_queue::{Algorithm, Direction, Operation, SessionSpec};

use crate::contract_queue::{ContractQueue, Stream};
use crate::formats::{FORMATS, unpack};
use crate::queue;
use crate::small_history::{decode, far_repeats};

/// Header and trailer of what the driver and the engine write.
fn blocks(algorithm: Algorithm, stream: &[u8]) -> &[u8] {
    let (header, trailer) = match algorithm {
        Algorithm::Zlib => (2, 4),
        Algorithm::Gzip => (10, 8),
        _ => (0, 0),
    };
    &stream[header..stream.len() - trailer]
}

/// A text compressed by a session with this window: whole, and in pieces.
fn compressed(queue: &mut ContractQueue, algorithm: Algorithm, window: Option<u32>, text: &[u8]) -> [Vec<u8>; 2] {
    let mut spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("a session");
    if let Some(window) = window {
        spec = spec.with_window(window).expect("a window");
    }
    let session = queue.session(&spec);
    let mut whole = vec![0; 2 * text.len()];
    let outcome = queue.run(text, &mut whole, |job| (job.operation, job.session) = (Operation::Compress, session));
    whole.truncate(outcome.produced as usize);
    let stream = Stream::new(queue, session, Direction::Forward).all(queue, text, &[5000, 700], &[6000]);
    [whole, stream.expect("sound").0]
}

#[test]
fn a_decoder_with_no_more_history_than_the_window_is_enough() {
    let mut queue = queue();
    let text = far_repeats();
    // What is asked for, and the history that is enough: the engine has 24 KiB, of which its model uses 16.
    for (window, history) in
        [(4096, 4096), (5000, 4096), (8192, 8192), (16_384, 16_384), (24_576, 16_384), (32_768, 32_768)]
    {
        for algorithm in FORMATS {
            for stream in compressed(&mut queue, algorithm, Some(window), &text) {
                let back = decode(blocks(algorithm, &stream), history);
                assert!(back.as_ref() == Ok(&text), "{algorithm} {window}: {:?}", back.map(|text| text.len()));
                assert!(unpack(algorithm, &stream) == text, "{algorithm} {window}");
                if algorithm == Algorithm::Zlib {
                    assert!(256 << (stream[0] >> 4) >= history, "{window}");
                }
            }
        }
    }
}

#[test]
fn the_decoder_with_little_history_would_notice() {
    let mut queue = queue();
    let text = far_repeats();
    for algorithm in FORMATS {
        for (window, history) in [(None, 16_384), (Some(16_384), 8192), (Some(8192), 4096)] {
            for stream in compressed(&mut queue, algorithm, window, &text) {
                assert!(decode(blocks(algorithm, &stream), history).is_err(), "{algorithm} {history}");
            }
        }
    }
}
