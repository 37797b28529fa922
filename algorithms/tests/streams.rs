//! Texts longer than a device takes, on one that has streams: all of it is done by the device, or it is said why not.

mod support;

use std::io::{self, ErrorKind, Read, Write};

use support::{SMALL, noise, prose, with_endless_streams, with_streams};
use uaccel_algorithms::{Compressor, Decompressor, Error, Format, Level, read, write};
use uaccel_runtime::{Fallback, Runtime};
use uaccel_sim::{Mishap, Plan, When};

const FORMATS: [Format; 2] = [Format::Deflate, Format::Zlib];

fn never() -> Runtime {
    with_streams().0.fallback(Fallback::Never).build().unwrap()
}

fn all(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}

/// Another library's stream.
fn encode(format: Format, text: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    match format {
        Format::Gzip => all(flate2::read::GzEncoder::new(text, level)),
        Format::Zlib => all(flate2::read::ZlibEncoder::new(text, level)),
        _ => all(flate2::read::DeflateEncoder::new(text, level)),
    }
    .unwrap()
}

/// Another library's opinion of a stream, which has nothing behind it.
fn decode(format: Format, mut packed: &[u8]) -> Vec<u8> {
    let text = match format {
        Format::Gzip => all(flate2::bufread::GzDecoder::new(&mut packed)),
        Format::Zlib => all(flate2::bufread::ZlibDecoder::new(&mut packed)),
        _ => all(flate2::bufread::DeflateDecoder::new(&mut packed)),
    };
    assert!(packed.is_empty(), "{format}: {} bytes behind the end", packed.len());
    text.unwrap()
}

/// Longer than a job in both forms.
fn long_text() -> Vec<u8> {
    [prose(5 * SMALL), noise(2 * SMALL, 1), vec![0; 3 * SMALL], prose(100)].concat()
}

/// Lengths of pieces by chance, the same for the same seed: small ones and large ones.
fn cuts(seed: u64) -> impl Iterator<Item = usize> {
    let chance = noise(1 << 16, seed);
    (0..).map(move |at| {
        let [a, b, c] = [0, 1, 2].map(|place| usize::from(chance[(3 * at + place) % chance.len()]));
        1 + ((a | b << 8) >> (c % 12)) * if c < 16 { 8 } else { 1 }
    })
}

/// Reads so many bytes at a time.
struct Cut<'a, I>(&'a [u8], I);

impl<I: Iterator<Item = usize>> Read for Cut<'_, I> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.1.next().unwrap().min(room.len());
        self.0.read(&mut room[..len])
    }
}

fn write_all<W: Write>(mut to: W, mut bytes: &[u8], cuts: impl Iterator<Item = usize>) -> W {
    for len in cuts {
        let (piece, rest) = bytes.split_at(len.min(bytes.len()));
        to.write_all(piece).unwrap();
        bytes = rest;
        if bytes.is_empty() {
            break;
        }
    }
    to
}

/// The device fails at this job, and at all that may come in the test.
fn all_from(nth: u64) -> Plan {
    (nth..nth + 40).fold(Plan::default(), |plan, nth| plan.with(When::Nth(nth), Mishap::DeviceFailure(7)))
}

#[test]
fn adaptors_leave_all_of_a_long_text_to_the_device_wherever_it_is_cut() {
    let runtime = never();
    let text = long_text();
    let gzip = encode(Format::Gzip, &text);
    for seed in 1..4 {
        for format in FORMATS {
            let theirs = encode(format, &text);
            let (read, written, texts) = if format == Format::Zlib {
                let encoder = write::ZlibEncoder::new(&runtime, Vec::new(), 6).unwrap();
                let decoder = write::ZlibDecoder::new(&runtime, Vec::new()).unwrap();
                (
                    all(read::ZlibEncoder::new(&runtime, Cut(&text, cuts(seed)), 6).unwrap()).unwrap(),
                    write_all(encoder, &text, cuts(seed)).finish().unwrap(),
                    [
                        all(read::ZlibDecoder::new(&runtime, Cut(&theirs, cuts(seed))).unwrap()).unwrap(),
                        write_all(decoder, &theirs, cuts(seed)).finish().unwrap(),
                    ],
                )
            } else {
                let encoder = write::DeflateEncoder::new(&runtime, Vec::new(), 6).unwrap();
                let decoder = write::DeflateDecoder::new(&runtime, Vec::new()).unwrap();
                (
                    all(read::DeflateEncoder::new(&runtime, Cut(&text, cuts(seed)), 6).unwrap()).unwrap(),
                    write_all(encoder, &text, cuts(seed)).finish().unwrap(),
                    [
                        all(read::DeflateDecoder::new(&runtime, Cut(&theirs, cuts(seed))).unwrap()).unwrap(),
                        write_all(decoder, &theirs, cuts(seed)).finish().unwrap(),
                    ],
                )
            };
            assert!(decode(format, &read) == text && decode(format, &written) == text, "{format}, {seed}");
            assert!(texts.iter().all(|back| *back == text), "{format}, {seed}");
        }
        assert!(all(read::GzDecoder::new(&runtime, Cut(&gzip, cuts(seed))).unwrap()).unwrap() == text);
        let decoder = write::MultiGzDecoder::new(&runtime, Vec::new()).unwrap();
        assert!(write_all(decoder, &gzip, cuts(seed)).finish().unwrap() == text);
    }
    let counters = runtime.counters();
    assert_eq!((counters.fallbacks, counters.failures), (0, 0), "{counters:?}");
}

