//! The ZIP model on threads, at the level of its rings.

mod zip_hand;

use std::time::{Duration, Instant};

use uaccel_hisi_abi::zip::{
    Buffers, COMPRESS, Ended, Entry, Flow, ListEntry, ListHead, MAX_TRANSFER, Request, Results, Status,
};
use uaccel_hisi_abi::{API_V3, Doorbell, DoorbellCommand, StopWords};
use uaccel_queue::{Bus as _, Quiet, TransportError, Wake};
use uaccel_sim::{HisiZipConfig, HisiZipConfigError, Mishap, Plan, Simulator, ThreadHostConfig, Timing, When};
use zip_hand::{
    Chain, Hand, List, MOMENT, PATIENCE, Stream, deflate, device, device_with, entry, hands, inflate, noise, open, text,
};

const FORMATS: [Request; 3] = [Request::Deflate, Request::Zlib, Request::Gzip];

fn failed(status: Status) -> Results {
    Results { consumed: 0, produced: 0, ended: Ended::new(status, false) }
}

#[test]
fn the_device_says_what_the_kernel_says_of_it() {
    let device = device(Plan::default());
    let info = &device.devices()[0];
    assert_eq!((&*info.interface, info.simulated), (API_V3, true));
    assert_eq!(info.algorithms, ["zlib", "gzip", "deflate", "lz4"]);
    let transport = open(&device);
    assert_eq!(transport.parts().len(), 2);
    assert!(transport.regions().is_empty());
    assert!(matches!(transport.ring_memory(64), Err(TransportError::Refused(_))));
    let [compress, decompress] = hands(&transport);
    assert_ne!(compress.description.queue, decompress.description.queue);
    assert_eq!((compress.description.dus.entry, compress.ring.len()), (128, 151_552));
    // One piece of ring memory, and no more.
    assert!(matches!(compress.part.ring_memory(1), Err(TransportError::Refused(_))));
    // Of a part there are registers and rings, and nothing else.
    assert!(compress.part.stop(MOMENT).is_err() && compress.part.reset(MOMENT).is_err());
    assert!(compress.part.sleep(None).is_err());
}

#[test]
fn every_format_goes_both_ways_and_another_library_agrees() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    for text in [Vec::new(), b"x".to_vec(), text(100_000), noise(70_000), vec![0; 1 << 20]] {
        for request in FORMATS {
            let (results, body) = compress.transform(request, &text, text.len() + text.len() / 8 + 64);
            let grown = body.len() > text.len();
            let ended = Ended::new(if grown { Status::Grown } else { Status::Ok }, false);
            assert_eq!((results.consumed as usize, results.ended), (text.len(), ended), "{request:?}");
            assert_eq!(inflate(request, &body).unwrap(), text, "{request:?}");

            // What follows the stream is not the stream's.
            let theirs = deflate(request, &text);
            let source = [&theirs[..], b"what follows"].concat();
            let (results, back) = decompress.transform(request, &source, text.len());
            let ended = Ended::new(Status::StreamEnd, true);
            assert_eq!((results.consumed as usize, results.ended), (theirs.len(), ended), "{request:?}");
            assert!(back == text, "{request:?}");
        }
    }
}

#[test]
fn lz4_blocks_are_compressed_and_not_decompressed() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    let text = text(50_000);
    let (results, block) = compress.transform(Request::Lz4, &text, 60_000);
    assert_eq!((results.consumed, results.ended), (50_000, Ended::new(Status::Ok, false)));
    assert_eq!(lz4::block::decompress(&block, Some(50_000)).unwrap(), text);
    assert_eq!(decompress.transform(Request::Lz4, &block, 50_000).0, failed(Status::Malformed));
}

