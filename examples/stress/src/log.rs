//! The history of one thread, in files that outlive the process.
//!
//! A file is mapped shared, so what was stored is there even if the process dies at the next instruction. A thread fills one
//! segment after the other, and changes over only while none of its jobs is open, so each segment can be checked for itself.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::clock;
use crate::record::{Entry, Record, SIZE, WORDS};

/// Records of a segment.
const CAPACITY: usize = 1 << 17;
/// Records that are left when a thread is asked to change over: enough for all that it may have open.
const RESERVE: usize = 1 << 12;
/// Bytes before the first record.
const HEADER: usize = 64;

/// Words of the header.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
enum Field {
    Magic = 0,
    State = 1,
    /// When the thread last did something.
    Alive = 2,
    /// Bytes that were leaked because a job was lost.
    Leaked = 3,
}

/// `uacceLOG`.
const MAGIC: u64 = u64::from_le_bytes(*b"uacceLOG");

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum State {
    /// It does not, yet.
    Open = 0,
    /// With no job open.
    Sealed = 1,
    /// With the process's image: it became another program.
    Replaced = 2,
}

/// Whose history, and which part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The process, as it is numbered in the run.
    pub process: u32,
    /// How often it was started before.
    pub life: u32,
    /// The thread.
    pub thread: u32,
    /// The part.
    pub segment: u32,
}

impl Name {
    /// The file's name.
    #[must_use]
    pub fn file(&self) -> String {
        let Self { process, life, thread, segment } = self;
        format!("history-{process}-{life}-{thread}-{segment}")
    }

    /// Whose history a file is, if it is one.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("history-")?.split('-').map(str::parse);
        let mut next = || parts.next()?.ok();
        let name = Self { process: next()?, life: next()?, thread: next()?, segment: next()? };
        parts.next().is_none().then_some(name)
    }
}

/// A history that is being written.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    name: Name,
    file: Arc<Segment>,
    used: usize,
    serial: u64,
}

impl Log {
    /// Begins the history of a thread.
    ///
    /// # Errors
    /// If its file cannot be made.
    pub fn create(folder: &Path, name: Name) -> io::Result<Self> {
        let file = Arc::new(Segment::create(&folder.join(name.file()))?);
        Ok(Self { folder: folder.to_owned(), name, file, used: 0, serial: 0 })
    }

    /// Notes that a job is about to be submitted, and numbers it.
    pub fn submitted(&mut self, entry: Entry) -> u64 {
        self.serial += 1;
        self.note(self.serial, entry);
        self.serial
    }

    /// Notes something about a job.
    pub fn note(&mut self, serial: u64, entry: Entry) {
        let at = clock::now();
        self.file.set(Field::Alive, at);
        // A thread that is asked in time never gets there; if it did, the gap would be found.
        if self.used < CAPACITY {
            self.file.write(self.used, Record { serial, at, entry }.encode(self.used));
            self.used += 1;
        }
    }

    /// Says that the thread lives, though it has nothing to note.
    pub fn alive(&self) {
        self.file.set(Field::Alive, clock::now());
    }

    /// Notes bytes that were leaked on purpose.
    pub fn leaked(&mut self, bytes: u64) {
        self.file.set(Field::Leaked, self.file.get(Field::Leaked) + bytes);
    }

    /// Whether the thread should end what it has open and then [`turn`](Self::turn).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used + RESERVE > CAPACITY
    }

    /// Goes on in a new segment. No job is open.
    ///
    /// # Errors
    /// If its file cannot be made.
    pub fn turn(&mut self) -> io::Result<()> {
        let name = Name { segment: self.name.segment + 1, ..self.name };
        let file = Arc::new(Segment::create(&self.folder.join(name.file()))?);
        file.set(Field::Leaked, self.file.get(Field::Leaked));
        self.file.set(Field::State, State::Sealed as u64);
        (self.name, self.file, self.used) = (name, file, 0);
        Ok(())
    }

    /// Ends the history.
    pub fn end(&mut self, state: State) {
        self.file.set(Field::State, state as u64);
    }
}

/// What is in a file of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// How it ends.
    pub state: State,
    /// Its records.
    pub records: Vec<Record>,
    /// Whether something that is no record stands behind them: one that was not written to its end, unless there is more.
    pub torn: bool,
    /// When its thread last did something.
    pub alive: u64,
    /// Bytes that were leaked because a job was lost.
    pub leaked: u64,
}

impl History {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn read(path: &Path) -> io::Result<Self> {
        let glance = Self::glance(path)?;
        let file = Segment::open(path)?;
        let records: Vec<_> = (0..CAPACITY).map_while(|place| Record::decode(file.read(place), place)).collect();
        let torn = records.len() < CAPACITY && file.read(records.len()) != [0; WORDS];
        Ok(Self { records, torn, ..glance })
    }

    /// Reads all but the records: what can be asked of a history while it is being written.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub fn glance(path: &Path) -> io::Result<Self> {
        let file = Segment::open(path)?;
        if file.get(Field::Magic) != MAGIC {
            return Err(io::Error::other(format!("{} is no history", path.display())));
        }
        let state = match file.get(Field::State) {
            1 => State::Sealed,
            2 => State::Replaced,
            _ => State::Open,
        };
        let (alive, leaked) = (file.get(Field::Alive), file.get(Field::Leaked));
        Ok(Self { state, records: Vec::new(), torn: false, alive, leaked })
    }
}

/// A file of a history, mapped.
#[derive(Debug)]
struct Segment(MmapRaw);

impl Segment {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        // No block is taken before a record is written there.
        file.set_len((HEADER + CAPACITY * SIZE) as u64)?;
        let segment = Self(MmapOptions::new().map_raw(&file)?);
        segment.set(Field::Alive, clock::now());
        segment.set(Field::Magic, MAGIC);
        Ok(segment)
    }

    fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        if file.metadata()?.len() != (HEADER + CAPACITY * SIZE) as u64 {
            return Err(io::Error::other(format!("{} is no history", path.display())));
        }
        Ok(Self(MmapOptions::new().map_raw(&file)?))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index * 8 < self.0.len());
        // SAFETY: the index is within the mapping, whose length was checked, which is aligned to a page and lives as long as the
        // reference. Whoever else has the file mapped accesses it by atomics as well.
        unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().cast::<u64>().add(index)) }
    }

    fn get(&self, field: Field) -> u64 {
        // Acquire, pairs with the release in `set`: records before a state are seen with it.
        self.word(field as usize).load(Ordering::Acquire)
    }

    fn set(&self, field: Field, value: u64) {
        self.word(field as usize).store(value, Ordering::Release);
    }

    fn write(&self, place: usize, words: [u64; WORDS]) {
        for (at, word) in words.into_iter().enumerate() {
            // Release, so that the seal, which comes last, is never there before the rest.
            self.word((HEADER + place * SIZE) / 8 + at).store(word, Ordering::Release);
        }
    }

    fn read(&self, place: usize) -> [u64; WORDS] {
        // Acquire, pairs with the release in `write`.
        let word = |at| self.word((HEADER + place * SIZE) / 8 + at).load(Ordering::Acquire);
        // The seal first: what is sealed is complete.
        let sealed = word(3);
        [word(0), word(1), word(2), sealed]
    }
}
