//! Jobs on memory in pieces: as they are on a device that takes lists, gathered elsewhere, and the same result everywhere.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;
mod flate;

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use device::{DEADLINE, PATIENCE, eventually, simulated};
use flate::{pack, text, unpack};
use uaccel_runtime::{
    Algorithm, Builder, Direction, Error, Fallback, HISI_ZIP_SIMULATOR, Operation, Outcome, Pieces, Runtime, Session,
    SessionSpec, SimulatorBus, Work,
};
use uaccel_sim::{HisiZip, HisiZipConfig, Mishap, Plan, ThreadHost, ThreadHostConfig, WarpConfig, When};

const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

/// The most bytes of a job of the engine that takes lists.
const LIMIT: usize = 8 << 20;

/// Long enough for the engine to do what it must not do.
const GRACE: Duration = Duration::from_millis(50);

/// A runtime on an engine of its own that takes lists, which never falls back, and that engine.
fn zip() -> (Builder, Arc<ThreadHost<HisiZip>>) {
    let threads = ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() };
    let bus = SimulatorBus::hisi_zip(HisiZipConfig::default(), threads, Plan::default());
    let engine = bus.engine().expect("the engine starts");
    let builder = Runtime::builder().bus(Arc::new(bus)).device(HISI_ZIP_SIMULATOR).fallback(Fallback::Never);
    (builder.deadline(PATIENCE).queues(1), engine)
}

fn software() -> Runtime {
    Runtime::builder().device("software").build().unwrap()
}

fn session(runtime: &Runtime, algorithm: Algorithm, direction: Direction) -> Session {
    runtime.session(SessionSpec::compression(algorithm, direction, None).unwrap()).unwrap()
}

/// Cuts bytes into pieces of these lengths, again and again.
fn cut<'a>(mut bytes: &'a [u8], lens: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for len in lens.iter().cycle() {
        let (piece, rest) = bytes.split_at((*len).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            return pieces;
        }
    }
    unreachable!("there is a length")
}

fn cut_mut<'a>(mut bytes: &'a mut [u8], lens: &[usize]) -> Vec<&'a mut [u8]> {
    let mut pieces = Vec::new();
    for len in lens.iter().cycle() {
        let (piece, rest) = bytes.split_at_mut((*len).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
        if bytes.is_empty() {
            return pieces;
        }
    }
    unreachable!("there is a length")
}

/// Runs one job of which both sides are cut like this.
fn run(
    runtime: &Runtime,
    session: &Session,
    source: &[u8],
    room: &mut [u8],
    lens: [&[usize]; 2],
) -> Result<Outcome, Error> {
    let mut pieces = Pieces::new(cut(source, lens[0]), cut_mut(room, lens[1]));
    assert_eq!(pieces.source_len(), source.len());
    runtime.run(Work::session_in_pieces(session, &mut pieces))
}

#[test]
fn every_cut_gives_what_one_piece_gives_and_a_device_that_takes_lists_copies_nothing() {
    let (builder, _engine) = zip();
    let (warp, _plan) = simulated(WarpConfig::default());
    let warp = warp.deadline(PATIENCE).build().unwrap();
    let text = text(50_000);
    // Few, many more than the engine's lists hold, some of them empty, one byte first.
    let cuts: [[&[usize]; 2]; 5] = [
        [&[20_000], &[70_000]],
        [&[usize::MAX], &[1, 0, 3_000]],
        [&[1, 0, 0, 7, 5_000], &[usize::MAX]],
        [&[13, 200, 0], &[77]],
        [&[1], &[1]],
    ];
    for runtime in [builder.build().unwrap(), software(), warp] {
        for algorithm in FORMATS {
            let forward = session(&runtime, algorithm, Direction::Forward);
            let inverse = session(&runtime, algorithm, Direction::Inverse);
            let theirs = pack(algorithm, &text);
            for lens in cuts {
                let mut stream = vec![0xaa; text.len() + 10_000];
                let outcome = run(&runtime, &forward, &text, &mut stream, lens).unwrap();
                assert_eq!(outcome.consumed, 50_000);
                let (stream, rest) = stream.split_at(outcome.produced as usize);
                assert!(unpack(algorithm, stream) == text, "{algorithm} on {}, {lens:?}", runtime.device());
                // Of what is spread no more is written than was produced.
                if !runtime.granted().scatter && lens[1][0] < text.len() {
                    assert!(rest.iter().all(|byte| *byte == 0xaa), "on {}, {lens:?}", runtime.device());
                }
                let mut back = vec![0xaa; text.len()];
                let outcome = run(&runtime, &inverse, &theirs, &mut back, lens).unwrap();
                assert_eq!((outcome.consumed, outcome.produced), (theirs.len() as u64, 50_000));
                assert!(back == text, "{algorithm} on {}, {lens:?}", runtime.device());
            }
        }
        let counters = runtime.counters();
        assert_eq!((counters.jobs, counters.fallbacks, counters.failures), (30, 0, 0));
        let lists = runtime.granted().scatter;
        assert_eq!(counters.gathered, if lists { 0 } else { 30 }, "on {}", runtime.device());
        assert_eq!(counters.gathered_bytes == 0, lists);
    }
}

