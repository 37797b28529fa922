//! An honest engine's streams. All that it knows of one stands in the stream's state and in the entry.

use std::{ptr, slice};

use uaccel_hisi_abi::zip::stream::{LEN, WINDOW, gzip_crc, gzip_register};
use uaccel_hisi_abi::zip::{Buffers, COMPRESS, Carried, Ended, Entry, Request, Results, Status as Engine, WINDOWS};
use uaccel_units::Scratch;
use uaccel_units::plain::{adler32, crc32};
use uaccel_units::stream::State;
use uaccel_units::stream::pieces::{self, InflateState};

/// Where in the context the part of the trailer is that was read: how much, and what.
const TRAILER: usize = 512;

/// Does what an entry asks for. Its memory is vouched for.
pub(crate) fn work(kind: u16, entry: &Entry) -> (Results, Carried) {
    assert_eq!(entry.buffers, Buffers::Flat, "streams have no lists");
    assert_eq!(entry.context % 64, 0, "aligned");
    assert_ne!(entry.source, 0, "an address, even if nothing is there");
    let address = |address: u64| ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the memory of a job in flight, which is vouched for.
    let (context, source, room) = unsafe {
        (
            slice::from_raw_parts_mut(address(entry.context), LEN),
            slice::from_raw_parts(address(entry.source).cast_const(), entry.source_len as usize).to_vec(),
            slice::from_raw_parts_mut(address(entry.destination), entry.destination_len as usize),
        )
    };
    let mut stream = Stream::of(entry, context);
    let results =
        if kind == COMPRESS { stream.compress(entry, &source, room) } else { stream.decompress(&source, room) };
    (results, stream.leave(context))
}

struct Stream {
    request: Request,
    window: Vec<u8>,
    inflate: InflateState,
    trailer: Vec<u8>,
    len: u32,
    sum: u32,
}

impl Stream {
    fn of(entry: &Entry, context: &[u8]) -> Self {
        let request = entry.request;
        if entry.flow.new_stream {
            let sum = u32::from(request == Request::Zlib);
            return Self { request, window: vec![], inflate: InflateState::new(), trailer: vec![], len: 0, sum };
        }
        let [word, _, window] = entry.context_words;
        assert_eq!(word, 0x400, "the words of the job before");
        Self {
            request,
            window: context[WINDOW..][..window as usize].to_vec(),
            inflate: InflateState::decode(context.first_chunk().expect("as long")).expect("our own"),
            trailer: context[TRAILER + 1..][..context[TRAILER].into()].to_vec(),
            len: entry.running_len,
            sum: if request == Request::Gzip { gzip_crc(entry.checksum) } else { entry.checksum },
        }
    }

    fn leave(&self, context: &mut [u8]) -> Carried {
        context[..InflateState::SIZE].copy_from_slice(&self.inflate.encode());
        context[TRAILER] = self.trailer.len() as u8;
        context[TRAILER + 1..][..self.trailer.len()].copy_from_slice(&self.trailer);
        context[WINDOW..][..self.window.len()].copy_from_slice(&self.window);
        Carried {
            context_words: [0x400, 0, self.window.len() as u32],
            running_len: self.len,
            checksum: if self.request == Request::Gzip { gzip_register(self.sum) } else { self.sum },
        }
    }

    fn took(&mut self, text: &[u8]) {
        self.len = self.len.wrapping_add(text.len() as u32);
        match self.request {
            Request::Zlib => self.sum = adler32(self.sum, text),
            Request::Gzip => self.sum = crc32(self.sum, text),
            _ => {}
        }
        self.window.extend_from_slice(text);
        self.window.drain(..self.window.len().saturating_sub(pieces::WINDOW));
    }

    fn trailer(&self) -> Vec<u8> {
        match self.request {
            Request::Zlib => self.sum.to_be_bytes().to_vec(),
            Request::Gzip => [self.sum.to_le_bytes(), self.len.to_le_bytes()].concat(),
            _ => vec![],
        }
    }

    fn compress(&mut self, entry: &Entry, source: &[u8], room: &mut [u8]) -> Results {
        // UADK's conditions: something to compress, 200 bytes, 9/8 of the source.
        assert!(!source.is_empty() && room.len() >= 200 && room.len() as u64 * 8 >= source.len() as u64 * 9);
        let finish = entry.flow.finish;
        let limit = WINDOWS[usize::from(entry.window)];
        let made = pieces::deflate(&mut Scratch::default(), limit, &self.window, source, room, finish);
        let made = made.expect("room enough");
        self.took(source);
        let trailer = if finish { self.trailer() } else { vec![] };
        room[made..][..trailer.len()].copy_from_slice(&trailer);
        let produced = (made + trailer.len()) as u32;
        Results { consumed: source.len() as u32, produced, ended: Ended::new(Engine::Ok, false) }
    }

    fn decompress(&mut self, source: &[u8], room: &mut [u8]) -> Results {
        let failed = Results { consumed: 0, produced: 0, ended: Ended::new(Engine::Corrupt, false) };
        let (mut consumed, mut produced) = (0, 0);
        if !self.inflate.is_at_end() {
            let Ok(step) = self.inflate.process(&self.window, source, room) else { return failed };
            (consumed, produced) = (step.consumed, step.produced);
            self.took(&room[..produced]);
            if step.state != State::End {
                let ended = Ended::new(Engine::Ok, false);
                return Results { consumed: consumed as u32, produced: produced as u32, ended };
            }
        }
        let expected = self.trailer();
        let taken = (expected.len() - self.trailer.len()).min(source.len() - consumed);
        self.trailer.extend_from_slice(&source[consumed..][..taken]);
        consumed += taken;
        let over = self.trailer.len() == expected.len();
        if over && self.trailer != expected {
            return failed;
        }
        let ended = if over { Ended::new(Engine::StreamEnd, true) } else { Ended::new(Engine::Ok, false) };
        Results { consumed: consumed as u32, produced: produced as u32, ended }
    }
}
