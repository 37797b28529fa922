//! The adaptors of `read` and `write`, against flate2's.

mod support;

use std::io::{self, Cursor, ErrorKind, Read, Write};

use support::{SMALL, compressing, noise, prose, simulator, small, software, texts};
use uaccel_algorithms::{Error, Level, read, write};
use uaccel_runtime::{Fallback, HISI_ZIP_SIMULATOR};

/// Reads at most so many bytes at a time.
struct Drip<R>(R, usize);

impl<R: Read> Read for Drip<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = room.len().min(self.1);
        self.0.read(&mut room[..len])
    }
}

/// Takes at most so many bytes at a time, and fails every third time in a harmless way.
struct Trickle {
    taken: Vec<u8>,
    at_once: usize,
    calls: usize,
}

impl Write for Trickle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(ErrorKind::Interrupted.into());
        }
        let len = bytes.len().min(self.at_once);
        self.taken.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn trickle(at_once: usize) -> Trickle {
    Trickle { taken: Vec::new(), at_once, calls: 0 }
}

fn all(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}

/// Reads everything, so many bytes at a time.
fn in_steps(mut reader: impl Read, step: usize) -> Vec<u8> {
    let (mut bytes, mut room) = (Vec::new(), vec![0; step]);
    loop {
        match reader.read(&mut room).unwrap() {
            0 => return bytes,
            len => bytes.extend_from_slice(&room[..len]),
        }
    }
}

/// The odd pieces that texts are read and written in.
const STEPS: [usize; 4] = [1, 3, 1000, 1 << 20];

macro_rules! formats {
    ($check:ident!($($argument:tt)*)) => {
        $check!($($argument)*, GzEncoder, MultiGzDecoder, GzDecoder);
        $check!($($argument)*, ZlibEncoder, ZlibDecoder, ZlibDecoder);
        $check!($($argument)*, DeflateEncoder, DeflateDecoder, DeflateDecoder);
    };
}

#[test]
fn flate2_reads_what_encoders_make() {
    macro_rules! check {
        ($runtime:expr, $text:expr, $step:expr, $encoder:ident, $decoder:ident, $_one:ident) => {
            let packed = all(read::$encoder::new($runtime, Drip($text, $step), Level::Default).unwrap()).unwrap();
            assert_eq!(all(flate2::read::$decoder::new(&packed[..])).unwrap(), $text);
            let mut encoder = write::$encoder::new($runtime, trickle($step), 1).unwrap();
            for piece in $text.chunks($step) {
                encoder.write_all(piece).unwrap();
            }
            assert_eq!(all(flate2::read::$decoder::new(&encoder.finish().unwrap().taken[..])).unwrap(), $text);
        };
    }
    for runtime in compressing() {
        for text in texts() {
            for step in STEPS {
                formats!(check!(&runtime, &text[..], step));
            }
        }
    }
}

#[test]
fn decoders_read_what_flate2_makes() {
    macro_rules! check {
        ($runtime:expr, $text:expr, $step:expr, $encoder:ident, $decoder:ident, $one:ident) => {
            let packed = all(flate2::read::$encoder::new($text, flate2::Compression::new(6))).unwrap();
            assert_eq!(in_steps(read::$decoder::new($runtime, Drip(&packed[..], $step)).unwrap(), $step), $text);
            assert_eq!(all(read::$one::new($runtime, &packed[..]).unwrap()).unwrap(), $text);
            let mut decoder = write::$decoder::new($runtime, trickle($step)).unwrap();
            for piece in packed.chunks($step) {
                decoder.write_all(piece).unwrap();
            }
            assert_eq!(decoder.finish().unwrap().taken, $text);
        };
    }
    for runtime in compressing() {
        for text in texts() {
            for step in STEPS {
                // A job of a device for each few bytes of a long text takes its time, and shows no more.
                if step < 1000 && text.len() > 5000 && runtime.device() == HISI_ZIP_SIMULATOR {
                    continue;
                }
                formats!(check!(&runtime, &text[..], step));
            }
        }
    }
}