#[test]
fn a_job_that_fails_says_why_and_leaves_its_neighbours_alone() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    let text = text(20_000);
    let good = deflate(Request::Zlib, &text);
    for (source, room, status) in [
        (good.clone(), text.len() - 1, Status::NoSpace),
        (good[..good.len() - 1].to_vec(), text.len(), Status::Truncated),
        (good[..good.len() / 2].to_vec(), text.len(), Status::Truncated),
        ([&good[..good.len() - 1], &[good[good.len() - 1] ^ 1]].concat(), text.len(), Status::Corrupt),
        (vec![0xff; 100], text.len(), Status::Corrupt),
        (Vec::new(), 10, Status::Truncated),
    ] {
        let place = decompress.submission_place(decompress.tail);
        let mut destination = vec![0; room];
        let mut untouched = vec![0; text.len()];
        decompress.put(&entry(Request::Zlib, &source, &mut destination));
        decompress.put(&entry(Request::Zlib, &good, &mut untouched));
        decompress.ring();
        assert_eq!(decompress.answer(), (place, failed(status)));
        assert_eq!(decompress.answer().1.produced as usize, text.len());
        assert!(untouched == text);
    }
    // No room for the trailer is no room.
    let body = compress.transform(Request::Deflate, &text, 20_000).1;
    assert_eq!(compress.transform(Request::Gzip, &text, body.len() + 7).0, failed(Status::NoSpace));
    assert_eq!(compress.transform(Request::Gzip, &text, body.len() + 8).0.produced as usize, body.len() + 8);
    assert_eq!(compress.transform(Request::Gzip, &text, 0).0, failed(Status::NoSpace));
}

#[test]
fn addresses_that_are_none_end_the_job_alone() {
    let device = device(Plan::default());
    let [mut compress, _] = hands(&open(&device));
    let text = text(9000);
    let mut room = vec![0; 10_000];
    let good = entry(Request::Gzip, &text, &mut room);
    let constant: &'static [u8] = b"what stands here cannot be written";
    for bad in [
        Entry { source: 0, ..good },
        Entry { source: 0x10, source_len: 9000, ..good },
        Entry { source: u64::MAX - 10, ..good },
        Entry { destination: 0, ..good },
        Entry { destination: constant.as_ptr().expose_provenance() as u64, ..good },
    ] {
        assert_eq!(compress.run(&bad), failed(Status::Translation), "{bad:x?}");
        assert_eq!(compress.run(&good).ended, Ended::new(Status::Ok, false));
    }
    assert_eq!(constant, b"what stands here cannot be written");
}

#[test]
fn entries_that_make_no_sense_are_told_apart_from_bad_streams() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    let source = text(100);
    let mut room = vec![0; 200];
    let good = entry(Request::Gzip, &source, &mut room);
    for bad in [
        Entry { source_len: MAX_TRANSFER + 1, ..good },
        Entry { destination_len: MAX_TRANSFER + 1, ..good },
        Entry { request: Request::Lz77Zstd, ..good },
        Entry { request: Request::Lz77Only, ..good },
    ] {
        assert_eq!(compress.run(&bad), failed(Status::Malformed), "{bad:x?}");
    }
    assert_eq!(decompress.run(&Entry { request: Request::Lz4, ..good }), failed(Status::Malformed));
    for (word, mask) in [(3, 1_u64 << 60), (4, 5 << 32), (4, 1 << 42), (4, 8 << 44)] {
        let mut words = good.encode();
        words[word] ^= mask;
        compress.put_words(&words);
        compress.ring();
        assert_eq!(compress.answer().1, failed(Status::Malformed), "{words:x?}");
    }
    assert_eq!(compress.run(&good).ended, Ended::new(Status::Ok, false));
}

#[test]
fn the_largest_job_goes_through() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    let text = text(MAX_TRANSFER as usize);
    let (results, body) = compress.transform(Request::Zlib, &text, MAX_TRANSFER as usize);
    assert_eq!(results.consumed, MAX_TRANSFER);
    let (results, back) = decompress.transform(Request::Zlib, &body, MAX_TRANSFER as usize);
    assert_eq!(results.produced, MAX_TRANSFER);
    assert!(back == text);
}