#[test]
fn what_is_in_one_piece_after_all_is_not_gathered() {
    let runtime = software();
    let (text, mut room) = (text(5_000), vec![0; 6_000]);
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    let mut pieces = Pieces::new([&[][..], &text, &[]], [&mut [][..], &mut room]);
    let outcome = runtime.run(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
    assert_eq!(unpack(Algorithm::Zlib, &room[..outcome.produced as usize]), text);
    // No text at all, and none in many pieces.
    for count in [0, 5] {
        let mut pieces = Pieces::new(vec![&[][..]; count], [&mut room[..]]);
        let outcome = runtime.run(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
        assert_eq!(unpack(Algorithm::Zlib, &room[..outcome.produced as usize]), b"");
    }
    assert_eq!(runtime.counters().gathered, 0);
    // Of what is gathered, only the side that has to be is counted.
    let mut pieces = Pieces::new([&text[..100], &text[100..]], [&mut room[..]]);
    runtime.run(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
    assert_eq!((runtime.counters().gathered, runtime.counters().gathered_bytes), (1, 5_000));
}

#[test]
fn ciphers_seals_and_digests_take_pieces_too() {
    let text = text(4_000);
    let (warp, _plan) = simulated(WarpConfig::default());
    for runtime in [software(), warp.deadline(PATIENCE).build().unwrap()] {
        let open = |spec: SessionSpec| runtime.session(spec).unwrap();
        let lens: [&[usize]; 2] = [&[100, 0, 333], &[50]];
        let pieces = |made: &mut [u8], session: &Session, source: &[u8], prepare: fn(Work<'_>) -> Work<'_>| {
            let mut pieces = Pieces::new(cut(source, lens[0]), cut_mut(made, lens[1]));
            runtime.run(prepare(Work::session_in_pieces(session, &mut pieces)))
        };
        let (mut made, mut whole) = (vec![0; 4_016], vec![0; 4_016]);

        let cipher = open(SessionSpec::keyed(Algorithm::Aes128Ctr, Direction::Forward, &[1; 16]).unwrap());
        pieces(&mut made, &cipher, &text, |work| work.with_iv([2; 16])).unwrap();
        runtime.run(Work::session(&cipher, &text, &mut whole).with_iv([2; 16])).unwrap();
        assert!(made == whole);

        let digest = open(SessionSpec::digest(Algorithm::Sha256, &[]).unwrap());
        pieces(&mut made, &digest, &text, |work| work).unwrap();
        let mut whole_digest = [0; 32];
        runtime.run(Work::session(&digest, &text, &mut whole_digest)).unwrap();
        assert_eq!(made[..32], whole_digest);

        let seal = open(SessionSpec::keyed(Algorithm::Aes256Gcm, Direction::Forward, &[3; 32]).unwrap());
        pieces(&mut made, &seal, &text, |work| work.with_nonce([4; 12], b"besides")).unwrap();
        runtime.run(Work::session(&seal, &text, &mut whole).with_nonce([4; 12], b"besides")).unwrap();
        assert!(made == whole);

        let unseal = open(SessionSpec::keyed(Algorithm::Aes256Gcm, Direction::Inverse, &[3; 32]).unwrap());
        let mut back = vec![0x55; 4_000];
        pieces(&mut back, &unseal, &made, |work| work.with_nonce([4; 12], b"besides")).unwrap();
        assert!(back == text);
        // A message that is not genuine leaves nothing behind.
        made[2_000] ^= 1;
        let mut back = vec![0x55; 4_000];
        let refused = pieces(&mut back, &unseal, &made, |work| work.with_nonce([4; 12], b"besides"));
        assert!(matches!(refused, Err(Error::TagMismatch(Operation::Open))), "{refused:?}");
        assert!(back.iter().all(|byte| *byte == 0x55));
    }
}

#[test]
fn sums_count_against_the_limit() {
    let (builder, _engine) = zip();
    let never = builder.build().unwrap();
    let (builder, _other) = zip();
    let otherwise = builder.fallback(Fallback::OnError).build().unwrap();
    let part = text(1 << 20);
    let all =
        |count: usize, extra: &'static [u8]| vec![&part[..]; count].into_iter().chain([extra]).collect::<Vec<_>>();
    let mut room = vec![0; 9 << 20];
    let forward = session(&never, Algorithm::Gzip, Direction::Forward);
    // Just as much as it takes, and a room that is larger than that.
    let mut pieces = Pieces::new(all(8, b""), cut_mut(&mut room, &[5 << 20]));
    let outcome = never.run(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
    assert!(unpack(Algorithm::Gzip, &room[..outcome.produced as usize]) == part.repeat(8));
    // One byte more.
    let mut pieces = Pieces::new(all(8, b"!"), cut_mut(&mut room, &[5 << 20]));
    let refused = never.run(Work::session_in_pieces(&forward, &mut pieces));
    assert!(matches!(refused, Err(Error::TooLarge { len: 8_388_609, limit: 8_388_608, .. })), "{refused:?}");
    let forward = session(&otherwise, Algorithm::Gzip, Direction::Forward);
    let outcome = otherwise.run(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
    assert_eq!((otherwise.counters().fallbacks, otherwise.counters().fallback_bytes), (1, 8_388_609));
    assert!(unpack(Algorithm::Gzip, &room[..outcome.produced as usize]) == [&part.repeat(8)[..], b"!"].concat());
    // A text that is larger than what the device writes, whatever the room.
    let long = pack(Algorithm::Zlib, &vec![7; LIMIT + 1]);
    let mut pieces = Pieces::new(cut(&long, &[100]), cut_mut(&mut room, &[1 << 20]));
    let inverse = session(&never, Algorithm::Zlib, Direction::Inverse);
    let refused = never.run(Work::session_in_pieces(&inverse, &mut pieces));
    assert!(matches!(refused, Err(Error::TooLarge { len: 9_437_184, .. })), "{refused:?}");
    let inverse = session(&otherwise, Algorithm::Zlib, Direction::Inverse);
    let outcome = otherwise.run(Work::session_in_pieces(&inverse, &mut pieces)).unwrap();
    assert_eq!(outcome.produced, 8_388_609);
    assert!(room[..=LIMIT].iter().all(|byte| *byte == 7));
    assert_eq!(never.counters().gathered, 0);
}

#[test]
fn more_pieces_than_a_device_takes_are_gathered() {
    let (builder, _engine) = zip();
    let runtime = builder.build().unwrap();
    let text = text(runtime.granted().pieces + 1);
    let forward = session(&runtime, Algorithm::Deflate, Direction::Forward);
    let mut room = vec![0; 70_000];
    for (len, gathered) in [(text.len() - 1, 0), (text.len(), 1)] {
        let text = &text[..len];
        let outcome = run(&runtime, &forward, text, &mut room, [&[1], &[9_999]]).unwrap();
        assert!(unpack(Algorithm::Deflate, &room[..outcome.produced as usize]) == text);
        assert_eq!(runtime.counters().gathered, gathered);
    }
}

#[test]
fn rooms_that_are_too_small_are_told_in_bytes() {
    let (builder, _engine) = zip();
    let text = text(5_000);
    for runtime in [builder.build().unwrap(), software()] {
        let inverse = session(&runtime, Algorithm::Gzip, Direction::Inverse);
        let stream = pack(Algorithm::Gzip, &text);
        let refused = run(&runtime, &inverse, &stream, &mut [0; 4_999], [&[400], &[1_000]]);
        assert!(matches!(refused, Err(Error::OutputTooSmall { room: 4_999, .. })), "{refused:?}");
        let refused = run(&runtime, &inverse, &stream[..300], &mut [0; 5_000], [&[7], &[1_000]]);
        assert!(matches!(refused, Err(Error::Truncated(_))), "{refused:?}");
    }
}

#[test]
fn a_scope_takes_lists_where_the_device_does_and_says_so_where_not() {
    let (builder, _engine) = zip();
    let runtime = builder.depth(16).build().unwrap();
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    let text = text(3_000);
    let mut rooms = vec![vec![0; 4_000]; 16];
    let mut jobs: Vec<_> = rooms.iter_mut().map(|room| Pieces::new(cut(&text, &[11]), cut_mut(room, &[500]))).collect();
    let (mut good, mut produced) = (0, 0);
    let mut lease = runtime.lease().unwrap();
    lease
        .scope(|scope| {
            for pieces in &mut jobs {
                scope.push(Work::session_in_pieces(&forward, pieces)).unwrap();
            }
            scope
                .finish(|answer| {
                    good += 1;
                    produced = answer.outcome().unwrap().produced;
                })
                .unwrap();
        })
        .unwrap();
    drop(jobs);
    assert_eq!(good, 16);
    assert!(rooms.iter().all(|room| unpack(Algorithm::Zlib, &room[..produced as usize]) == text));
    // One whose room is too small says so in bytes, here as well.
    let mut small = vec![0; 100];
    let mut pieces = Pieces::new(cut(&text, &[11]), cut_mut(&mut small, &[30]));
    lease
        .scope(|scope| {
            scope.push(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
            scope
                .finish(|answer| assert!(matches!(answer.outcome(), Err(Error::OutputTooSmall { room: 100, .. }))))
                .unwrap();
        })
        .unwrap();

    let runtime = software();
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    let mut pieces = Pieces::new(cut(&text, &[1_000]), [&mut rooms[0][..]]);
    let mut lease = runtime.lease().unwrap();
    lease
        .scope(|scope| {
            let refused = scope.push(Work::session_in_pieces(&forward, &mut pieces)).unwrap_err();
            assert!(matches!(refused.error, Error::NotInPieces { pieces: 3, .. }), "{refused:?}");
            assert_eq!(refused.error.to_string(), "device 'software' does not compress memory in 3 pieces");
        })
        .unwrap();
    // A lease's own call brings them together.
    let outcome = lease.run(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
    assert_eq!(unpack(Algorithm::Zlib, &rooms[0][..outcome.produced as usize]), text);
}

#[test]
fn a_device_that_fails_leaves_pieces_to_the_cpu() {
    let (builder, engine) = zip();
    let runtime = builder.fallback(Fallback::OnError).build().unwrap();
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    engine.plan().set(Plan::default().with(When::Nth(1), Mishap::DeviceFailure(1)));
    let (text, mut room) = (text(3_000), vec![0; 4_000]);
    let outcome = run(&runtime, &forward, &text, &mut room, [&[100], &[100]]).unwrap();
    assert_eq!(unpack(Algorithm::Gzip, &room[..outcome.produced as usize]), text);
    assert_eq!((runtime.counters().fallbacks, runtime.counters().gathered), (1, 0));
}

#[test]
fn a_call_with_pieces_ends_at_its_deadline_and_nothing_is_written_afterwards() {
    let (builder, engine) = zip();
    let runtime = builder.deadline(DEADLINE).build().unwrap();
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    let (text, mut room) = (text(3_000), vec![0x55; 4_000]);
    engine.plan().hold();
    let result = run(&runtime, &forward, &text, &mut room, [&[100], &[100]]);
    assert!(matches!(result, Err(Error::Deadline(DEADLINE))), "{result:?}");
    engine.plan().release();
    std::thread::sleep(GRACE);
    // The header is the driver's, and was written before the engine had the job.
    assert!(room[10..].iter().all(|byte| *byte == 0x55), "the engine wrote after the call had returned");
    let outcome = run(&runtime, &forward, &text, &mut room, [&[100], &[100]]).unwrap();
    assert_eq!(unpack(Algorithm::Gzip, &room[..outcome.produced as usize]), text);
}

#[test]
fn pieces_and_their_lists_stay_with_a_device_that_does_not_let_go() {
    let (builder, engine) = zip();
    let runtime = builder.deadline(DEADLINE).build().unwrap();
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    let (text, mut room) = (text(30_000), vec![0x55; 40_000]);
    engine.plan().set(Plan { hold: true, deaf: true, ..Plan::default() });
    let outcome = std::thread::scope(|scope| {
        let call = scope.spawn(|| run(&runtime, &forward, &text, &mut room, [&[100], &[99]]));
        // Its deadline is long over, and it was asked to stop more than once.
        std::thread::sleep(DEADLINE + Duration::from_millis(1_500));
        assert!(!call.is_finished(), "the call returned while the engine had the memory");
        // Now it does the job, late: by lists and on memory that must be there.
        engine.plan().release();
        eventually("the job is done", || engine.stats().total.jobs == 1);
        engine.plan().set(Plan::default());
        call.join().unwrap().expect("it was answered before the engine stopped")
    });
    assert_eq!(unpack(Algorithm::Gzip, &room[..outcome.produced as usize]), text);
}

#[test]
fn a_panic_in_a_scope_waits_for_pieces_that_were_lent() {
    let (builder, engine) = zip();
    let runtime = builder.build().unwrap();
    let forward = session(&runtime, Algorithm::Deflate, Direction::Forward);
    let (text, mut room) = (text(30_000), vec![0x55; 40_000]);
    let mut pieces = Pieces::new(cut(&text, &[100]), cut_mut(&mut room, &[99]));
    let mut lease = runtime.lease().unwrap();
    engine.plan().hold();
    let plan = engine.plan();
    let release = std::thread::spawn(move || {
        std::thread::sleep(GRACE);
        plan.release();
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        lease.scope(|scope| {
            scope.push(Work::session_in_pieces(&forward, &mut pieces)).unwrap();
            assert_eq!(scope.submit().unwrap(), 1);
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    drop(pieces);
    let mut back = vec![0; 30_000];
    flate2::read::DeflateDecoder::new(&room[..])
        .read_exact(&mut back)
        .expect("the scope unwound before the engine had finished");
    assert!(back == text);
    release.join().unwrap();
}
