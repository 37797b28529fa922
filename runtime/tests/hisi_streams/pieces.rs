//! Streams both ways, in pieces of any size.

use proptest::prelude::*;
use uaccel_queue::{Algorithm, Direction, SessionId, SessionSpec, Status};

use crate::contract_queue::{ContractQueue, Stream};
use crate::formats::{FORMATS, pack, text, unpack};
use crate::queue;

fn session(queue: &mut ContractQueue, algorithm: Algorithm, direction: Direction) -> SessionId {
    queue.session(&SessionSpec::compression(algorithm, direction, None).expect("a session"))
}

fn noise(len: usize) -> Vec<u8> {
    (0..len)
        .scan(1_u32, |state, _| Some(*state).inspect(|_| *state = state.wrapping_mul(48_271) ^ *state >> 7))
        .map(|state| (state >> 13) as u8)
        .collect()
}

/// Sizes of pieces and of rooms: few and large; odd; a byte each, and hardly any room; more pieces than rooms.
const SIZES: [(&[usize], &[usize]); 4] = [
    (&[1 << 20], &[1 << 20]),
    (&[1, 0, 7, 40_000, 333], &[256, 257, 1000, 70_001]),
    (&[1], &[256]),
    (&[5000, 3], &[511]),
];

#[test]
fn what_is_compressed_in_pieces_another_library_reads() {
    let mut queue = queue();
    for algorithm in FORMATS {
        let id = session(&mut queue, algorithm, Direction::Forward);
        for (sizes, rooms) in SIZES {
            let len = if sizes == [1] { 700 } else { 150_000 };
            for text in [text(len), noise(len), vec![0; len], [text(len / 2), noise(len / 2)].concat(), vec![]] {
                let (stream, used) =
                    Stream::new(&queue, id, Direction::Forward).all(&mut queue, &text, sizes, rooms).expect("sound");
                assert_eq!(used, text.len());
                assert!(unpack(algorithm, &stream) == text, "{algorithm} {sizes:?}");
            }
        }
    }
}

#[test]
fn what_another_library_compressed_is_read_in_pieces() {
    let mut queue = queue();
    for algorithm in FORMATS {
        let id = session(&mut queue, algorithm, Direction::Inverse);
        for (sizes, rooms) in SIZES {
            let len = if sizes == [1] { 700 } else { 150_000 };
            for (text, level) in [(text(len), 6), (noise(len), 9), (text(len), 0), (vec![0; len], 1), (vec![], 6)] {
                let stream = pack(algorithm, &text, level);
                let followed = [&stream[..], b"what follows"].concat();
                let read = Stream::new(&queue, id, Direction::Inverse).all(&mut queue, &followed, sizes, rooms);
                assert!(read == Ok((text, stream.len())), "{algorithm} {sizes:?} {level}");
            }
        }
    }
}

#[test]
fn a_stream_that_ends_early_or_is_broken_is_found_to_be() {
    let mut queue = queue();
    let text = text(3000);
    for algorithm in FORMATS {
        let id = session(&mut queue, algorithm, Direction::Inverse);
        let stream = pack(algorithm, &text, 6);
        for len in (0..stream.len()).step_by(37).chain([stream.len() - 1]) {
            for (sizes, rooms) in SIZES {
                let read = Stream::new(&queue, id, Direction::Inverse).all(&mut queue, &stream[..len], sizes, rooms);
                assert_eq!(read, Err(Status::Truncated), "{algorithm} cut at {len} {sizes:?}");
            }
        }
        let mut broken = stream.clone();
        let at = if algorithm == Algorithm::Deflate { 0 } else { stream.len() - 1 };
        broken[at] ^= 7;
        let read = Stream::new(&queue, id, Direction::Inverse).all(&mut queue, &broken, &[100], &[256]);
        assert_eq!(read, Err(Status::Corrupt), "{algorithm}");
    }
}

#[test]
fn streams_of_one_queue_are_each_others_neighbours() {
    let mut queue = queue();
    let texts = [text(40_000), noise(30_000), vec![7; 50_000]];
    let mut streams: Vec<_> = FORMATS
        .into_iter()
        .map(|algorithm| {
            let id = session(&mut queue, algorithm, Direction::Forward);
            (Stream::new(&queue, id, Direction::Forward), Vec::new(), 0)
        })
        .collect();
    let mut room = vec![0; 6000];
    while streams.iter().zip(&texts).any(|((_, _, used), text)| *used < text.len()) {
        for ((stream, written, used), text) in streams.iter_mut().zip(&texts) {
            let piece = &text[*used..text.len().min(*used + 5000)];
            if !piece.is_empty() {
                let outcome = stream.run(&mut queue, piece, &mut room, *used + piece.len() == text.len());
                written.extend_from_slice(&room[..outcome.produced as usize]);
                *used += outcome.consumed as usize;
            }
        }
    }
    for ((algorithm, text), (_, written, _)) in FORMATS.into_iter().zip(&texts).zip(&streams) {
        assert!(unpack(algorithm, written) == *text, "{algorithm}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_are_as_good(
        len in 0_usize..60_000, dull in 0_usize..3000, level in 0_u32..10,
        sizes in prop::collection::vec(prop_oneof![1 => 0_usize..10, 4 => 1_usize..20_000], 1..8),
        rooms in prop::collection::vec(prop_oneof![256_usize..400, 256_usize..30_000], 1..5),
    ) {
        prop_assume!(sizes.iter().sum::<usize>() > 200);
        let text = [text(len / 2), noise(dull), text(len / 2), vec![0; dull]].concat();
        let mut queue = queue();
        for algorithm in FORMATS {
            let id = session(&mut queue, algorithm, Direction::Forward);
            let made = Stream::new(&queue, id, Direction::Forward).all(&mut queue, &text, &sizes, &rooms);
            let (stream, used) = made.expect("sound");
            prop_assert!(used == text.len() && unpack(algorithm, &stream) == text, "{}", algorithm);
            let id = session(&mut queue, algorithm, Direction::Inverse);
            let theirs = pack(algorithm, &text, level);
            let read = Stream::new(&queue, id, Direction::Inverse).all(&mut queue, &theirs, &sizes, &rooms);
            prop_assert!(read == Ok((text.clone(), theirs.len())), "{}", algorithm);
        }
    }
}