#[test]
fn rings_wrap_and_answers_stay_in_order() {
    let config = HisiZipConfig { submissions: 10, completions: 7, ..HisiZipConfig::default() };
    let host = ThreadHostConfig { workers: Some(3), ..ThreadHostConfig::default() };
    let device = Simulator::hisi_zip(config, host, Plan::default()).unwrap();
    let [mut compress, _] = hands(&open(&device));
    // Large and small by turns, so that small ones are done first where there are several workers.
    let texts = [text(200_000), text(10), text(50_000), text(1)];
    let mut answered = 0_u64;
    while answered < 500 {
        let mut rooms: Vec<Vec<u8>> = Vec::new();
        let batch = 1 + answered % 6;
        for at in 0..batch {
            let text = &texts[((answered + at) % 4) as usize];
            rooms.push(vec![0; text.len() + 100]);
            compress.put(&entry(Request::Deflate, text, rooms.last_mut().unwrap()));
        }
        compress.ring();
        for room in rooms {
            let text = &texts[(answered % 4) as usize];
            let (place, results) = compress.answer();
            assert_eq!(place, compress.submission_place(answered));
            assert!(inflate(Request::Deflate, &room[..results.produced as usize]).unwrap() == *text);
            answered += 1;
        }
    }
}

#[test]
fn completions_that_were_not_taken_are_not_written_over() {
    let config = HisiZipConfig { submissions: 64, completions: 4, ..HisiZipConfig::default() };
    // Answered twice, so that there are more answers than jobs.
    for plan in [Plan::default(), Plan::default().with(When::Nth(2), Mishap::DuplicatedCompletion)] {
        let extra = plan.rules.len();
        let device = device_with(config, plan);
        let [mut compress, _] = hands(&open(&device));
        let source = text(100);
        let mut room = vec![0; 200];
        let entry = entry(Request::Deflate, &source, &mut room);
        (0..20).for_each(|_| compress.put(&entry));
        compress.ring();
        let mut places = Vec::new();
        while compress.head < 20 + extra as u64 {
            places.push(compress.wait().entry);
            if compress.head.is_multiple_of(3) {
                // All that the ring holds is there, and nothing more comes.
                std::thread::sleep(Duration::from_millis(5));
                assert_eq!(compress.poll_raw(), None);
                compress.take();
            }
        }
        let expected: Vec<u16> =
            (0..20).flat_map(|place| std::iter::repeat_n(place, if place == 1 { 1 + extra } else { 1 })).collect();
        assert_eq!(places, expected);
    }
}

#[test]
fn an_answer_that_waits_for_room_is_dropped_by_a_stop() {
    let config = HisiZipConfig { submissions: 64, completions: 4, ..HisiZipConfig::default() };
    let device = device_with(config, Plan::default().with(When::Nth(1), Mishap::DuplicatedCompletion));
    let transport = open(&device);
    let [mut compress, _] = hands(&transport);
    let source = text(100);
    let mut room = vec![0; 200];
    let entry = entry(Request::Deflate, &source, &mut room);
    (0..3).for_each(|_| compress.put(&entry));
    compress.ring();
    assert_eq!([0; 3].map(|_| compress.wait().entry), [0, 0, 1]);
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    // Now there would be room.
    compress.take();
    std::thread::sleep(MOMENT);
    assert_eq!(compress.poll_raw(), None);
}

#[test]
fn doorbells_that_make_no_sense_are_dropped() {
    let device = device(Plan::default());
    let [mut compress, decompress] = hands(&open(&device));
    let source = text(100);
    let mut room = vec![0; 200];
    let entry = entry(Request::Deflate, &source, &mut room);
    compress.run(&entry);
    compress.put(&entry);
    let good = Doorbell {
        queue: compress.description.queue,
        command: DoorbellCommand::Submission,
        index: compress.submission_place(compress.tail),
        priority: 0,
    };
    compress.knock(Doorbell { queue: decompress.description.queue, ..good });
    compress.knock(Doorbell { queue: good.queue + 100, ..good });
    compress.knock(Doorbell { index: 1024, ..good });
    compress.knock(Doorbell { index: u16::MAX, ..good });
    compress.knock(Doorbell { command: DoorbellCommand::Event, ..good });
    compress.knock(Doorbell { command: DoorbellCommand::AsyncEvent, ..good });
    compress.part.ring_doorbell(Doorbell::OFFSET, good.encode() | 0xf << 12);
    compress.part.ring_doorbell(Doorbell::OFFSET + 8, good.encode());
    compress.part.ring_doorbell(0, good.encode());
    std::thread::sleep(MOMENT);
    assert_eq!(compress.poll_raw(), None);
    compress.knock(good);
    assert_eq!(compress.answer().1.ended.status, Status::Ok as u8);
}

