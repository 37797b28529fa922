//! The reading and writing adaptors on the CPU: whatever the pieces, the text comes back; whatever the stream, nothing panics and both
//! directions agree.
#![no_main]

use std::io::{self, Read, Write};

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use uaccel::{Level, Runtime, read, write};
use uaccel_fuzz::text::{Damage, Pieces, Text};

/// The longest text.
const MOST: usize = 1 << 17;

/// What is read of a damaged stream at most: a few damaged bytes can stand for gigabytes.
const BOMB: usize = 1 << 20;

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Format {
    Deflate,
    Zlib,
    Gzip,
    /// Gzip with members of this length.
    Members(u16),
}

#[derive(Debug)]
struct Case {
    format: Format,
    level: u8,
    /// Whether the text is packed by the adaptor that reads.
    reading: bool,
    flushes: u8,
    pieces: Pieces,
    /// Lengths in which inner readers and writers take and give.
    inner: Pieces,
    damage: Damage,
    text: Text,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self {
            format: u.arbitrary()?,
            level: u.int_in_range(0..=9)?,
            reading: u.arbitrary()?,
            flushes: u.arbitrary()?,
            pieces: u.arbitrary()?,
            inner: u.arbitrary()?,
            damage: Damage::rarely(u)?,
            text: u.arbitrary()?,
        })
    }
}

/// An inner reader or writer that takes its time: so many bytes per call, and now and then none.
#[derive(Debug)]
struct Slow<T> {
    inner: T,
    pieces: Pieces,
    interrupted: bool,
}

impl<T> Slow<T> {
    fn new(inner: T, pieces: &Pieces) -> Self {
        Self { inner, pieces: pieces.clone(), interrupted: false }
    }

    fn advance(&mut self, len: usize) -> io::Result<usize> {
        let piece = self.pieces.advance();
        self.interrupted = !self.interrupted && piece % 5 == 2;
        if self.interrupted { Err(io::ErrorKind::Interrupted.into()) } else { Ok(piece.min(len)) }
    }
}

impl Read for Slow<&[u8]> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.advance(room.len())?;
        self.inner.read(&mut room[..len])
    }
}

impl Write for Slow<Vec<u8>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.advance(bytes.len())?;
        self.inner.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads to the end, in pieces, or to the first error, or until it is too much.