#[test]
fn streams_that_end_early_are_an_unexpected_end() {
    macro_rules! check {
        ($runtime:expr, $text:expr, $encoder:ident, $decoder:ident, $one:ident) => {
            let packed = all(flate2::read::$encoder::new($text, flate2::Compression::new(6))).unwrap();
            let apart = if $runtime.device() == HISI_ZIP_SIMULATOR { 101 } else { 11 };
            for len in (0..packed.len()).step_by(apart) {
                let errors = [
                    all(read::$decoder::new($runtime, &packed[..len]).unwrap()).unwrap_err(),
                    all(read::$one::new($runtime, Drip(&packed[..len], 5)).unwrap()).unwrap_err(),
                    {
                        let mut decoder = write::$decoder::new($runtime, io::sink()).unwrap();
                        decoder.write_all(&packed[..len]).and_then(|()| decoder.finish()).unwrap_err()
                    },
                ];
                for error in errors {
                    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{len} bytes: {error}");
                    let ours = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
                    assert!(matches!(ours, Error::Truncated(_)));
                }
            }
        };
    }
    let text = prose(3000);
    for runtime in compressing() {
        formats!(check!(&runtime, &text[..]));
    }
}

#[test]
fn broken_streams_are_invalid_data() {
    macro_rules! check {
        ($runtime:expr, $broken:expr, $encoder:ident, $decoder:ident, $one:ident) => {
            let error = all(read::$decoder::new($runtime, $broken).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let error = all(read::$one::new($runtime, Drip($broken, 1)).unwrap()).unwrap_err();
            assert!(matches!(error.get_ref().unwrap().downcast_ref(), Some(Error::Corrupt(_))));
            let mut decoder = write::$decoder::new($runtime, io::sink()).unwrap();
            let error = decoder.write_all($broken).and_then(|()| decoder.finish()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        };
    }
    for runtime in compressing() {
        formats!(check!(&runtime, &[0xff; 100][..]));
    }
    // A checksum that is wrong shows only at the end.
    let runtime = software().build().unwrap();
    let mut packed = all(flate2::read::GzEncoder::new(&prose(5 << 20)[..], flate2::Compression::fast())).unwrap();
    let at = packed.len() - 6;
    packed[at] ^= 1;
    assert_eq!(all(read::GzDecoder::new(&runtime, &packed[..]).unwrap()).unwrap_err().kind(), ErrorKind::InvalidData);
}

#[test]
fn gzip_decoders_differ_in_how_many_members_they_read() {
    let member = |text: &[u8]| all(flate2::read::GzEncoder::new(text, flate2::Compression::new(6))).unwrap();
    let (a, b) = (prose(100_000), noise(70_000, 1));
    let members = [member(&a), member(b""), member(&b), vec![0; 512]].concat();
    let text = [&a[..], &b].concat();
    for runtime in compressing() {
        for step in STEPS {
            if step < 1000 && runtime.device() == HISI_ZIP_SIMULATOR {
                continue;
            }
            assert_eq!(all(read::GzDecoder::new(&runtime, Drip(&members[..], step)).unwrap()).unwrap(), a);
            assert_eq!(all(read::MultiGzDecoder::new(&runtime, Drip(&members[..], step)).unwrap()).unwrap(), text);
            let behind = [&members[..], b"garbage"].concat();
            let error = all(read::MultiGzDecoder::new(&runtime, Drip(&behind[..], step)).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
        let mut decoder = write::MultiGzDecoder::new(&runtime, Vec::new()).unwrap();
        decoder.write_all(&members).unwrap();
        assert_eq!(decoder.finish().unwrap(), text);
        let mut decoder = write::GzDecoder::new(&runtime, Vec::new()).unwrap();
        decoder.write_all(&member(&a)).unwrap();
        decoder.try_finish().unwrap();
        assert_eq!(decoder.write(b"behind").unwrap(), 0);
        assert_eq!(decoder.finish().unwrap(), a);
    }
}

#[test]
fn large_texts_are_packed_member_by_member_on_the_device() {
    let text = [prose(5 << 20), noise(1 << 20, 2)].concat();
    for (builder, chunk) in
        [(simulator(), usize::MAX), (simulator(), 100_000), (small(), usize::MAX), (software(), 1 << 20)]
    {
        let runtime = builder.fallback(Fallback::Never).build().unwrap();
        let packed = all(read::GzEncoder::with_chunk(&runtime, &text[..], 1, chunk).unwrap()).unwrap();
        let mut encoder = write::GzEncoder::with_chunk(&runtime, Vec::new(), 1, chunk).unwrap();
        encoder.write_all(&text).unwrap();
        assert!(encoder.finish().unwrap() == packed);
        assert!(all(flate2::read::MultiGzDecoder::new(&packed[..])).unwrap() == text);
        assert!(all(read::MultiGzDecoder::new(&runtime, &packed[..]).unwrap()).unwrap() == text);
        assert_eq!(runtime.counters().fallbacks, 0);
    }
}

#[test]
fn one_long_stream_goes_to_the_cpu_and_is_counted_once() {
    let text = prose(5 * SMALL);
    let runtime = small().build().unwrap();
    let counted = |what: &str, before: u64| {
        let after = runtime.counters().fallbacks;
        assert_eq!(after, before + 1, "{what}");
        after
    };
    let packed = all(read::ZlibEncoder::new(&runtime, &text[..], 6).unwrap()).unwrap();
    let count = counted("read encoder", 0);
    let mut encoder = write::DeflateEncoder::new(&runtime, Vec::new(), 6).unwrap();
    encoder.write_all(&text).unwrap();
    encoder.finish().unwrap();
    let count = counted("write encoder", count);
    assert_eq!(all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).unwrap(), text);
    let count = counted("read decoder", count);
    let mut decoder = write::ZlibDecoder::new(&runtime, Vec::new()).unwrap();
    decoder.write_all(&packed).unwrap();
    assert_eq!(decoder.finish().unwrap(), text);
    counted("write decoder", count);

    let never = small().fallback(Fallback::Never).build().unwrap();
    let too_large = |error: io::Error| {
        let ours = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert!(matches!(ours, Error::TooLarge { limit, .. } if *limit == SMALL as u64), "{ours}");
    };
    too_large(all(read::ZlibEncoder::new(&never, &text[..], 6).unwrap()).unwrap_err());
    too_large(write::ZlibEncoder::new(&never, Vec::new(), 6).unwrap().write_all(&text).unwrap_err());
    too_large(all(read::ZlibDecoder::new(&never, &packed[..]).unwrap()).unwrap_err());
    let mut decoder = write::ZlibDecoder::new(&never, Vec::new()).unwrap();
    too_large(decoder.write_all(&packed).and_then(|()| decoder.try_finish()).unwrap_err());
    // What is small is done by the device even if it comes in drops.
    let small_text = prose(1000);
    let packed = all(read::ZlibEncoder::new(&never, Drip(&small_text[..], 1), 6).unwrap()).unwrap();
    assert_eq!(all(read::ZlibDecoder::new(&never, Drip(&packed[..], 1)).unwrap()).unwrap(), small_text);
    assert_eq!(never.counters().fallbacks, 0);
}

#[test]
fn short_whole_streams_are_one_job() {
    let runtime = simulator().build().unwrap();
    let packed = all(read::ZlibEncoder::new(&runtime, &b"text"[..], 6).unwrap()).unwrap();
    assert_eq!(all(read::ZlibDecoder::new(&runtime, &packed[..]).unwrap()).unwrap(), b"text");
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (2, 0));
}

#[test]
fn a_decoder_gives_what_it_has_before_it_waits_for_more() {
    // Whoever reads on before the text of the first half was delivered would block for ever on a connection.
    struct Halves(Vec<Vec<u8>>);
    impl Read for Halves {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let next = self.0.pop().expect("asked for more before it gave what it had");
            room[..next.len()].copy_from_slice(&next);
            Ok(next.len())
        }
    }
    for runtime in compressing() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(b"first").unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        let mut decoder = read::ZlibDecoder::new(&runtime, Halves(vec![flushed])).unwrap();
        let mut room = [0; 5];
        decoder.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"first");
        let whole = encoder.finish().unwrap();
        let mut decoder = read::ZlibDecoder::new(&runtime, Halves(vec![whole])).unwrap();
        decoder.read_exact(&mut room).unwrap();
        assert_eq!(decoder.read(&mut room).unwrap(), 0);
    }
}