#[test]
fn a_completion_wakes_whoever_armed_and_nobody_else() {
    let device = device(Plan::timed(Timing::fixed(Duration::from_millis(20))));
    let transport = open(&device);
    let [mut compress, _] = hands(&transport);
    let source = text(100);
    let mut room = vec![0; 200];
    let entry = entry(Request::Deflate, &source, &mut room);
    let soon = || Some(Instant::now() + Duration::from_millis(150));
    // Not armed: no signal.
    compress.submit(&entry);
    assert_eq!(transport.sleep(soon()).unwrap(), Wake::TimedOut);
    // Armed too late, with an answer there already: at once.
    compress.arm();
    assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
    compress.answer();
    // Armed in time, and once only.
    compress.arm();
    compress.submit(&entry);
    assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
    compress.answer();
    compress.submit(&entry);
    assert_eq!(transport.sleep(soon()).unwrap(), Wake::TimedOut);
    compress.answer();
}

#[test]
fn either_part_wakes_the_whole() {
    let device = device(Plan::default());
    let transport = open(&device);
    let mut hands = hands(&transport);
    let source = text(100);
    let body = deflate(Request::Deflate, &source);
    for (hand, source) in hands.iter_mut().zip([&source, &body]) {
        let mut room = vec![0; 200];
        let entry = entry(Request::Deflate, source, &mut room);
        hand.arm();
        hand.submit(&entry);
        assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
        hand.answer();
    }
}

#[test]
fn stopping_stops_both_parts_and_says_so_in_memory() {
    let device = device(Plan { hold: true, ..Plan::default() });
    let transport = open(&device);
    let mut pair = hands(&transport);
    let source = text(100);
    let mut rooms = [vec![0; 200], vec![0; 200]];
    for (hand, room) in pair.iter_mut().zip(&mut rooms) {
        assert_eq!(hand.stop_words(), StopWords::default());
        hand.submit(&entry(Request::Deflate, &source, room));
    }
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    for hand in &pair {
        assert_eq!(hand.stop_words(), StopWords { transmit: true, receive: true });
    }
    // Late doorbells do nothing; after a reset the queues are as new.
    device.plan().set(Plan::default());
    pair.iter().for_each(Hand::ring);
    std::thread::sleep(MOMENT);
    assert!(pair.iter_mut().all(|hand| hand.poll_raw().is_none()));
    let before = pair.each_ref().map(|hand| hand.description);
    transport.reset(PATIENCE).unwrap();
    let mut pair = hands(&transport);
    assert_eq!(before, pair.each_ref().map(|hand| hand.description));
    assert_eq!(pair[0].transform(Request::Zlib, &source, 200).0.ended, Ended::new(Status::Ok, false));
    let body = deflate(Request::Zlib, &source);
    assert!(pair[1].transform(Request::Zlib, &body, 200).1 == source);
}

#[test]
fn a_queue_that_was_stopped_before_its_first_doorbell_is_not_started_by_it() {
    let device = device(Plan::default());
    let transport = open(&device);
    let mut pair = hands(&transport);
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    let (source, mut room) = (text(100), vec![0; 200]);
    pair[0].submit(&entry(Request::Deflate, &source, &mut room));
    pair[1].arm();
    std::thread::sleep(MOMENT);
    assert!(pair.iter_mut().all(|hand| hand.poll_raw().is_none()));
    assert_eq!(device.stats().total.jobs, 0);
    transport.reset(PATIENCE).unwrap();
    let mut pair = hands(&transport);
    assert_eq!(pair[0].transform(Request::Zlib, &source, 200).0.ended, Ended::new(Status::Ok, false));
}

