//! A driver of HiSilicon's queues by hand: just enough to put entries into a ring and to read what became of them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

mod stream;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Entry, ListEntry, ListHead, Request, Results};
use uaccel_hisi_abi::{Description, Doorbell, DoorbellCommand, QueueCompletion, StopWords};
use uaccel_queue::{Bus as _, RegionKind, RingMemory, Transport};
use uaccel_sim::{HisiZip, HisiZipConfig, Plan, Simulator, ThreadHost, ThreadHostConfig};

pub use stream::Stream;

/// Long enough for anything but a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for something unwanted to happen, most of the time.
pub const MOMENT: Duration = Duration::from_millis(60);

pub fn device(plan: Plan) -> Arc<ThreadHost<HisiZip>> {
    device_with(HisiZipConfig::default(), plan)
}

pub fn device_with(config: HisiZipConfig, plan: Plan) -> Arc<ThreadHost<HisiZip>> {
    Simulator::hisi_zip(config, ThreadHostConfig::default(), plan).expect("the configuration is possible")
}

pub fn open(device: &ThreadHost<HisiZip>) -> Arc<dyn Transport> {
    device.open(&device.devices()[0].name).expect("two queues are free")
}

/// Both queues of a transport.
pub fn hands(transport: &Arc<dyn Transport>) -> [Hand; 2] {
    [COMPRESS, DECOMPRESS].map(|kind| Hand::new(transport, kind))
}

/// One hardware queue, driven by hand.
pub struct Hand {
    pub whole: Arc<dyn Transport>,
    pub part: Arc<dyn Transport>,
    pub ring: RingMemory,
    pub description: Description,
    /// Entries that were submitted, and completions that were seen.
    pub tail: u64,
    pub head: u64,
}

impl Hand {
    pub fn new(whole: &Arc<dyn Transport>, kind: u16) -> Self {
        let part = whole.parts()[usize::from(kind)].clone();
        let region = part.region(RegionKind::Description).expect("the device says what a queue is");
        let bytes: Vec<u8> = (0..Description::SIZE).map(|at| region.read8(at)).collect();
        let description = Description::decode(&bytes).unwrap();
        assert_eq!(description.kind, kind);
        let ring = part.ring_memory(1).unwrap();
        assert_eq!(ring.len(), description.dus.size(4096));
        Self { whole: whole.clone(), part, ring, description, tail: 0, head: 0 }
    }

    pub fn submission_place(&self, count: u64) -> u16 {
        u16::try_from(count % u64::from(self.description.dus.submissions)).unwrap()
    }

    pub fn completion_place(&self, count: u64) -> u16 {
        u16::try_from(count % u64::from(self.description.dus.completions)).unwrap()
    }

    /// Puts an entry into the ring.
    pub fn put(&mut self, entry: &Entry) {
        self.put_words(&entry.encode());
    }

    pub fn put_words(&mut self, words: &[u64; Entry::WORDS]) {
        let at = self.description.dus.submission(self.submission_place(self.tail));
        words.iter().zip((at..).step_by(8)).for_each(|(word, at)| self.ring.write(at, *word));
        self.tail += 1;
    }

    /// Announces what was put.
    pub fn ring(&self) {
        self.doorbell(DoorbellCommand::Submission, self.submission_place(self.tail), 0);
    }

    pub fn submit(&mut self, entry: &Entry) {
        self.put(entry);
        self.ring();
    }

    pub fn doorbell(&self, command: DoorbellCommand, index: u16, priority: u16) {
        self.knock(Doorbell { queue: self.description.queue, command, index, priority });
    }

    pub fn knock(&self, doorbell: Doorbell) {
        self.part.ring_doorbell(Doorbell::OFFSET, doorbell.encode());
    }

    /// The next completion and what it says, if there is one.
    pub fn poll_raw(&mut self) -> Option<QueueCompletion> {
        let at = self.description.dus.completion(self.completion_place(self.head));
        let completion = QueueCompletion::decode(self.ring.observe(at + QueueCompletion::CONTROL));
        let expected = (self.head / u64::from(self.description.dus.completions)).is_multiple_of(2);
        if completion.phase != expected {
            return None;
        }
        self.head += 1;
        Some(completion)
    }

    /// Says what was taken.
    pub fn take(&self) {
        self.doorbell(DoorbellCommand::Completion, self.completion_place(self.head), 0);
    }

    pub fn arm(&self) {
        self.doorbell(DoorbellCommand::Completion, self.completion_place(self.head), Doorbell::ARM);
    }

    pub fn results(&self, place: u16) -> Results {
        let at = self.description.dus.submission(place);
        Results::decode([self.ring.read(at), self.ring.read(at + 8)])
    }

    /// The next answer: place and results. Takes it.
    pub fn answer(&mut self) -> (u16, Results) {
        let completion = self.wait();
        assert_eq!(completion.queue, self.description.queue);
        let results = self.results(completion.entry);
        self.take();
        (completion.entry, results)
    }