fn drain(mut reader: impl Read, mut pieces: Pieces) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let mut room = vec![0; 0x2_0000];
    loop {
        match reader.read(&mut room[..pieces.advance()]) {
            Ok(0) => return (bytes, Ok(())),
            Ok(len) => bytes.extend_from_slice(&room[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (bytes, Err(error)),
        }
        if bytes.len() > BOMB {
            return (bytes, Ok(()));
        }
    }
}

/// Writes all in pieces, with a flush now and then. An adaptor takes nothing behind the end of its stream: then the rest is left.
fn pour(writer: &mut impl Write, mut bytes: &[u8], mut pieces: Pieces, flushes: u8) -> io::Result<()> {
    let mut count = 0_u8;
    while !bytes.is_empty() {
        let len = pieces.advance().min(bytes.len());
        match writer.write(&bytes[..len]) {
            Ok(0) => break,
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        count = count.wrapping_add(1);
        if flushes & 7 != 0 && count.is_multiple_of(flushes) {
            patiently(|| writer.flush())?;
        }
    }
    Ok(())
}

/// Repeats what was interrupted, as the adaptors say it can be.
fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn pack(runtime: &Runtime, case: &Case, text: &[u8]) -> Vec<u8> {
    let level = Level::from(case.level);
    macro_rules! read_all {
        ($adaptor:expr) => {{
            let (packed, result) = drain($adaptor.expect("a session"), case.pieces.clone());
            result.expect("nothing is wrong with the text");
            packed
        }};
    }
    macro_rules! write_all {
        ($adaptor:expr) => {{
            let mut adaptor = $adaptor.expect("a session");
            pour(&mut adaptor, text, case.pieces.clone(), case.flushes).expect("nothing is wrong with the text");
            patiently(|| adaptor.try_finish()).expect("nothing is wrong with the text");
            adaptor.finish().expect("it is finished").inner
        }};
    }
    let source = || Slow::new(text, &case.inner);
    let sink = || Slow::new(Vec::new(), &case.inner);
    match (case.format, case.reading) {
        (Format::Deflate, true) => read_all!(read::DeflateEncoder::new(runtime, source(), level)),
        (Format::Zlib, true) => read_all!(read::ZlibEncoder::new(runtime, source(), level)),
        (Format::Gzip, true) => read_all!(read::GzEncoder::new(runtime, source(), level)),
        (Format::Members(chunk), true) => {
            read_all!(read::GzEncoder::with_chunk(runtime, source(), level, usize::from(chunk).max(64)))
        }
        (Format::Deflate, false) => write_all!(write::DeflateEncoder::new(runtime, sink(), level)),
        (Format::Zlib, false) => write_all!(write::ZlibEncoder::new(runtime, sink(), level)),
        (Format::Gzip, false) => write_all!(write::GzEncoder::new(runtime, sink(), level)),
        (Format::Members(chunk), false) => {
            write_all!(write::GzEncoder::with_chunk(runtime, sink(), level, usize::from(chunk).max(64)))
        }
    }
}

fn unpack_reading(runtime: &Runtime, case: &Case, packed: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let source = Slow::new(packed, &case.inner);
    let pieces = case.pieces.clone();
    match case.format {
        Format::Deflate => drain(read::DeflateDecoder::new(runtime, source).expect("a session"), pieces),
        Format::Zlib => drain(read::ZlibDecoder::new(runtime, source).expect("a session"), pieces),
        Format::Gzip | Format::Members(_) => {
            drain(read::MultiGzDecoder::new(runtime, source).expect("a session"), pieces)
        }
    }
}

fn unpack_writing(runtime: &Runtime, case: &Case, packed: &[u8]) -> (Vec<u8>, io::Result<()>) {
    macro_rules! write_all {
        ($adaptor:expr) => {{
            let mut adaptor = $adaptor.expect("a session");
            let result = pour(&mut adaptor, packed, case.pieces.clone(), case.flushes)
                .and_then(|()| patiently(|| adaptor.try_finish()));
            (std::mem::take(&mut adaptor.get_mut().inner), result)
        }};
    }
    let sink = Slow::new(Vec::new(), &case.inner);
    match case.format {
        Format::Deflate => write_all!(write::DeflateDecoder::new(runtime, sink)),
        Format::Zlib => write_all!(write::ZlibDecoder::new(runtime, sink)),
        Format::Gzip | Format::Members(_) => write_all!(write::MultiGzDecoder::new(runtime, sink)),
    }
}

thread_local! {
    static RUNTIME: Runtime = Runtime::builder().device("software").build().expect("the CPU is always there");
}

fuzz_target!(|case: Case| {
    RUNTIME.with(|runtime| {
        let text = case.text.bytes(MOST);
        let whole = pack(runtime, &case, &text);
        let mut packed = whole.clone();
        case.damage.strike(&mut packed);

        let (read, read_result) = unpack_reading(runtime, &case, &packed);
        if packed == whole {
            let (written, write_result) = unpack_writing(runtime, &case, &packed);
            read_result.expect("the stream is whole");
            write_result.expect("the stream is whole");
            assert!(read == text && written == text, "another text came back");
        } else if packed.len() < 0x400 {
            // A writer cannot be told to stop, so only what cannot grow much is written.
            let (written, write_result) = unpack_writing(runtime, &case, &packed);
            if read.len() <= BOMB {
                assert_eq!(read_result.is_ok(), write_result.is_ok(), "{read_result:?}, {write_result:?}");
                assert!(read_result.is_err() || read == written, "reading and writing disagree");
            }
        }
    });
});