#[test]
fn a_device_that_fails_says_so_in_memory_and_comes_back() {
    let device = device(Plan::default());
    let transport = open(&device);
    let [mut compress, decompress] = hands(&transport);
    let source = text(100);
    compress.transform(Request::Zlib, &source, 200);
    device.fail(1);
    assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
    // Nobody has rung for the other one yet; it is told all the same.
    for hand in [&compress, &decompress] {
        assert_eq!(hand.stop_words(), StopWords { transmit: true, receive: true });
    }
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    transport.reset(PATIENCE).unwrap();
    // Between the reset and the memory there is nobody to tell: the first doorbell does.
    device.fail(2);
    let [mut compress, _] = hands(&transport);
    compress.put(&entry(Request::Zlib, &source, &mut [0; 200]));
    assert_eq!(compress.stop_words(), StopWords::default());
    compress.ring();
    assert_eq!(compress.stop_words(), StopWords { transmit: true, receive: true });
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    transport.reset(PATIENCE).unwrap();
    let [mut compress, _] = hands(&transport);
    assert_eq!(compress.transform(Request::Zlib, &source, 200).0.ended, Ended::new(Status::Ok, false));
}

#[test]
fn what_a_plan_does_to_answers_shows_in_the_ring() {
    let plan = Plan::default()
        .with(When::Nth(1), Mishap::LateCompletion(2))
        .with(When::Nth(4), Mishap::WrongToken)
        .with(When::Nth(5), Mishap::UnknownStatus)
        .with(When::Nth(6), Mishap::ImpossibleLengths)
        .with(When::Nth(7), Mishap::LostCompletion);
    let device = device(plan);
    let [mut compress, _] = hands(&open(&device));
    let source = text(100);
    let mut room = vec![0; 200];
    let entry = entry(Request::Deflate, &source, &mut room);
    (0..9).for_each(|_| compress.put(&entry));
    compress.ring();
    // Late, and in order all the same.
    for place in 0..3 {
        assert_eq!(compress.answer().0, place);
    }
    assert_eq!(compress.answer().0, 4, "in place of 3");
    assert_eq!(Status::from_raw(compress.answer().1.ended.status), None);
    assert_eq!(compress.answer().1.produced, u32::MAX);
    // Where an answer is lost nothing can follow it.
    std::thread::sleep(MOMENT);
    assert_eq!(compress.poll_raw(), None);
}

#[test]
fn queues_run_out_and_come_back() {
    let device = device_with(HisiZipConfig { queues: 5, ..HisiZipConfig::default() }, Plan::default());
    let first = open(&device);
    let second = open(&device);
    let refused = || matches!(device.open("sim0"), Err(TransportError::Busy(_)));
    assert!(refused());
    // The one that was opened in vain was closed.
    assert!(refused());
    drop(first);
    let third = open(&device);
    let mut numbers: Vec<u16> =
        [&second, &third].iter().flat_map(|transport| hands(transport)).map(|hand| hand.description.queue).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
}