    pub fn wait(&mut self) -> QueueCompletion {
        let begun = Instant::now();
        loop {
            if let Some(completion) = self.poll_raw() {
                return completion;
            }
            assert!(begun.elapsed() < PATIENCE, "no answer to entry {}", self.head);
            std::thread::yield_now();
        }
    }

    /// One job from submission to answer.
    pub fn run(&mut self, entry: &Entry) -> Results {
        let place = self.submission_place(self.tail);
        self.submit(entry);
        let (answered, results) = self.answer();
        assert_eq!(answered, place, "answers come in order");
        results
    }

    /// One job over buffers: results and what was written.
    pub fn transform(&mut self, request: Request, source: &[u8], room: usize) -> (Results, Vec<u8>) {
        let mut destination = vec![0xaa; room];
        let results = self.run(&entry(request, source, &mut destination));
        destination.truncate(usize::try_from(results.produced).unwrap());
        (results, destination)
    }

    pub fn stop_words(&self) -> StopWords {
        StopWords::decode(self.ring.read(self.ring.len() - StopWords::FROM_END))
    }
}

/// One list of up to 255 pieces.
pub struct List(Vec<u8>);

impl List {
    /// A list of nothing.
    pub fn new() -> Self {
        Self(vec![0; 64 + ListHead::SIZE + 256 * ListEntry::SIZE])
    }

    /// Where it is.
    pub fn at(&self) -> u64 {
        (self.0.as_ptr().expose_provenance() as u64).next_multiple_of(ListHead::ALIGN)
    }

    pub fn set_head(&self, head: &ListHead) {
        self.write(0, &head.encode());
    }

    pub fn set_entry(&self, index: usize, entry: &ListEntry) {
        self.write(ListHead::SIZE + index * ListEntry::SIZE, &entry.encode());
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        let at = std::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(self.at()).unwrap() + offset);
        // SAFETY: inside the list's memory, which nobody has a reference to.
        unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

/// Bytes in pieces, in a chain of lists with some empty pieces and an empty list in it.
pub struct Chain {
    lists: Vec<List>,
    pieces: Vec<Vec<u8>>,
}

impl Chain {
    /// A copy of these bytes in so many pieces.
    pub fn over(bytes: &[u8], pieces: usize) -> Self {
        let size = bytes.len().div_ceil(pieces).max(1);
        let pieces: Vec<Vec<u8>> = bytes.chunks(size).map(<[u8]>::to_vec).collect();
        let lists: Vec<List> = (0..pieces.len().div_ceil(100) + 1).map(|_| List::new()).collect();
        for (index, list) in lists.iter().enumerate() {
            let next = lists.get(index + 1).map_or(0, List::at);
            // The second list holds nothing.
            let part = match index {
                0 => pieces.chunks(100).next(),
                1 => None,
                _ => pieces.chunks(100).nth(index - 1),
            };
            let part = part.unwrap_or_default();
            let entries = u16::try_from(2 * part.len()).unwrap();
            list.set_head(&ListHead { next, chain: u16::try_from(pieces.len()).unwrap(), entries, room: 200 });
            for (at, piece) in part.iter().enumerate() {
                let address = piece.as_ptr().expose_provenance() as u64;
                list.set_entry(2 * at, &ListEntry { address: 0, len: 0 });
                list.set_entry(2 * at + 1, &ListEntry { address, len: u32::try_from(piece.len()).unwrap() });
            }
        }
        Self { lists, pieces }
    }

    /// Where its first list is.
    pub fn at(&self) -> u64 {
        self.lists[0].at()
    }

    /// What stands in the pieces.
    pub fn bytes(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

/// An entry over buffers, which must outlast the job.
pub fn entry(request: Request, source: &[u8], destination: &mut [u8]) -> Entry {
    let address = |pointer: *const u8| pointer.expose_provenance() as u64;
    Entry::whole(
        request,
        address(source.as_ptr()),
        u32::try_from(source.len()).unwrap(),
        address(destination.as_mut_ptr()),
        u32::try_from(destination.len()).unwrap(),
    )
}

/// Text that compresses, and differs from place to place.
pub fn text(len: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|line| format!("line {line}, {}\n", line.wrapping_mul(2_654_435_761) % 977).into_bytes())
        .take(len)
        .collect()
}

/// Bytes that do not compress.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

/// The header that the host writes.
pub fn header(request: Request) -> &'static [u8] {
    match request {
        Request::Zlib => &[0x78, 0x9c],
        Request::Gzip => &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        _ => &[],
    }
}

/// Another library's opinion of a stream: header and body.
pub fn inflate(request: Request, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let stream = [header(request), body].concat();
    let mut text = Vec::new();
    match request {
        Request::Zlib => flate2::read::ZlibDecoder::new(&stream[..]).read_to_end(&mut text)?,
        Request::Gzip => flate2::read::GzDecoder::new(&stream[..]).read_to_end(&mut text)?,
        _ => flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut text)?,
    };
    Ok(text)
}

/// Another library's stream, without its header.
pub fn deflate(request: Request, text: &[u8]) -> Vec<u8> {
    let level = Compression::new(6);
    match request {
        Request::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap().split_off(2)
        }
        Request::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap().split_off(10)
        }
        _ => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
    }
}