#[test]
fn members_of_any_length_follow_each_other() {
    let runtime = never();
    let texts = [prose(100), long_text(), Vec::new(), noise(1000, 2), long_text()];
    let members = texts.iter().flat_map(|text| encode(Format::Gzip, text)).chain([0; 1000]).collect::<Vec<_>>();
    assert!(all(read::MultiGzDecoder::new(&runtime, &members[..]).unwrap()).unwrap() == texts.concat());
    assert!(all(read::GzDecoder::new(&runtime, &members[..]).unwrap()).unwrap() == texts[0]);
    let decompressor = Decompressor::new(&runtime, Format::Gzip).unwrap();
    assert!(decompressor.decompress(&members, 1 << 30).unwrap() == texts.concat());
    assert_eq!(runtime.counters().fallbacks, 0);
}

#[test]
fn short_whole_streams_are_one_job() {
    let runtime = never();
    let packed = all(read::ZlibEncoder::new(&runtime, &b"text"[..], 6).unwrap()).unwrap();
    assert_eq!(all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).unwrap(), b"text");
    assert_eq!(runtime.counters().jobs, 2);
}

#[test]
fn a_decoder_that_finds_plenty_asks_the_device_no_more_often_than_it_must() {
    let runtime = never();
    let text = noise(20 * SMALL, 5);
    let packed = encode(Format::Zlib, &text);
    assert!(all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).unwrap() == text);
    // A job for as much as it takes, and a few that are shorter.
    let jobs = runtime.counters().jobs;
    assert!((20..30).contains(&jobs), "{jobs} jobs");
}

#[test]
fn whole_texts_are_left_to_the_device_as_well() {
    let runtime = never();
    let text = long_text();
    for format in FORMATS {
        let compressor = Compressor::new(&runtime, format, Level::Default).unwrap();
        let packed = compressor.compress(&text).unwrap();
        assert!(packed.len() < text.len() && decode(format, &packed) == text, "{format}");
        let mut room = vec![0; compressor.bound(text.len()).unwrap()];
        let len = compressor.compress_into(&text, &mut room).unwrap();
        assert!(decode(format, &room[..len]) == text, "{format}");
        let pieces: Vec<_> = text.chunks(50_000).map(io::IoSlice::new).collect();
        assert!(decode(format, &compressor.compress_vectored(&pieces).unwrap()) == text, "{format}");
        // At its worst it is too long for a job.
        let worst = noise(SMALL, 3);
        assert!(decode(format, &compressor.compress(&worst).unwrap()) == worst, "{format}");
        let batch = compressor.compress_batch(&[b"short", &text, &worst]);
        for (packed, text) in batch.into_iter().zip([b"short", &text[..], &worst]) {
            assert!(decode(format, &packed.unwrap()) == text, "{format}");
        }
    }
    for format in [Format::Deflate, Format::Zlib, Format::Gzip] {
        let packed = [&encode(format, &text)[..], b"behind"].concat();
        let stream = &packed[..packed.len() - 6];
        let decompressor = Decompressor::new(&runtime, format).unwrap();
        assert!(decompressor.decompress(stream, text.len()).unwrap() == text, "{format}");
        let mut room = vec![0; text.len()];
        let progress = decompressor.decompress_into(&packed, &mut room).unwrap();
        assert_eq!((progress.consumed, progress.produced), (stream.len(), text.len()), "{format}");
        assert!(room == text, "{format}");
        // A short one in front of much, and into much room.
        let packed = [encode(format, b"short"), noise(3 * SMALL, 4)].concat();
        let progress = decompressor.decompress_into(&packed, &mut room).unwrap();
        assert_eq!(
            (progress.consumed, &room[..progress.produced]),
            (packed.len() - 3 * SMALL, &b"short"[..]),
            "{format}"
        );
        // Broken ones.
        for cut in [0, 1, stream.len() / 2, stream.len() - 1] {
            let error = decompressor.decompress(&stream[..cut], text.len()).unwrap_err();
            assert!(matches!(error, Error::Truncated(_)), "{format} cut at {cut}: {error}");
        }
    }
    assert_eq!(runtime.counters().fallbacks, 0);
}