#[test]
fn impossible_engines_are_refused() {
    let check = |change: fn(&mut HisiZipConfig)| {
        let mut config = HisiZipConfig::default();
        change(&mut config);
        config.check()
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert_eq!(check(|config| config.queues = 0), Err(HisiZipConfigError::Empty));
    assert_eq!(check(|config| config.engines = 0), Err(HisiZipConfigError::Empty));
    assert_eq!(check(|config| config.queues = 4097), Err(HisiZipConfigError::Queues(4097)));
    assert_eq!(check(|config| config.submissions = 1), Err(HisiZipConfigError::Places(1)));
    assert_eq!(check(|config| config.completions = 4097), Err(HisiZipConfigError::Places(4097)));
}

#[test]
fn sources_and_destinations_come_in_pieces() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    let text = text(30_000);
    for (source_skip, destination_skip, pieces) in [(0, 0, 1), (0, 0, 7), (1, 2, 40), (5000, 999, 600)] {
        // Other bytes before, between and behind, which stay as they are.
        let padded = [vec![1; source_skip], text.clone()].concat();
        let source = Chain::over(&padded, pieces);
        let room = Chain::over(&vec![0x55; destination_skip + 40_000], pieces);
        let skipped = u32::try_from(destination_skip).unwrap();
        let listed = Buffers::Listed { source_skip: u32::try_from(source_skip).unwrap(), destination_skip: skipped };
        let entry = Entry { buffers: listed, ..Entry::whole(Request::Zlib, source.at(), 30_000, room.at(), 40_000) };
        let results = compress.run(&entry);
        assert_eq!((results.consumed, results.ended), (30_000, Ended::new(Status::Ok, false)));
        let written = room.bytes();
        assert!(written[..destination_skip].iter().all(|byte| *byte == 0x55));
        let (body, rest) = written[destination_skip..].split_at(results.produced as usize);
        assert!(inflate(Request::Zlib, body).unwrap() == text);
        assert!(rest.iter().all(|byte| *byte == 0x55));

        let body = Chain::over(body, pieces);
        let back = Chain::over(&vec![0; destination_skip + 30_000], pieces);
        let listed = Buffers::Listed { source_skip: 0, destination_skip: skipped };
        let whole = Entry::whole(Request::Zlib, body.at(), results.produced, back.at(), 30_000);
        let results = decompress.run(&Entry { buffers: listed, ..whole });
        assert_eq!((results.produced, results.ended), (30_000, Ended::new(Status::StreamEnd, true)));
        assert!(back.bytes()[destination_skip..] == text);
    }
}

#[test]
fn lists_that_make_no_sense_end_their_job_alone() {
    let device = device(Plan::default());
    let [mut compress, _] = hands(&open(&device));
    let text = text(10_000);
    let (source, room) = (Chain::over(&text, 300), Chain::over(&[0; 12_000], 300));
    let listed = Buffers::Listed { source_skip: 0, destination_skip: 0 };
    let good = Entry { buffers: listed, ..Entry::whole(Request::Gzip, source.at(), 10_000, room.at(), 12_000) };
    // A chain that leads back to itself, and holds nothing.
    let circle = List::new();
    circle.set_head(&ListHead { next: circle.at(), chain: 1, entries: 0, room: 255 });
    let more = List::new();
    more.set_head(&ListHead { next: 0, chain: 1, entries: 9, room: 8 });
    let large = List::new();
    large.set_head(&ListHead { next: 0, chain: 1, entries: 256, room: 256 });
    let nowhere = List::new();
    nowhere.set_head(&ListHead { next: 0, chain: 1, entries: 1, room: 1 });
    nowhere.set_entry(0, &ListEntry { address: 16, len: 10_000 });
    let lost = List::new();
    lost.set_head(&ListHead { next: 64, chain: 1, entries: 0, room: 1 });
    let skip = Buffers::Listed { source_skip: 1, destination_skip: 0 };
    for (bad, status) in [
        (Entry { buffers: skip, ..good }, Status::Malformed),
        (Entry { source_len: 10_001, ..good }, Status::Malformed),
        (Entry { destination_len: 12_001, ..good }, Status::Malformed),
        (Entry { source: source.at() + 8, ..good }, Status::Malformed),
        (Entry { source: 0, ..good }, Status::Malformed),
        (Entry { source: 64, ..good }, Status::Translation),
        (Entry { source: circle.at(), ..good }, Status::Malformed),
        (Entry { source: more.at(), ..good }, Status::Malformed),
        (Entry { source: large.at(), ..good }, Status::Malformed),
        (Entry { source: nowhere.at(), ..good }, Status::Translation),
        (Entry { destination: nowhere.at(), destination_len: 10_000, ..good }, Status::Translation),
        (Entry { destination: lost.at(), ..good }, Status::Translation),
    ] {
        assert_eq!(compress.run(&bad), failed(status), "{bad:x?}");
        assert_eq!(compress.run(&good).ended, Ended::new(Status::Ok, false));
    }
    // What is not needed is not looked at.
    let nothing = Entry { source: 1, source_len: 0, ..good };
    assert_eq!(compress.run(&nothing).ended, Ended::new(Status::Grown, false));
}