#[test]
fn flushed_gzip_can_be_read_so_far() {
    for runtime in compressing() {
        let mut encoder = write::GzEncoder::new(&runtime, Vec::new(), 6).unwrap();
        encoder.write_all(b"so far").unwrap();
        encoder.flush().unwrap();
        assert_eq!(all(flate2::read::MultiGzDecoder::new(&encoder.get_ref()[..])).unwrap(), b"so far");
        encoder.flush().unwrap();
        encoder.write_all(b", so good").unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(all(flate2::read::MultiGzDecoder::new(&packed[..])).unwrap(), b"so far, so good");

        let mut decoder = write::MultiGzDecoder::new(&runtime, Vec::new()).unwrap();
        decoder.write_all(&packed[..packed.len() - 1]).unwrap();
        decoder.flush().unwrap();
        assert_eq!(decoder.get_ref(), b"so far, so good");
        decoder.write_all(&packed[packed.len() - 1..]).unwrap();
        decoder.finish().unwrap();
    }
}

#[test]
fn dropping_an_encoder_finishes_it() {
    fn dropped<'a, E: Write>(packed: &'a mut Vec<u8>, encoder: impl FnOnce(&'a mut Vec<u8>) -> E) {
        encoder(packed).write_all(b"text").unwrap();
    }
    let runtime = software().build().unwrap();
    let (mut gzip, mut zlib) = (Vec::new(), Vec::new());
    dropped(&mut gzip, |packed| write::GzEncoder::new(&runtime, packed, 6).unwrap());
    dropped(&mut zlib, |packed| write::ZlibEncoder::new(&runtime, packed, 6).unwrap());
    assert_eq!(all(flate2::read::GzDecoder::new(&gzip[..])).unwrap(), b"text");
    assert_eq!(all(flate2::read::ZlibDecoder::new(&zlib[..])).unwrap(), b"text");
}

