//! Memory in pieces: the device reads lists of them where they are.

use uaccel_runtime::{Algorithm, Direction, Pieces, Work};

use crate::bench::{noise, runtime};
use crate::formats::{packed, session, unpacked};

/// Lengths of pieces, again and again: one byte, none, one that lies across pages, and some that fill more lists than one.
const LENS: [usize; 6] = [1, 0, 9_001, 77, 300, 5];

/// The lengths of the pieces of so many bytes.
fn lens(mut left: usize) -> Vec<usize> {
    let mut lens = Vec::new();
    for len in LENS.into_iter().cycle() {
        if left == 0 {
            break;
        }
        lens.push(len.min(left));
        left -= len.min(left);
    }
    lens
}

fn cut(mut bytes: &[u8]) -> Vec<&[u8]> {
    let lens = lens(bytes.len());
    lens.into_iter().map(|len| bytes.split_off(..len).expect("no more than there is")).collect()
}

fn cut_mut(mut bytes: &mut [u8]) -> Vec<&mut [u8]> {
    let lens = lens(bytes.len());
    lens.into_iter().map(|len| bytes.split_off_mut(..len).expect("no more than there is")).collect()
}

#[test]
fn pieces_go_both_ways_as_they_are() {
    const LEN: usize = 2 << 20;
    let runtime = runtime();
    let text = [noise(7, LEN / 2), vec![b'u'; LEN / 2]].concat();
    assert!(cut(&text).len() > 3 * 255, "more than three lists");
    for format in [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip] {
        let (pack, unpack) =
            (session(&runtime, format, Direction::Forward), session(&runtime, format, Direction::Inverse));
        // Zeros of this length are pages that nobody has touched.
        let mut stream = vec![0; 2 * LEN];
        let mut pieces = Pieces::new(cut(&text), cut_mut(&mut stream));
        let outcome = runtime.run(Work::session_in_pieces(&pack, &mut pieces)).unwrap();
        assert_eq!(outcome.consumed, LEN as u64);
        stream.truncate(outcome.produced as usize);
        assert!(unpacked(format, &stream) == text, "{format}");

        let stream = packed(format, &text, 6);
        let mut back = vec![0; LEN];
        let mut pieces = Pieces::new(cut(&stream), cut_mut(&mut back));
        let outcome = runtime.run(Work::session_in_pieces(&unpack, &mut pieces)).unwrap();
        assert_eq!((outcome.consumed, outcome.produced), (stream.len() as u64, LEN as u64));
        assert!(back == text, "{format}");
    }
    let counters = runtime.counters();
    assert_eq!((counters.gathered, counters.failures, counters.resets), (0, 0, 0), "nothing was copied");
}
