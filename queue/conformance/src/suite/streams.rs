//! Streams, on queues that have them.

use uaccel_queue::stream::ROOM;
use uaccel_queue::{Algorithm, Direction, JobFlags, Operation, SessionId, SessionSpec, Status};

use crate::request::{Reply, Request};
use crate::rig::{Rig, State};
use crate::text::{noise, prose};
use crate::{Backend, oracle};

/// A stream on its way, with what is left of its source and what it has written.
struct Stream<'a> {
    algorithm: Algorithm,
    operation: Operation,
    session: SessionId,
    state: State,
    begun: bool,
    rest: &'a [u8],
    output: Vec<u8>,
    /// Bytes of a source that were too few to go on with.
    too_few: usize,
}

/// A rig, if it has streams of anything; and of what.
fn rig_with_streams(backend: &dyn Backend) -> Option<(Rig, Vec<(Algorithm, Direction)>)> {
    let rig = Rig::new(backend);
    let streams: Vec<_> = rig.granted.streams.iter().collect();
    (!streams.is_empty() && rig.granted.effective).then_some((rig, streams))
}

impl<'a> Stream<'a> {
    fn new(rig: &mut Rig, (algorithm, direction): (Algorithm, Direction), source: &'a [u8]) -> Self {
        let spec = SessionSpec::compression(algorithm, direction, None).expect("the default level exists");
        let (session, state) = (rig.session(&spec), rig.state(0));
        let (operation, output) = (spec.operation(), Vec::new());
        Self { algorithm, operation, session, state, begun: false, rest: source, output, too_few: 0 }
    }

    /// A job on what is left, or on the first so many bytes of it.
    fn request(&self, most: usize, room: usize, last: bool) -> Request {
        let source = &self.rest[..self.rest.len().min(most)];
        let mut request = Request::new(self.operation).session(self.session).source(source).room(room);
        request = request.stream(self.state);
        if !self.begun {
            request = request.flag(JobFlags::FIRST);
        }
        if last { request.flag(JobFlags::LAST) } else { request }
    }

    /// Does one job, and checks that it says what it may. Whether that was the end.
    fn step(&mut self, rig: &mut Rig, most: usize, room: usize, last: bool) -> bool {
        let most = if last { self.rest.len() } else { most.max(self.too_few + 1).min(self.rest.len()) };
        let reply = run(rig, self.request(most, room, last), self.state);
        self.took(&reply, most, last)
    }

    fn took(&mut self, reply: &Reply, offered: usize, last: bool) -> bool {
        let (algorithm, outcome) = (self.algorithm, &reply.outcome);
        let compresses = self.operation == Operation::Compress;
        assert!(matches!(outcome.status, Status::Ok | Status::More), "{algorithm}: {outcome:?}");
        let ended = outcome.status == Status::Ok;
        let consumed = usize::try_from(outcome.consumed).expect("no more than was offered");
        let produced = usize::try_from(outcome.produced).expect("no more than there was room");
        let stands = consumed == 0 && produced == 0;
        if ended && compresses {
            assert!(last && consumed == offered, "{algorithm} ended with {consumed} of {offered} bytes, last: {last}");
        } else if !ended && (last || compresses && offered != 0) {
            assert!(!stands, "{algorithm} does not get on with {offered} bytes, last: {last}");
        }
        self.too_few = if stands { offered } else { 0 };
        self.output.extend_from_slice(&reply.room[..produced]);
        self.rest = &self.rest[consumed..];
        self.begun = true;
        ended
    }

    /// Goes on to the end, each time with the next length of source and room. The last piece is said to be that, or an empty one behind it.
    fn finish(&mut self, rig: &mut Rig, cuts: &[usize], rooms: &[usize], empty_last: bool) {
        for (cut, room) in cuts.iter().cycle().zip(rooms.iter().cycle()) {
            let least = self.too_few + 1;
            // With an empty piece at the end, what is left may still be too little to go on with: nothing comes behind it.
            let last = self.rest.len() < if empty_last { least } else { least.max(cut.saturating_add(1)) };
            if self.step(rig, *cut, *room, last) {
                return;
            }
        }
    }
}