#[test]
fn nothing_is_lost_when_the_inner_writer_is_not_ready() {
    struct Reluctant(Vec<u8>, bool);
    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.0.push(bytes[0]);
            Ok(1)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let runtime = software().build().unwrap();
    let text = noise(3000, 3);
    let mut encoder = write::GzEncoder::with_chunk(&runtime, Reluctant(Vec::new(), false), 6, 1000).unwrap();
    let mut rest = &text[..];
    while !rest.is_empty() {
        match encoder.write(rest) {
            Ok(len) => rest = &rest[len..],
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    while let Err(error) = encoder.try_finish() {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    assert_eq!(encoder.write(b"more").unwrap(), 0);
    assert_eq!(all(flate2::read::MultiGzDecoder::new(&encoder.get_ref().0[..])).unwrap(), text);
}

#[test]
fn the_inner_reader_and_writer_can_be_reached() {
    let runtime = software().build().unwrap();
    let mut encoder = read::GzEncoder::new(&runtime, Cursor::new(b"text"), 6).unwrap();
    assert_eq!(encoder.get_ref().position(), 0);
    encoder.get_mut().set_position(2);
    let packed = all(&mut encoder).unwrap();
    assert_eq!(encoder.into_inner().position(), 4);
    let mut decoder = write::GzDecoder::new(&runtime, vec![b'>']).unwrap();
    decoder.get_mut().push(b' ');
    decoder.write_all(&packed).unwrap();
    assert_eq!(decoder.finish().unwrap(), b"> xt");
}

#[test]
fn adaptors_can_be_sent_to_another_thread() {
    fn sends<T: Send>() {}
    sends::<read::GzEncoder<Cursor<Vec<u8>>>>();
    sends::<read::MultiGzDecoder<Cursor<Vec<u8>>>>();
    sends::<write::ZlibEncoder<Vec<u8>>>();
    sends::<write::DeflateDecoder<Vec<u8>>>();
}