#[test]
fn streams_are_compressed_in_pieces_of_any_size() {
    let device = device(Plan::default());
    let [mut compress, _] = hands(&open(&device));
    let text = [text(90_000), noise(5000), text(60_000)].concat();
    for request in FORMATS {
        for (pieces, rooms) in [(&[155_000][..], &[200_000][..]), (&[1000, 40_000, 3], &[30_000]), (&[9000], &[777])] {
            let mut stream = Stream::new(request);
            let (mut body, mut done) = (Vec::new(), 0);
            for turn in 0.. {
                let piece = &text[done..][..pieces[turn % pieces.len()].min(text.len() - done)];
                let finish = done + piece.len() == text.len();
                let (results, made) = stream.run(&mut compress, piece, rooms[turn % rooms.len()], finish);
                assert!(matches!(results.ended.status, 0 | 0x0d), "{results:?}");
                body.extend_from_slice(&made);
                done += results.consumed as usize;
                if results.ended.last_block {
                    break;
                }
                // There was too little room for all of it, or more follows.
                assert!(results.consumed > 0 || piece.is_empty());
            }
            assert!(inflate(request, &body).unwrap() == text, "{request:?} in {pieces:?}");
            assert_eq!(done, text.len());
            if request == Request::Gzip {
                assert_eq!(stream.next.running_len, 155_000);
                // By the rule that UADK makes a trailer of it with.
                let crc = flate2_crc(&text);
                assert_eq!((!stream.next.checksum).reverse_bits(), crc);
            }
        }
    }
}

#[test]
fn all_of_what_is_to_be_finished_is_used_with_the_end_or_not_at_all() {
    let device = device(Plan::default());
    let [mut compress, _] = hands(&open(&device));
    let text = noise(1000);
    for request in FORMATS {
        let mut ended = 0;
        for room in 1000..1030 {
            let (results, body) = Stream::new(request).run(&mut compress, &text, room, true);
            let whole = inflate(request, &body).is_ok_and(|back| back == text);
            assert_eq!(results.consumed == 1000, whole, "{request:?} in {room}");
            ended += u32::from(whole);
        }
        assert!((1..30).contains(&ended), "{request:?}: {ended}");
    }
}

/// Another library's CRC-32.
fn flate2_crc(text: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(text);
    crc.sum()
}

#[test]
fn what_was_flushed_can_be_decoded_before_the_end() {
    let device = device(Plan::default());
    let [mut compress, _] = hands(&open(&device));
    let mut stream = Stream::new(Request::Deflate);
    let mut decoder = flate2::Decompress::new(false);
    for word in ["hello ", "again ", "", "and again"] {
        let (_, made) = stream.run(&mut compress, word.as_bytes(), 100, false);
        let mut room = [0; 100];
        let before = decoder.total_out();
        decoder.decompress(&made, &mut room, flate2::FlushDecompress::Sync).unwrap();
        let len = usize::try_from(decoder.total_out() - before).unwrap();
        assert_eq!(&room[..len], word.as_bytes());
    }
}