/// Runs a job of a stream; where jobs can be done at once, in that way first, from the same state.
fn run(rig: &mut Rig, request: Request, state: State) -> Reply {
    let before = rig.read_state(state);
    let now = rig.granted.immediate.then(|| rig.perform(&request));
    if now.is_some() {
        rig.write_state(state, &before);
    }
    let reply = rig.run_all(&[request]).remove(0);
    if let Some(now) = now {
        assert_eq!(now.outcome, reply.outcome, "done at once, and by way of the queue");
    }
    rig.read_state(state);
    reply
}

fn texts() -> Vec<Vec<u8>> {
    vec![b"a".to_vec(), prose(1, 700), noise(2, 5000), [prose(3, 60_000), noise(4, 40_000), vec![7; 50_000]].concat()]
}

/// Ways to cut a text into sources and its result into rooms.
fn cuts(len: usize) -> Vec<(Vec<usize>, Vec<usize>)> {
    match len {
        // A job for each byte, too.
        0..1000 => vec![(vec![usize::MAX], vec![2 * len + 1000]), (vec![1], vec![ROOM])],
        1000..10_000 => vec![(vec![997], vec![ROOM, 3000, ROOM + 1]), (vec![1 << 15], vec![1 << 15])],
        _ => vec![
            (vec![usize::MAX], vec![2 * len]),
            (vec![4096, 1, 4095, 17], vec![9000]),
            (vec![1 << 15], vec![1 << 15, 1 << 10]),
        ],
    }
}

fn source_of(stream: (Algorithm, Direction), text: &[u8]) -> Option<Vec<u8>> {
    match stream.1 {
        Direction::Forward => Some(text.to_vec()),
        Direction::Inverse => oracle::compress(stream.0, text),
    }
}

/// Checks the output of a stream that has ended.
fn check(stream: &Stream<'_>, text: &[u8], what: &str) {
    let algorithm = stream.algorithm;
    assert!(stream.rest.is_empty(), "{algorithm}, {what}: {} bytes were left", stream.rest.len());
    let same = match stream.operation {
        Operation::Compress => oracle::decompress_all(algorithm, &stream.output) == text,
        _ => stream.output == text,
    };
    assert!(same, "{algorithm} {:?}, {what}, {} bytes", stream.operation, text.len());
}

/// All texts in a direction, cut in all ways, with the last piece said to be that and with an empty one behind it.
fn all_ways(backend: &dyn Backend, direction: Direction) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    for of in streams.into_iter().filter(|(_, way)| *way == direction) {
        for text in texts() {
            let Some(source) = source_of(of, &text) else { continue };
            for (cuts, rooms) in cuts(text.len()) {
                for empty_last in [false, true] {
                    let mut stream = Stream::new(&mut rig, of, &source);
                    stream.finish(&mut rig, &cuts, &rooms, empty_last);
                    check(&stream, &text, &format!("{cuts:?} to {rooms:?}, empty last: {empty_last}"));
                }
            }
        }
    }
}

/// What is compressed piece by piece, another library decompresses as one.
pub fn compresses_streams(backend: &dyn Backend) {
    all_ways(backend, Direction::Forward);
}

/// What another library compressed is decompressed piece by piece, its header and its end cut wherever.
pub fn decompresses_streams(backend: &dyn Backend) {
    all_ways(backend, Direction::Inverse);
}

/// All of a text is given at once, and called the last, with the least room there may be each time.
pub fn streams_end_in_little_room(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    for of in streams {
        for text in [noise(1, 3000), prose(2, 20_000), vec![0; 10_000]] {
            let Some(source) = source_of(of, &text) else { continue };
            let mut stream = Stream::new(&mut rig, of, &source);
            while !stream.step(&mut rig, usize::MAX, ROOM, true) {}
            check(&stream, &text, "little room");
        }
    }
}

/// A stream of nothing is a stream, whether or not jobs with nothing come before its end.
pub fn empty_streams(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    for of in streams {
        for before in 0..3 {
            let Some(source) = source_of(of, b"") else { continue };
            let mut stream = Stream::new(&mut rig, of, &source);
            for _ in 0..before {
                let reply = run(&mut rig, stream.request(0, ROOM, false), stream.state);
                assert!(!stream.took(&reply, 0, false), "{of:?}");
            }
            while !stream.step(&mut rig, usize::MAX, ROOM, true) {}
            check(&stream, b"", "nothing");
        }
    }
}