#[test]
fn limits_of_long_texts_hold_to_the_byte() {
    let runtime = never();
    let text = long_text();
    for format in FORMATS {
        let packed = encode(format, &text);
        let decompressor = Decompressor::new(&runtime, format).unwrap();
        for limit in [0, 100, 3 * SMALL, text.len() - 300, text.len() - 1] {
            let error = decompressor.decompress(&packed, limit).unwrap_err();
            assert!(matches!(error, Error::OutputTooSmall { room, .. } if room == limit as u64), "{limit}: {error}");
            let error = decompressor.decompress_into(&packed, &mut vec![0; limit]).unwrap_err();
            assert!(matches!(error, Error::OutputTooSmall { room, .. } if room == limit as u64), "{limit}: {error}");
        }
        let compressor = Compressor::new(&runtime, format, Level::Default).unwrap();
        let len = compressor.compress(&text).unwrap().len();
        for room in [0, 10, 300, len / 2, len - 20] {
            let error = compressor.compress_into(&text, &mut vec![0; room]).unwrap_err();
            let Error::OutputTooSmall { needed: Some(needed), .. } = error else { panic!("{room}: {error}") };
            let mut enough = vec![0; usize::try_from(needed).unwrap()];
            let len = compressor.compress_into(&text, &mut enough).unwrap();
            assert!(decode(format, &enough[..len]) == text);
        }
    }
}

