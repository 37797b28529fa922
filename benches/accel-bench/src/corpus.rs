//! What the jobs work on: files, or data made from a seed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::random::Random;

/// Named inputs.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    entries: Vec<Entry>,
}

/// One input.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is: a path, or what was generated.
    pub name: String,
    /// Whether it was read from a file.
    pub real: bool,
    /// The whole length of the file, of which `bytes` may be the beginning.
    pub full_len: u64,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Files that exist on most machines: text, tables, certificates, program code.
const COMMON: [&str; 6] = [
    "/etc/services",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/share/common-licenses/GPL-3",
    "/usr/share/dict/words",
    "/usr/bin/bash",
    "/bin/busybox",
];

/// Bytes of each generated input of [`Corpus::generated`].
const GENERATED: usize = 2 << 20;

impl Corpus {
    /// Text, records and noise, 2 MiB each, that depend on the seed only.
    #[must_use]
    pub fn generated(seed: u64) -> Self {
        let entries = vec![
            Entry::made("text, generated", prose(seed, GENERATED)),
            Entry::made("records, generated", records(seed, GENERATED)),
            Entry::made("noise, generated", Random::new(seed).bytes(GENERATED)),
        ];
        Self { entries }
    }

    /// Reads files whole.
    ///
    /// # Errors
    /// The path that cannot be read, or that is empty, and why.
    pub fn of_files(paths: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let entries = paths.iter().map(|path| {
            let entry = Entry::read(path, u64::MAX).map_err(|error| (path.clone(), error))?;
            if entry.bytes.is_empty() {
                return Err((path.clone(), io::Error::other("is empty")));
            }
            Ok(entry)
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// What a demonstration works on: files that are on this machine, up to `most` bytes of each, and one generated input of more than
    /// `larger_than` bytes, so that there is something to do everywhere.
    #[must_use]
    pub fn of_this_machine(seed: u64, most: u64, larger_than: u64) -> Self {
        let own = std::env::current_exe().ok();
        let mut entries: Vec<_> = COMMON
            .iter()
            .map(PathBuf::from)
            .chain(own)
            // What is missing or may not be read is no loss.
            .filter_map(|path| Entry::read(&path, most).ok())
            .filter(|entry| !entry.bytes.is_empty())
            .collect();
        let long = usize::try_from(larger_than + larger_than / 4 + 1).unwrap_or(GENERATED);
        entries.push(Entry::made("text, generated", prose(seed, long)));
        entries.push(Entry::made("records, generated", records(seed, GENERATED / 2)));
        entries.push(Entry::made("noise, generated", Random::new(seed).bytes(GENERATED / 4)));
        Self { entries }
    }

    /// The inputs.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of all inputs together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes.len()).sum()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` pieces of `size` bytes, spread evenly over all inputs laid end to end. Where there is less than `size`, it is repeated.
    #[must_use]
    pub fn pieces(&self, size: usize, count: usize) -> Vec<Vec<u8>> {
        let all = self.entries.iter().map(|entry| &entry.bytes[..]).collect::<Vec<_>>().concat();
        if all.is_empty() {
            return vec![vec![0; size]; count];
        }
        // Pieces that fit are taken without wrapping round the end.
        let span = all.len().saturating_sub(size);
        (0..count)
            .map(|index| {
                let start = span / (count - 1).max(1) * index;
                let mut piece = Vec::with_capacity(size);
                while piece.len() < size {
                    let from = &all[(start + piece.len()) % all.len()..];
                    piece.extend_from_slice(&from[..from.len().min(size - piece.len())]);
                }
                piece
            })
            .collect()
    }
}

impl Entry {
    fn made(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), real: false, full_len: bytes.len() as u64, bytes }
    }

    fn read(path: &Path, most: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let full_len = file.metadata()?.len();
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(Self { name: path.display().to_string(), real: true, full_len: full_len.max(bytes.len() as u64), bytes })
    }
}

/// Sentences over a vocabulary of made-up words, the frequent ones short: compresses about as prose does.
fn prose(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x70_72_6f_73_65);
    let words: Vec<String> = (0..4096)
        .map(|rank: usize| {
            let letters = 2 + (rank + 1).ilog2() as usize / 2 + random.below(4);
            (0..letters)
                .map(|at| {
                    char::from(if at % 2 == 0 { b"tnshrdlcmw"[random.below(10)] } else { b"eaoiu"[random.below(5)] })
                })
                .collect()
        })
        .collect();
    let mut text = Vec::with_capacity(len + 16);
    let mut column = 0;
    while text.len() < len {
        // The product of two numbers below 64 is small far more often than large.
        let word = &words[random.below(64) * random.below(64)];
        text.extend_from_slice(word.as_bytes());
        column += word.len() + 1;
        match random.below(12) {
            0 => text.extend_from_slice(b". "),
            1 => text.extend_from_slice(b", "),
            _ if column > 72 => {
                text.push(b'\n');
                column = 0;
            }
            _ => text.push(b' '),
        }
    }
    text.truncate(len);
    text
}

/// Records of 32 bytes as a table of measurements has them: counters, small differences, flags, and a few random bits.
fn records(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0x62_69_6e_61_72_79);
    let (mut time, mut value) = (1_700_000_000_000_u64, 20_000_u64);
    let mut bytes = Vec::with_capacity(len + 32);
    for serial in 0.. {
        if bytes.len() >= len {
            break;
        }
        time += 1000 + random.below(16) as u64;
        value = value.wrapping_add(random.below(64) as u64).wrapping_sub(32);
        bytes.extend_from_slice(&u64::to_le_bytes(serial));
        bytes.extend_from_slice(&time.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes.extend_from_slice(&[1, 0, 0, 0, u8::from(random.below(8) == 0), 0]);
        bytes.extend_from_slice(&random.next_u64().to_le_bytes()[..2]);
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let (a, b, c) = (Corpus::generated(1), Corpus::generated(1), Corpus::generated(2));
        for ((a, b), c) in a.entries().iter().zip(b.entries()).zip(c.entries()) {
            assert_eq!(a.bytes, b.bytes);
            assert_ne!(a.bytes, c.bytes);
            assert_eq!(a.bytes.len(), GENERATED);
        }
    }

    #[test]
    fn pieces_have_their_size_and_reach_the_end() {
        let corpus = Corpus { entries: vec![Entry::made("a", (0..100).collect())] };
        let pieces = corpus.pieces(10, 4);
        assert_eq!(pieces[0], (0..10).collect::<Vec<u8>>());
        assert_eq!(pieces[3], (90..100).collect::<Vec<u8>>());
        assert!(corpus.pieces(250, 3).iter().all(|piece| piece.len() == 250));
        assert_eq!(Corpus::default().pieces(7, 2), vec![vec![0; 7]; 2]);
    }

    #[test]
    fn a_machine_has_always_something_and_one_input_is_long() {
        let corpus = Corpus::of_this_machine(1, 1 << 20, 4 << 20);
        assert!(corpus.entries().len() >= 3);
        assert!(corpus.entries().iter().any(|entry| entry.bytes.len() > 4 << 20));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let path = PathBuf::from("/nowhere/to/be/found");
        assert_eq!(Corpus::of_files(std::slice::from_ref(&path)).expect_err("not there").0, path);
    }
}
