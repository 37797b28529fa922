//! The submission entry (`zip.h`: `struct hisi_zip_sqe`; UADK: `drv/hisi_comp.c`).

use super::{Ended, Request};

/// What a job's addresses point to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Buffers {
    /// The bytes themselves.
    #[default]
    Flat,
    /// A [list](super::ListHead) of pieces; how many bytes of the first ones to leave out, below 2^24.
    Listed {
        /// Bytes of the source to leave out.
        source_skip: u32,
        /// Bytes of the destination to leave out.
        destination_skip: u32,
    },
}

/// Where a job stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Whether this is the end of the stream, rather than a piece after which more may follow.
    pub finish: bool,
    /// Whether there is state from job to job.
    pub stateful: bool,
    /// Whether this is the first piece.
    pub new_stream: bool,
}

impl Flow {
    /// A stream in one job.
    pub const WHOLE: Self = Self { finish: true, stateful: false, new_stream: true };
}

/// A submission entry of type 3, as the host writes it: 128 bytes, 32 dwords.
///
/// | dword | bytes | who | field |
/// | --- | --- | --- | --- |
/// | 0 | 0x00 | device | bytes consumed |
/// | 1 | 0x04 | device | bytes produced |
/// | 2 | 0x08 | device | compressed length |
/// | 3 | 0x0c | device | how it [ended](Ended) |
/// | 4 | 0x10 | host | bytes of the source |
/// | 7 | 0x1c | host | 23:0 source skip; 25 finish; 26 stateful; 27 new stream; 31:28 type of the entry |
/// | 8 | 0x20 | host | 23:0 destination skip |
/// | 9 | 0x24 | host | 7:0 [request](Request); 11:8 buffers: 0 flat, 1 listed; 15:12 window |
/// | 14 | 0x38 | host | room of the destination |
/// | 15 | 0x3c | both | word 0 of the stream's context |
/// | 18, 19 | 0x48 | host | source |
/// | 20, 21 | 0x50 | host | destination |
/// | 22, 23 | 0x58 | both | the stream's context buffer |
/// | 24, 25 | 0x60 | host | literals, of requests that part them |
/// | 26 | 0x68 | host | tag, given back |
/// | 28, 29 | 0x70 | both | words 1 and 2 of the stream's context |
/// | 30 | 0x78 | both | running length, of gzip |
/// | 31 | 0x7c | both | running checksum |
///
/// What is not in the table is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What is asked for.
    pub request: Request,
    /// What the addresses point to.
    pub buffers: Buffers,
    /// The code of the window, 0 to 4: its place in [`WINDOWS`](super::WINDOWS).
    pub window: u8,
    /// Where the job stands in its stream.
    pub flow: Flow,
    /// The source's address.
    pub source: u64,
    /// Bytes of the source.
    pub source_len: u32,
    /// The destination's address.
    pub destination: u64,
    /// Its room in bytes.
    pub destination_len: u32,
    /// The stream's context buffer; 0 without state.
    pub context: u64,
    /// Words 0 to 2 of the stream's context.
    pub context_words: [u32; 3],
    /// The running length.
    pub running_len: u32,
    /// The running checksum.
    pub checksum: u32,
    /// The job's name.
    pub tag: u32,
}

/// Why an entry makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// It is not of type 3.
    #[error("entry of type {0}")]
    Type(u8),
    /// There is no such request.
    #[error("unknown request {0:#x}")]
    Request(u8),
    /// There are no such buffers.
    #[error("unknown kind of buffers {0}")]
    Buffers(u8),
    /// There is no such window.
    #[error("unknown window {0}")]
    Window(u8),
}

/// What the device writes into an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Results {
    /// Bytes of the source that were used.
    pub consumed: u32,
    /// Bytes that were written.
    pub produced: u32,
    /// How it ended.
    pub ended: Ended,
}

impl Entry {
    /// Bytes of an entry.
    pub const SIZE: usize = 128;
    /// Words of an entry.
    pub const WORDS: usize = Self::SIZE / 8;
    /// The word of the tag.
    pub const TAG: usize = 0x68 / 8;
    /// The type of entries of hardware version 3.
    pub const TYPE: u8 = 3;
    /// The largest window, 32 KiB.
    pub const LARGEST_WINDOW: u8 = 4;
    const SKIP: u32 = 0xff_ffff;
    const FINISH: u32 = 1 << 25;
    const STATEFUL: u32 = 1 << 26;
    const NEW_STREAM: u32 = 1 << 27;

    /// A stream in one job, with flat buffers and the largest window.
    #[must_use]
    pub const fn whole(request: Request, source: u64, source_len: u32, destination: u64, destination_len: u32) -> Self {
        Self {
            request,
            buffers: Buffers::Flat,
            window: Self::LARGEST_WINDOW,
            flow: Flow::WHOLE,
            source,
            source_len,
            destination,
            destination_len,
            context: 0,
            context_words: [0; 3],
            running_len: 0,
            checksum: 0,
            tag: 0,
        }
    }