/// Streams of one queue do not get into each other's way, nor do other jobs between theirs.
pub fn streams_keep_apart(backend: &dyn Backend) {
    let Some((mut rig, all)) = rig_with_streams(backend) else { return };
    let texts: Vec<_> = (0..2 * all.len() as u64).map(|seed| prose(seed, 20_000)).collect();
    let sources: Vec<_> = all.iter().cycle().zip(&texts).map(|(of, text)| source_of(*of, text)).collect();
    let mut streams = Vec::new();
    for ((of, source), text) in all.iter().cycle().zip(&sources).zip(&texts) {
        if let Some(source) = source {
            streams.push((Stream::new(&mut rig, *of, source), text, false));
        }
    }
    // In the sessions of the streams, but none of theirs.
    let (alone, alone_text) = (oracle::compress(all[0].0, b"alone"), b"alone");
    while streams.iter().any(|(.., ended)| !ended) {
        for (stream, _, ended) in &mut streams {
            if *ended {
                continue;
            }
            let last = stream.rest.len() <= 1500.max(stream.too_few + 1);
            *ended = stream.step(&mut rig, 1500, 4000, last);
            let source = if stream.operation == Operation::Compress { Some(&alone_text[..]) } else { alone.as_deref() };
            let Some(source) = source.filter(|_| stream.algorithm == all[0].0) else { continue };
            rig.run(Request::new(stream.operation).session(stream.session).source(source).room(200)).expect(Status::Ok);
        }
    }
    for (stream, text, _) in &streams {
        check(stream, text, "beside others");
    }
}

/// A state that is copied away and put back repeats a job.
pub fn rewound_streams_repeat(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    let text = [prose(1, 9000), noise(2, 3000)].concat();
    for of in streams {
        let Some(source) = source_of(of, &text) else { continue };
        let mut stream = Stream::new(&mut rig, of, &source);
        loop {
            let piece = 1000.max(stream.too_few + 1).min(stream.rest.len());
            let last = stream.rest.len() == piece;
            let state = rig.read_state(stream.state);
            let first = run(&mut rig, stream.request(piece, 3000, last), stream.state);
            let after = rig.read_state(stream.state);
            // Something else, as a job that the device never told of may have been.
            if stream.begun {
                rig.write_state(stream.state, &state);
                let other = if last { piece } else { piece / 2 };
                run(&mut rig, stream.request(other, ROOM, last), stream.state);
            }
            rig.write_state(stream.state, &state);
            let second = run(&mut rig, stream.request(piece, 3000, last), stream.state);
            assert_eq!(first.outcome, second.outcome, "{of:?}");
            let produced = usize::try_from(first.outcome.produced).expect("no more than there was room");
            assert!(first.room[..produced] == second.room[..produced], "{of:?}: another result the second time");
            // What is kept elsewhere is a stream as well.
            rig.write_state(stream.state, &after);
            if stream.took(&second, piece, last) {
                break;
            }
        }
        check(&stream, &text, "rewound");
    }
}