#[test]
fn broken_streams_are_what_they_are_to_other_decoders() {
    let runtime = never();
    let packed = encode(Format::Zlib, &long_text());
    for cut in [1, SMALL, packed.len() - 1] {
        let error = all(read::ZlibDecoder::new(&runtime, &packed[..cut]).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{cut}");
    }
    let mut bad = packed.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(all(read::ZlibDecoder::new(&runtime, &bad[..]).unwrap()).unwrap_err().kind(), ErrorKind::InvalidData);
    let mut decoder = write::ZlibDecoder::new(&runtime, Vec::new()).unwrap();
    let error = decoder.write_all(&bad).and_then(|()| decoder.finish()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_device_that_fails_now_and_then_costs_time_only() {
    let (builder, plan) = with_streams();
    let runtime = builder.queues(1).build().unwrap();
    let text = long_text();
    plan.set(Plan::default().with(When::Every(5), Mishap::DeviceFailure(7)));
    let packed = all(read::ZlibEncoder::new(&runtime, &text[..], 6).unwrap()).unwrap();
    assert!(decode(Format::Zlib, &packed) == text);
    let mut decoder = write::GzDecoder::new(&runtime, Vec::new()).unwrap();
    decoder.write_all(&encode(Format::Gzip, &text)).unwrap();
    assert!(decoder.finish().unwrap() == text);
    let compressor = Compressor::new(&runtime, Format::Deflate, Level::Default).unwrap();
    assert!(decode(Format::Deflate, &compressor.compress(&text).unwrap()) == text);
    let counters = runtime.counters();
    assert!(counters.fallbacks == 0 && counters.repeats >= 3 && counters.repeats == counters.resets, "{counters:?}");
}

#[test]
fn a_device_that_fails_for_good_in_the_middle_of_a_text_is_told_of_by_adaptors_which_can_be_called_again() {
    let (builder, plan) = with_streams();
    let runtime = builder.queues(1).build().unwrap();
    let text = long_text();
    let mut encoder = write::ZlibEncoder::new(&runtime, Vec::new(), 6).unwrap();
    encoder.write_all(&text[..text.len() - SMALL]).unwrap();
    // Past what is kept.
    encoder.write_all(&vec![b'.'; 1 << 20]).unwrap();
    let packed = encode(Format::Zlib, &text);
    let mut decoder = read::ZlibDecoder::new(&runtime, &packed[..]).unwrap();
    let mut back = vec![0; SMALL];
    decoder.read_exact(&mut back).unwrap();
    // One job more is done.
    plan.set(all_from(2));
    let failed = |error: io::Error| {
        let ours = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert!(matches!(ours, Error::DeviceFailed { .. }), "{ours}");
    };
    failed(encoder.try_finish().unwrap_err());
    failed(decoder.read_to_end(&mut back).unwrap_err());
    plan.set(Plan::default());
    let packed = encoder.finish().unwrap();
    let expected = [&text[..text.len() - SMALL], &vec![b'.'; 1 << 20]].concat();
    assert!(decode(Format::Zlib, &packed) == expected);
    decoder.read_to_end(&mut back).unwrap();
    assert!(back == text);
    assert_eq!(runtime.counters().fallbacks, 0);
}

#[test]
fn a_device_that_fails_from_the_beginning_on_is_left_for_the_cpu_if_that_may_be() {
    let text = long_text();
    let packed = encode(Format::Zlib, &text);
    for fallback in [Fallback::OnError, Fallback::Never] {
        let (builder, plan) = with_streams();
        let runtime = builder.queues(1).fallback(fallback).build().unwrap();
        plan.set(Plan::default().with(When::Every(1), Mishap::DeviceFailure(7)));
        let results = [
            all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).map_err(|_| ()),
            Decompressor::new(&runtime, Format::Zlib).unwrap().decompress(&packed, 1 << 30).map_err(|_| ()),
        ];
        let compressor = Compressor::new(&runtime, Format::Zlib, Level::Default).unwrap();
        let ours = compressor.compress(&text);
        if fallback == Fallback::Never {
            assert!(results.iter().all(Result::is_err) && matches!(ours, Err(Error::DeviceFailed { .. })));
            assert_eq!(runtime.counters().fallbacks, 0);
        } else {
            assert!(results.iter().all(|back| back.as_ref() == Ok(&text)));
            assert!(decode(Format::Zlib, &ours.unwrap()) == text);
            // Some try one job before.
            assert!(runtime.counters().fallbacks >= 3);
        }
    }
}

#[test]
fn what_takes_a_whole_text_begins_anew_on_the_cpu() {
    let text = long_text();
    let packed = encode(Format::Zlib, &text);
    // Some jobs are done before, and from then on none.
    let failing = || {
        let (builder, plan) = with_streams();
        let runtime = builder.queues(1).build().unwrap();
        plan.set(all_from(4));
        runtime
    };
    let runtime = failing();
    let compressor = Compressor::new(&runtime, Format::Zlib, Level::Default).unwrap();
    assert!(decode(Format::Zlib, &compressor.compress(&text).unwrap()) == text);
    assert_eq!((runtime.counters().fallbacks, runtime.counters().repeats), (1, 1));
    let runtime = failing();
    let decompressor = Decompressor::new(&runtime, Format::Zlib).unwrap();
    assert!(decompressor.decompress(&packed, text.len()).unwrap() == text);
    assert_eq!((runtime.counters().fallbacks, runtime.counters().repeats), (1, 1));
    let runtime = failing();
    let decompressor = Decompressor::new(&runtime, Format::Zlib).unwrap();
    let mut room = vec![0; text.len()];
    assert_eq!(decompressor.decompress_into(&packed, &mut room).unwrap().produced, text.len());
    assert!(room == text);
    assert_eq!((runtime.counters().fallbacks, runtime.counters().repeats), (1, 1));
}

#[test]
fn short_streams_are_the_cpus_if_the_policy_prefers_it() {
    let (builder, _) = with_streams();
    let runtime = builder.fallback(Fallback::Auto { below: 10_000 }).build().unwrap();
    let packed = encode(Format::Zlib, &prose(1000));
    assert_eq!(all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).unwrap(), prose(1000));
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (0, 1));
    let text = long_text();
    assert!(all(read::ZlibDecoder::new(&runtime, &encode(Format::Zlib, &text)[..]).unwrap()).unwrap() == text);
    assert_eq!(runtime.counters().fallbacks, 1);

    // So are all, if all are short to it.
    let runtime = with_streams().0.fallback(Fallback::Auto { below: u64::MAX }).build().unwrap();
    assert!(all(read::ZlibDecoder::new(&runtime, &encode(Format::Zlib, &text)[..]).unwrap()).unwrap() == text);
    let packed = Compressor::new(&runtime, Format::Zlib, Level::Default).unwrap().compress(&text).unwrap();
    assert!(decode(Format::Zlib, &packed) == text);
    let packed = all(read::ZlibEncoder::new(&runtime, &text[..], 6).unwrap()).unwrap();
    assert!(decode(Format::Zlib, &packed) == text);
    let back = Decompressor::new(&runtime, Format::Zlib).unwrap().decompress(&packed, text.len()).unwrap();
    assert!(back == text);
    assert!(runtime.counters().jobs == 0 && runtime.counters().fallbacks >= 4, "{:?}", runtime.counters());
}