    /// The entry's words.
    #[inline]
    #[must_use]
    pub const fn encode(&self) -> [u64; Self::WORDS] {
        let (buffers, source_skip, destination_skip) = match self.buffers {
            Buffers::Flat => (0, 0, 0),
            Buffers::Listed { source_skip, destination_skip } => (1, source_skip, destination_skip),
        };
        let flow = mask(self.flow.finish, Self::FINISH)
            | mask(self.flow.stateful, Self::STATEFUL)
            | mask(self.flow.new_stream, Self::NEW_STREAM);
        let mut words = [0; Self::WORDS];
        words[2] = self.source_len as u64;
        words[3] = pair(0, source_skip & Self::SKIP | flow | (Self::TYPE as u32) << 28);
        let request = self.request as u32 | buffers << 8 | (self.window as u32 & 0xf) << 12;
        words[4] = pair(destination_skip & Self::SKIP, request);
        words[7] = pair(self.destination_len, self.context_words[0]);
        words[9] = self.source;
        words[10] = self.destination;
        words[11] = self.context;
        words[Self::TAG] = self.tag as u64;
        words[14] = pair(self.context_words[1], self.context_words[2]);
        words[15] = pair(self.running_len, self.checksum);
        words
    }

    /// Reads an entry's words.
    ///
    /// # Errors
    /// See [`EntryError`].
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub const fn decode(words: &[u64; Self::WORDS]) -> Result<Self, EntryError> {
        let (control, kind) = (high(words[3]), high(words[4]));
        if control >> 28 != Self::TYPE as u32 {
            return Err(EntryError::Type((control >> 28) as u8));
        }
        let Some(request) = Request::from_raw(kind as u8) else { return Err(EntryError::Request(kind as u8)) };
        let buffers = match kind >> 8 & 0xf {
            0 => Buffers::Flat,
            1 => Buffers::Listed { source_skip: control & Self::SKIP, destination_skip: words[4] as u32 & Self::SKIP },
            other => return Err(EntryError::Buffers(other as u8)),
        };
        let window = (kind >> 12 & 0xf) as u8;
        if window > Self::LARGEST_WINDOW {
            return Err(EntryError::Window(window));
        }
        let flow = Flow {
            finish: control & Self::FINISH != 0,
            stateful: control & Self::STATEFUL != 0,
            new_stream: control & Self::NEW_STREAM != 0,
        };
        Ok(Self {
            request,
            buffers,
            window,
            flow,
            source: words[9],
            source_len: words[2] as u32,
            destination: words[10],
            destination_len: words[7] as u32,
            context: words[11],
            context_words: [high(words[7]), words[14] as u32, high(words[14])],
            running_len: words[15] as u32,
            checksum: high(words[15]),
            tag: Self::tag_of(words),
        })
    }

    /// The tag of an entry, whatever else is in it.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "the tag is the low half of its word")]
    pub const fn tag_of(words: &[u64; Self::WORDS]) -> u32 {
        words[Self::TAG] as u32
    }
}

/// What the device writes into the entry of a stream besides. Of a stream in one job, length and checksum only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Carried {
    /// Words 0 to 2 of the context.
    pub context_words: [u32; 3],
    /// The running length.
    pub running_len: u32,
    /// The running checksum.
    pub checksum: u32,
}

impl Carried {
    /// The entry's words that have what is carried.
    pub const WORDS: [usize; 3] = [7, 14, 15];

    /// Reads [these](Self::WORDS) words of an entry.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub const fn decode(words: [u64; 3]) -> Self {
        let [first, others, sums] = words;
        Self {
            context_words: [high(first), others as u32, high(others)],
            running_len: sums as u32,
            checksum: high(sums),
        }
    }

    /// The entry's words that have them, and which ones they are. The room of the destination shares a word with them.
    #[must_use]
    pub const fn encode(self, destination_len: u32) -> [(usize, u64); 3] {
        let [first, second, third] = self.context_words;
        [(7, pair(destination_len, first)), (14, pair(second, third)), self.sums()]
    }

    /// The entry's word that has length and checksum, and which one it is.
    #[must_use]
    pub const fn sums(self) -> (usize, u64) {
        (15, pair(self.running_len, self.checksum))
    }
}

impl Results {
    /// The entry's first two words; the compressed length is what was produced.
    #[must_use]
    pub const fn encode(self) -> [u64; 2] {
        [pair(self.consumed, self.produced), pair(self.produced, self.ended.encode())]
    }

    /// Reads the entry's first two words.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "fields are cut out of words by design")]
    pub const fn decode(words: [u64; 2]) -> Self {
        Self { consumed: words[0] as u32, produced: high(words[0]), ended: Ended::decode(high(words[1])) }
    }
}

/// The bits, if they are to be set.
const fn mask(set: bool, bits: u32) -> u32 {
    if set { bits } else { 0 }
}

/// Two dwords in a word.
const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// The high dword of a word.
#[allow(clippy::cast_possible_truncation, reason = "the high half")]
const fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

const _: () = {
    assert!(Entry::WORDS * 8 == Entry::SIZE);
    assert!(Entry::TAG * 8 == 0x68);
    let [first, others, sums] = Carried::WORDS;
    assert!(first * 8 == 0x38 && others * 8 == 0x70 && sums * 8 == 0x78);
};