/// A stream that is broken is told as such, one that is cut only when nothing may come behind it, and the queue goes on.
pub fn broken_streams_are_told(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    let text = prose(5, 6000);
    for of in streams.into_iter().filter(|(_, way)| *way == Direction::Inverse) {
        let Some(good) = source_of(of, &text) else { continue };
        for cut in [0, 1, 5, good.len() / 2, good.len() - 1] {
            let mut stream = Stream::new(&mut rig, of, &good[..cut]);
            assert!(!stream.step(&mut rig, cut, 8000, false), "{of:?} cut at {cut}");
            // A device may have to be asked once more for what it keeps.
            let mut asked = 0;
            let status = loop {
                let offered = stream.rest.len();
                let reply = run(&mut rig, stream.request(offered, 8000, true), stream.state);
                if reply.outcome.status != Status::More {
                    break reply.outcome.status;
                }
                stream.took(&reply, offered, true);
                asked += 1;
                assert!(asked < 3 + text.len(), "{of:?} cut at {cut} goes on for ever");
            };
            assert_eq!(status, Status::Truncated, "{of:?} cut at {cut}");
        }
        let mut bad = good.clone();
        let at = if of.0 == Algorithm::Deflate { 0 } else { bad.len() - 1 };
        // A type of block that there is none of; or the trailer.
        bad[at] = if of.0 == Algorithm::Deflate { bad[at] | 6 } else { !bad[at] };
        let mut stream = Stream::new(&mut rig, of, &bad);
        let status = loop {
            let (offered, last) = (stream.rest.len().min(1000.max(stream.too_few + 1)), stream.rest.len() <= 1000);
            let reply = run(&mut rig, stream.request(offered, 8000, last), stream.state);
            if reply.outcome.status != Status::More {
                break reply.outcome.status;
            }
            stream.took(&reply, offered, last);
        };
        assert_eq!(status, Status::Corrupt, "{of:?}");
        let mut stream = Stream::new(&mut rig, of, &good);
        stream.finish(&mut rig, &[1000], &[8000], false);
        check(&stream, &text, "after broken ones");
    }
}

/// Bytes behind the end of a stream are not used, wherever it was cut.
pub fn what_is_behind_a_stream_is_left(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    let text = prose(6, 5000);
    for of in streams.into_iter().filter(|(_, way)| *way == Direction::Inverse) {
        let Some(source) = source_of(of, &text) else { continue };
        let behind = [&source[..], &noise(7, 900)].concat();
        let near = source.len();
        for (cut, last) in
            [(behind.len(), true), (behind.len(), false), (near, false), (near - 1, true), (near - 9, false)]
        {
            let mut stream = Stream::new(&mut rig, of, &behind);
            let mut ended = stream.step(&mut rig, cut, 8000, false);
            while !ended {
                ended = stream.step(&mut rig, usize::MAX, 8000, last);
            }
            assert_eq!(stream.rest.len(), 900, "{of:?} cut at {cut}");
            assert!(stream.output == text, "{of:?} cut at {cut}");
        }
    }
}

/// The first job of a stream does not look at what stands in the state.
pub fn states_count_for_nothing_at_the_beginning(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    let text = prose(8, 9000);
    for of in streams {
        let Some(source) = source_of(of, &text) else { continue };
        let mut used = Stream::new(&mut rig, of, &source);
        used.step(&mut rig, 4000, 3000, false);
        let len = rig.granted.stream_state;
        let leftovers = [rig.read_state(used.state), vec![0xff; len], noise(9, len)];
        for leftover in leftovers {
            let mut stream = Stream::new(&mut rig, of, &source);
            rig.write_state(stream.state, &leftover);
            stream.finish(&mut rig, &[3000], &[4000], false);
            check(&stream, &text, "over what was left");
        }
    }
}

/// Too little room, pieces and chains end a job of a stream, and nothing else.
pub fn impossible_jobs_of_streams_are_refused(backend: &dyn Backend) {
    let Some((mut rig, streams)) = rig_with_streams(backend) else { return };
    let text = noise(10, 2000);
    for of in streams {
        let Some(source) = source_of(of, &text) else { continue };
        let mut stream = Stream::new(&mut rig, of, &source);
        for last in [false, true] {
            for room in [0, 1, ROOM - 1] {
                let request = stream.request(usize::MAX, room, last);
                run(&mut rig, request, stream.state).expect(Status::InvalidJob);
            }
        }
        assert!(!stream.step(&mut rig, 500, 4000, false), "{of:?}");
        let state = rig.read_state(stream.state);
        let chained = stream.request(usize::MAX, 4000, true).flag(JobFlags::CHAINED);
        run(&mut rig, chained, stream.state).expect(Status::InvalidJob);
        // A list of no pieces, whose lengths are counts.
        let mut scattered = stream.request(0, 0, true).flag(JobFlags::SCATTER);
        scattered.source.clear();
        run(&mut rig, scattered, stream.state).expect(Status::InvalidJob);
        rig.write_state(stream.state, &state);
        stream.finish(&mut rig, &[500], &[4000], false);
        check(&stream, &text, "after impossible jobs");
    }
}