#[test]
fn a_device_whose_queue_is_full_is_left_for_the_cpu_as_with_jobs() {
    let runtime = with_streams().0.queues(1).depth(4).build().unwrap();
    let text = long_text();
    let compressor = Compressor::new(&runtime, Format::Zlib, Level::Default).unwrap();
    let mut unfetched = Vec::new();
    while let Ok(job) = compressor.submit(b"short".to_vec(), Vec::with_capacity(100)) {
        unfetched.push(job);
    }
    let packed = compressor.compress(&text).unwrap();
    assert!(decode(Format::Zlib, &packed) == text);
    let decompressor = Decompressor::new(&runtime, Format::Zlib).unwrap();
    assert!(decompressor.decompress(&packed, text.len()).unwrap() == text);
    let mut room = vec![0; text.len()];
    assert_eq!(decompressor.decompress_into(&packed, &mut room).unwrap().produced, text.len());
    assert!(all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).unwrap() == text);
    // Some try one job before.
    assert!(runtime.counters().fallbacks >= 4);
    for job in unfetched {
        job.wait().into_output().unwrap();
    }
}

#[test]
fn a_device_that_writes_for_ever_is_stopped() {
    let text = long_text();
    let runtime = with_endless_streams().fallback(Fallback::Never).build().unwrap();
    let compressor = Compressor::new(&runtime, Format::Zlib, Level::Default).unwrap();
    let error = compressor.compress(&text).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
    let mut encoder = write::ZlibEncoder::new(&runtime, Vec::new(), 6).unwrap();
    let long = noise(3 << 20, 1);
    encoder.write_all(&long).unwrap_err();
    encoder.try_finish().unwrap_err();
    let runtime = with_endless_streams().build().unwrap();
    let compressor = Compressor::new(&runtime, Format::Zlib, Level::Default).unwrap();
    assert!(decode(Format::Zlib, &compressor.compress(&text).unwrap()) == text);
}

#[test]
fn nothing_is_taken_once_the_end_was_asked_for() {
    let (builder, plan) = with_streams();
    let runtime = builder.queues(1).build().unwrap();
    let text = [long_text(), noise(1 << 20, 1)].concat();
    let mut encoder = write::ZlibEncoder::new(&runtime, Vec::new(), 6).unwrap();
    encoder.write_all(&text).unwrap();
    plan.set(all_from(1));
    encoder.try_finish().unwrap_err();
    plan.set(Plan::default());
    assert_eq!(encoder.write(b"more").unwrap(), 0);
    assert!(decode(Format::Zlib, &encoder.finish().unwrap()) == text);

    // Nor is a reader asked again that has been at its end.
    struct Ending<'a>(&'a [u8], bool);
    impl Read for Ending<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            assert!(!self.1, "read behind its end");
            self.1 = self.0.is_empty();
            self.0.read(room)
        }
    }
    let mut encoder = read::ZlibEncoder::new(&runtime, Ending(&text, false), 6).unwrap();
    let mut packed = vec![0; 1];
    encoder.read_exact(&mut packed).unwrap();
    plan.set(all_from(1));
    encoder.read_to_end(&mut packed).unwrap_err();
    plan.set(Plan::default());
    encoder.read_to_end(&mut packed).unwrap();
    assert!(decode(Format::Zlib, &packed) == text);
}