#[test]
fn streams_are_decompressed_in_pieces_of_any_size() {
    let device = device(Plan::default());
    let [_, mut decompress] = hands(&open(&device));
    let text = [text(50_000), noise(40_000), vec![0; 3000]].concat();
    for request in FORMATS {
        let theirs = deflate(request, &text);
        for (pieces, rooms) in [(&[200_000][..], &[93_000][..]), (&[1000, 1, 9], &[30_000, 500]), (&[5000], &[77, 0])] {
            let mut stream = Stream::new(request);
            let (mut back, mut rest) = (Vec::new(), [&theirs[..], b"what follows"].concat());
            for turn in 0.. {
                let piece = &rest[..pieces[turn % pieces.len()].min(rest.len())];
                let (results, made) = stream.run(&mut decompress, piece, rooms[turn % rooms.len()], false);
                back.extend_from_slice(&made);
                let consumed = results.consumed as usize;
                if results.ended == Ended::new(Status::StreamEnd, true) {
                    rest.drain(..consumed);
                    break;
                }
                assert_eq!(results.ended, Ended::new(Status::Ok, false));
                let full = results.produced as usize == rooms[turn % rooms.len()];
                assert!(full || consumed == piece.len(), "{results:?}");
                rest.drain(..consumed);
            }
            assert!(back == text, "{request:?} in {pieces:?}");
            assert_eq!(rest, b"what follows");
        }
    }
}

#[test]
fn a_piece_that_fails_leaves_its_stream_where_it_was() {
    let device = device(Plan::default());
    let [mut compress, mut decompress] = hands(&open(&device));
    let text = text(20_000);
    let mut stream = Stream::new(Request::Zlib);
    let (_, mut body) = stream.run(&mut compress, &text[..10_000], 20_000, false);
    let before = stream.buffer.clone();
    assert_eq!(stream.run(&mut compress, &text[10_000..], 3, true).0, failed(Status::NoSpace));
    let context = stream.next.context;
    stream.next.context = 4096;
    assert_eq!(stream.run(&mut compress, &text[10_000..], 20_000, true).0, failed(Status::Translation));
    stream.next.context = context;
    assert!(before == stream.buffer);
    body.extend(stream.run(&mut compress, &text[10_000..], 20_000, true).1);
    assert!(inflate(Request::Zlib, &body).unwrap() == text);
    // It is over: nothing more comes of it.
    let (results, more) = stream.run(&mut compress, b"more", 100, true);
    assert_eq!((results.consumed, more.len(), results.ended.last_block), (0, 0, true));

    // A wrong trailer, and a buffer with something else in it.
    let last = body.len() - 1;
    body[last] ^= 1;
    let mut stream = Stream::new(Request::Zlib);
    stream.run(&mut decompress, &body[..last], 20_000, false);
    assert_eq!(stream.run(&mut decompress, &body[last..], 20_000, false).0, failed(Status::Corrupt));
    body[last] ^= 1;
    let mut stream = Stream::new(Request::Zlib);
    stream.run(&mut decompress, &body[..100], 20_000, false);
    stream.buffer.fill(u64::MAX);
    assert_eq!(stream.run(&mut decompress, &body[100..], 20_000, false).0, failed(Status::Malformed));
    // More of the trailer than there is of it: the count is the byte behind the engine's 376 and the trailer's 8, and the buffer begins 64 bytes in.
    let mut stream = Stream::new(Request::Zlib);
    stream.run(&mut decompress, &body[..body.len() - 4], 20_000, false);
    let word = &mut stream.buffer[(64 + 376 + 8) / 8];
    assert_eq!(*word & 0xff, 0, "nothing of it so far");
    *word |= 5;
    assert_eq!(stream.run(&mut decompress, &body[body.len() - 4..], 20_000, false).0, failed(Status::Malformed));
}

#[test]
fn blocks_and_lists_have_no_streams() {
    let device = device(Plan::default());
    let mut compress = Hand::new(&open(&device), COMPRESS);
    let source = text(100);
    let mut room = vec![0; 200];
    let flow = Flow { finish: true, stateful: true, new_stream: true };
    let good = entry(Request::Gzip, &source, &mut room);
    let buffers = Buffers::Listed { source_skip: 0, destination_skip: 0 };
    for bad in [Entry { flow, request: Request::Lz4, ..good }, Entry { flow, buffers, ..good }] {
        assert_eq!(compress.run(&bad), failed(Status::Malformed));
    }
}
