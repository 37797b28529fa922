//! Jobs in pieces, on queues that take them.

use uaccel_queue::{
    Algorithm, Direction, Family, JobFlags, Operation, Outcome, Segment, SessionId, SessionSpec, Status,
};

use crate::Backend;
use crate::oracle;
use crate::rig::{Rig, checked};
use crate::text::{noise, prose};

/// What surrounds each piece, and fills those that are written.
const CANARY: u8 = 0xa5;
const MARGIN: usize = 32;

/// Memory in pieces, and the list of it. It is made before the rig that uses it, so it is there when the rig ends.
#[derive(Default)]
struct Pieces {
    memory: Vec<Vec<u8>>,
    list: Vec<Segment>,
}

impl Pieces {
    fn new(bytes: &[u8], lengths: impl IntoIterator<Item = usize>) -> Self {
        let (mut pieces, mut rest) = (Self::default(), bytes);
        for len in lengths {
            let (piece, others) = rest.split_at(len.min(rest.len()));
            pieces.push(piece);
            rest = others;
        }
        pieces.push(rest);
        pieces
    }

    fn push(&mut self, piece: &[u8]) {
        let mut memory = [&[CANARY; MARGIN], piece, &[CANARY; MARGIN]].concat();
        let address = memory.as_mut_ptr().wrapping_add(MARGIN).expose_provenance() as u64;
        self.list.push(Segment { address, len: piece.len() as u64 });
        self.memory.push(memory);
    }

    /// The bytes, once no job in flight names them.
    fn bytes(&self) -> Vec<u8> {
        let inside = |memory: &Vec<u8>| {
            let (before, rest) = memory.split_at(MARGIN);
            let (piece, after) = rest.split_at(rest.len() - MARGIN);
            assert!(before.iter().chain(after).all(|byte| *byte == CANARY), "written beside a piece");
            piece.to_vec()
        };
        self.memory.iter().flat_map(inside).collect()
    }
}

/// Ways to divide: into what there is, evenly, with pieces of nothing, and into more pieces than a short list has.
fn divisions(len: usize) -> Vec<Vec<usize>> {
    vec![
        vec![],
        vec![1, 1, 1],
        vec![0, len / 2, 0, 0],
        vec![len / 7 + 1; 7],
        vec![len / 300 + 1; 300],
        vec![4096, 1, 4095],
    ]
}

fn run(rig: &mut Rig, session: SessionId, operation: Operation, source: &Pieces, destination: &Pieces) -> Outcome {
    let token = rig.submit_raw(|job| {
        (job.operation, job.session, job.flags) = (operation, session, JobFlags::VOUCHED | JobFlags::SCATTER);
        (job.source, job.source_len) = (source.list.as_ptr().cast(), source.list.len());
        (job.destination, job.destination_len) = (destination.list.as_ptr().cast_mut().cast(), destination.list.len());
    });
    rig.wait(token).outcome
}

/// Formats that are granted in a direction.
fn formats(rig: &Rig, way: Direction) -> Vec<Algorithm> {
    let granted = |algorithm: &Algorithm| rig.granted.algorithms.contains(*algorithm, way);
    Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == Family::Compression).filter(granted).collect()
}

fn open(rig: &mut Rig, algorithm: Algorithm, way: Direction) -> SessionId {
    rig.session(&SessionSpec::compression(algorithm, way, None).expect("the default level exists"))
}

fn takes_pieces(backend: &dyn Backend) -> bool {
    Rig::new(backend).granted.scatter
}

/// What is compressed from pieces into pieces is what would be compressed from one piece into one.
pub fn compresses_pieces(backend: &dyn Backend) {
    if !takes_pieces(backend) {
        return;
    }
    for text in [b"a".to_vec(), prose(1, 5000), noise(2, 70_000)] {
        let room = vec![CANARY; text.len() + text.len() / 8 + 200];
        for (cuts, rooms) in divisions(text.len()).into_iter().zip(divisions(room.len()).into_iter().rev()) {
            let source = Pieces::new(&text, cuts);
            let destinations: Vec<_> = Algorithm::ALL.iter().map(|_| Pieces::new(&room, rooms.clone())).collect();
            let mut rig = Rig::new(backend);
            for (algorithm, destination) in formats(&rig, Direction::Forward).into_iter().zip(&destinations) {
                let session = open(&mut rig, algorithm, Direction::Forward);
                let outcome = run(&mut rig, session, Operation::Compress, &source, destination);
                assert_eq!((outcome.status, outcome.consumed), (Status::Ok, text.len() as u64), "{algorithm}");
                if checked(&rig, &outcome) {
                    let written = destination.bytes();
                    let produced = usize::try_from(outcome.produced).expect("no more than there was room");
                    assert!(oracle::decompress(algorithm, &written[..produced]) == text, "{algorithm}");
                }
            }
            assert!(source.bytes() == text, "a source is not written");
        }
    }
}

/// A stream in pieces is decompressed into pieces.
pub fn decompresses_pieces(backend: &dyn Backend) {
    if !takes_pieces(backend) {
        return;
    }
    for text in [b"a".to_vec(), prose(3, 5000), noise(4, 70_000)] {
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == Family::Compression) {
            let Some(stream) = oracle::compress(algorithm, &text) else { continue };
            for (cuts, rooms) in divisions(stream.len()).into_iter().zip(divisions(text.len()).into_iter().rev()) {
                let source = Pieces::new(&stream, cuts);
                let destination = Pieces::new(&vec![CANARY; text.len()], rooms);
                let mut rig = Rig::new(backend);
                if !formats(&rig, Direction::Inverse).contains(&algorithm) {
                    continue;
                }
                let session = open(&mut rig, algorithm, Direction::Inverse);
                let outcome = run(&mut rig, session, Operation::Decompress, &source, &destination);
                if checked(&rig, &outcome) {
                    assert_eq!(outcome, Outcome::ok(stream.len() as u64, text.len() as u64), "{algorithm}");
                    assert!(destination.bytes() == text, "{algorithm}");
                }
            }
        }
    }
}

/// Rooms in pieces that are too small together are told as such, and no byte beside them is written.
pub fn reports_small_rooms_in_pieces(backend: &dyn Backend) {
    if !takes_pieces(backend) {
        return;
    }
    let text = noise(9, 10_000);
    for rooms in [vec![], vec![0], vec![1, 2, 3], vec![50; 100]] {
        let source = Pieces::new(&text, [100, 5000]);
        let room = vec![CANARY; rooms.iter().sum()];
        let destination = Pieces::new(&room, rooms);
        let mut rig = Rig::new(backend);
        if !rig.granted.effective {
            return;
        }
        for algorithm in formats(&rig, Direction::Forward) {
            let session = open(&mut rig, algorithm, Direction::Forward);
            let outcome = run(&mut rig, session, Operation::Compress, &source, &destination);
            assert_eq!(outcome.status, Status::OutputTooSmall, "{algorithm}");
            destination.bytes();
        }
    }
}
