//! `accel-bench` without arguments: real files through the simulated accelerator and the CPU, every byte verified with other libraries.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use uaccel_algorithms::{
    Aead, AeadAlgorithm, Checksum, Compressor, Decompressor, Digest, DigestAlgorithm, Format, Level, Memory,
};
use uaccel_cli::reason::with_sources;
use uaccel_cli::{figures, style};
use uaccel_runtime::{Algorithm, Direction, Error, Runtime};

use crate::case::Case;
use crate::corpus::{Corpus, Entry};
use crate::device::{Device, DeviceOptions};
use crate::environment::Environment;
use crate::exit::{self, Failure};
use crate::measure::{Method, measure};
use crate::size::ByteSize;
use crate::workload::Workload;
use crate::{Interrupt, Progress, oracle, table};

/// Bytes taken of a file.
const MOST_OF_A_FILE: u64 = 6 << 20;
/// Bytes of a message that is encrypted: files are encrypted in such records, as network and storage protocols do it.
const RECORD: usize = 64 << 10;
/// How often each input is taken through all operations; the faster pass counts.
const PASSES: usize = 2;
const KEY: [u8; 32] = *b"a key that is no secret at all..";

/// What is done with every input, in this order, on each device.
const STEPS: [Workload; 12] = [
    Workload::Copy,
    Workload::Compare,
    Workload::Crc32c,
    Workload::Session(Algorithm::Sha256, Direction::Forward),
    Workload::Session(Algorithm::Gzip, Direction::Forward),
    Workload::Session(Algorithm::Gzip, Direction::Inverse),
    Workload::Session(Algorithm::Zstd, Direction::Forward),
    Workload::Session(Algorithm::Zstd, Direction::Inverse),
    Workload::Session(Algorithm::Lz4Block, Direction::Forward),
    Workload::Session(Algorithm::Lz4Block, Direction::Inverse),
    Workload::Session(Algorithm::Aes256Gcm, Direction::Forward),
    Workload::Session(Algorithm::Aes256Gcm, Direction::Inverse),
];

/// Runs the demonstration, writes it to `out`, and returns the exit code.
pub(crate) fn demo(out: &mut dyn Write, interrupt: &Interrupt, progress: bool) -> Result<u8, Failure> {
    let options = DeviceOptions { depth: 32, queues: 2, ..DeviceOptions::default() };
    let open = |name| Device::open(name, &options);
    let (sim, software, null) = (open("sim")?, open("software")?, open("null")?);
    let limit = sim.runtime.granted().max_transfer;
    let corpus = Corpus::of_this_machine(1, MOST_OF_A_FILE.max(limit + limit / 2), limit);
    introduce(out, &sim, &corpus, limit)?;

    let progress = Progress::new(corpus.entries().len() * PASSES, progress);
    let mut trips = [Trip::new(&sim)?, Trip::new(&software)?];
    'all: for entry in corpus.entries() {
        for pass in 0..PASSES {
            progress.begin(entry.name.clone());
            for trip in &mut trips {
                if interrupt.is_set() {
                    break 'all;
                }
                trip.take(entry, pass);
            }
            progress.step();
        }
    }
    drop(progress);
    write_table(out, &trips)?;
    if !interrupt.is_set() {
        write_floor(out, [&sim, &software, &null], interrupt)?;
    }
    let good = trips.iter().all(|trip| trip.wrong.is_empty());
    write_verdict(out, &trips, interrupt)?;
    let mut notes = Environment::of_this_machine().warnings();
    notes.push("sim is simulated: its figures say what the framework costs, and nothing about hardware".to_owned());
    if interrupt.is_set() {
        notes.push("stopped early: only what was measured until then is shown".to_owned());
    }
    table::notes(&notes, out)?;
    write_next(out)?;
    Ok(match (interrupt.is_set(), good) {
        (true, _) => exit::INTERRUPTED,
        (_, false) => exit::FAILED,
        _ => exit::DONE,
    })
}

fn introduce(out: &mut dyn Write, sim: &Device, corpus: &Corpus, limit: u64) -> io::Result<()> {
    let (head, dim) = (style::HEAD, style::DIM);
    let mode = uaccel_cli::capabilities::address_mode(sim.runtime.granted().address_mode);
    writeln!(out, "{}", Environment::of_this_machine().line())?;
    writeln!(out)?;
    writeln!(
        out,
        "{head}back end: {}{head:#}, the simulated Warp engine on threads of this process, driven by '{}'",
        sim.runtime.device(),
        sim.driver
    )?;
    writeln!(
        out,
        "  It works on plain process pointers (addresses: {mode}), up to {} a job; nothing is registered or pinned.",
        size(limit)
    )?;
    writeln!(out, "  Beside it, through the same interface: software, this CPU; and null, which does nothing.")?;
    writeln!(out)?;
    writeln!(out, "{head}{:<48}{:>9}{head:#}", "inputs", "bytes")?;
    for entry in corpus.entries() {
        let mut remarks = Vec::new();
        if entry.full_len > entry.bytes.len() as u64 {
            remarks.push(format!("the first {} of it", size(entry.bytes.len() as u64)));
        }
        if entry.bytes.len() as u64 > limit {
            remarks.push("larger than one job".to_owned());
        }
        writeln!(
            out,
            "  {:<46}{:>9}  {dim}{}{dim:#}",
            shortened(&entry.name, 46),
            entry.bytes.len(),
            remarks.join("; ")
        )?;
    }
    writeln!(out)
}

fn write_table(out: &mut dyn Write, trips: &[Trip; 2]) -> io::Result<()> {
    let (head, dim, bad) = (style::HEAD, style::DIM, style::BAD);
    writeln!(
        out,
        "{head}{:<22}{:>16}{:>12}{:>8}{:>12}   every byte verified with{head:#}",
        "MB/s", "sim, simulated", "software", "ratio", "by the CPU"
    )?;
    for (index, workload) in STEPS.into_iter().enumerate() {
        let [sim, software] = trips.each_ref().map(|trip| &trip.steps[index]);
        if sim.bytes == 0 {
            continue;
        }
        let ratio = if workload.compresses() {
            figures::plain(sim.bytes as f64 / sim.made.max(1) as f64)
        } else {
            "-".to_owned()
        };
        let fallbacks = if sim.fallbacks == 0 { "-".to_owned() } else { figures::count(sim.fallbacks, "job") };
        let verified = match sim.wrong + software.wrong {
            0 => oracle::library(workload).to_owned(),
            wrong => format!("{bad}{wrong} WRONG{bad:#}"),
        };
        writeln!(
            out,
            "  {:<20}{:>16}{:>12}{ratio:>8}{fallbacks:>12}   {verified}",
            workload.to_string(),
            sim.megabytes_per_second(),
            software.megabytes_per_second(),
        )?;
    }
    writeln!(
        out,
        "{dim}  MB/s of text, the faster of {PASSES} passes; encryption in records of {} KiB{dim:#}",
        RECORD >> 10
    )?;
    writeln!(
        out,
        "{dim}  by the CPU: what is larger than one job and cannot be split, so the simulator left it to the CPU{dim:#}"
    )
}

/// What an empty job costs on each device.
fn write_floor(out: &mut dyn Write, devices: [&Device; 3], interrupt: &Interrupt) -> Result<(), Failure> {
    let head = style::HEAD;
    let method = Method { time: Duration::from_millis(150), interrupt: interrupt.clone(), ..Method::default() };
    let case = Case::new(Workload::Nop, ByteSize(1), None, &Corpus::default(), 1)
        .map_err(|error| Failure::Failed(error.to_string()))?;
    writeln!(out, "\n{head}the framework's own cost: an empty job, there and back, one at a time{head:#}")?;
    for device in devices {
        let found = measure(device, &case, &method).map_err(|error| Failure::Failed(with_sources(&error)))?;
        let [half, most] =
            [50.0, 99.0].map(|percentile| figures::time(found.latency.value_at_percentile(percentile) as f64));
        writeln!(out, "  {:<20}{half:>16} median{most:>12} for 99 of 100", device.identity.label())?;
    }
    Ok(())
}

fn write_verdict(out: &mut dyn Write, trips: &[Trip; 2], interrupt: &Interrupt) -> io::Result<()> {
    let (good, bad) = (style::GOOD, style::BAD);
    let wrong: Vec<_> = trips.iter().flat_map(|trip| &trip.wrong).collect();
    let results: u64 = trips.iter().map(|trip| trip.results).sum();
    let bytes: u64 = trips.iter().map(|trip| trip.compared).sum();
    writeln!(out)?;
    for reason in wrong.iter().take(10) {
        writeln!(out, "{bad}wrong:{bad:#} {reason}")?;
    }
    let so_far = if interrupt.is_set() { " so far" } else { "" };
    if wrong.is_empty() {
        writeln!(
            out,
            "{good}verified:{good:#} {results} results, {} MB{so_far}, all right; no source was altered",
            figures::plain(bytes as f64 / 1e6)
        )
    } else {
        writeln!(out, "{bad}{} of {results} results were wrong{so_far}{bad:#}", wrong.len())
    }
}

fn write_next(out: &mut dyn Write) -> io::Result<()> {
    let head = style::HEAD;
    writeln!(out, "\n{head}try next{head:#}")?;
    for (command, what) in [
        ("accel-bench list", "the devices of this machine, and why each is usable or not"),
        ("accel-bench run", "all algorithms at several sizes, latency percentiles, break-even"),
        ("accel-bench run -a zlib --profile hisilicon-zip", "with the published times of real hardware"),
        ("accel-bench run --file YOUR.DATA --json", "your own data, for a program to read"),
        ("accel-bench raw --beside", "every promise beside the physical limit of this machine"),
    ] {
        writeln!(out, "  {command:<50}{what}")?;
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// The end of a name, which says more than its beginning.
fn shortened(name: &str, width: usize) -> String {
    let len = name.chars().count();
    if len <= width {
        name.to_owned()
    } else {
        format!("...{}", name.chars().skip(len - width + 3).collect::<String>())
    }
}

/// One device's way through all inputs.
struct Trip {
    device: String,
    runtime: Runtime,
    memory: Memory,
    crc32c: Checksum,
    sha256: Digest,
    packers: [(Format, Compressor, Decompressor); 3],
    aead: Aead,
    steps: [Step; STEPS.len()],
    wrong: Vec<String>,
    results: u64,
    compared: u64,
}

/// Totals of one operation.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// Bytes of text in one pass.
    bytes: u64,
    /// Bytes written in one pass.
    made: u64,
    times: [Duration; PASSES],
    fallbacks: u64,
    wrong: u64,
}

impl Step {
    fn megabytes_per_second(&self) -> String {
        let best = self.times.iter().filter(|time| !time.is_zero()).min().copied().unwrap_or_default().as_secs_f64();
        if best > 0.0 { figures::plain(self.bytes as f64 / 1e6 / best) } else { "-".to_owned() }
    }
}

impl Trip {
    fn new(device: &Device) -> Result<Self, Failure> {
        let runtime = device.runtime.clone();
        let build = || {
            let packer = |format| {
                Ok::<_, Error>((
                    format,
                    Compressor::new(&runtime, format, Level::Default)?,
                    Decompressor::new(&runtime, format)?,
                ))
            };
            Ok::<_, Error>(Self {
                device: device.identity.label(),
                memory: Memory::new(&runtime),
                crc32c: Checksum::crc32c(&runtime),
                sha256: Digest::new(&runtime, DigestAlgorithm::Sha256)?,
                packers: [packer(Format::Gzip)?, packer(Format::Zstd)?, packer(Format::Lz4Block)?],
                aead: Aead::new(&runtime, AeadAlgorithm::Aes256Gcm, &KEY)?,
                runtime: runtime.clone(),
                steps: [Step::default(); STEPS.len()],
                wrong: Vec::new(),
                results: 0,
                compared: 0,
            })
        };
        build().map_err(|error| Failure::Failed(with_sources(&error)))
    }

    /// Takes one input through all operations.
    fn take(&mut self, entry: &Entry, pass: usize) {
        let text = &entry.bytes[..];
        // Taken before anything is submitted, and by another library than the one that will be asked.
        let before = oracle::crc32c(text);
        self.plain(entry, pass, text, before);
        for index in 0..self.packers.len() {
            self.pack(entry, pass, text, index);
        }
        self.seal(entry, pass, text);
        self.verify(entry, "the source after all jobs", None, 0, oracle::crc32c(text) == before);
    }

    /// Copy, comparison, checksum, digest.
    fn plain(&mut self, entry: &Entry, pass: usize, text: &[u8], before: u32) {
        let mut copy = vec![0; text.len()];
        let (memory, crc32c, sha256) = (self.memory.clone(), self.crc32c.clone(), self.sha256.clone());
        if self.time(0, pass, entry, || memory.copy(text, &mut copy)).is_some() {
            self.verify(entry, "copy", Some(0), text.len(), copy == text);
        }
        if let Some(found) = self.time(1, pass, entry, || memory.difference(text, &copy)) {
            self.verify(entry, "comparison", Some(1), text.len(), found.is_none());
        }
        if let Some(found) = self.time(2, pass, entry, || crc32c.of(text)) {
            self.verify(entry, "checksum", Some(2), text.len(), found == before);
        }
        if let Some(found) = self.time(3, pass, entry, || sha256.digest(text)) {
            let expected = oracle::digest(Algorithm::Sha256, &[], text);
            self.verify(
                entry,
                "digest",
                Some(3),
                text.len(),
                expected.is_ok_and(|expected| expected == found.as_bytes()),
            );
        }
    }

    /// Compression, verified by decoding with another library; then decompression of what was made.
    fn pack(&mut self, entry: &Entry, pass: usize, text: &[u8], index: usize) {
        let step = 4 + 2 * index;
        let (format, compressor, decompressor) = self.packers[index].clone();
        let Some(packed) = self.time(step, pass, entry, || compressor.compress(text)) else { return };
        if pass == 0 {
            self.steps[step].made += packed.len() as u64;
        }
        let decoded = oracle::decompress(format.algorithm(), &packed, text.len());
        self.verify(entry, "stream", Some(step), text.len(), decoded.is_ok_and(|decoded| decoded == text));
        if let Some(back) = self.time(step + 1, pass, entry, || decompressor.decompress(&packed, text.len())) {
            self.verify(entry, "text", Some(step + 1), text.len(), back == text);
        }
    }

    /// Encryption in records, verified by encrypting with another library; then decryption.
    fn seal(&mut self, entry: &Entry, pass: usize, text: &[u8]) {
        const STEP: usize = 10;
        let aead = self.aead.clone();
        let records = text.len().div_ceil(RECORD);
        let mut sealed = vec![0; text.len() + records * Aead::TAG_LEN];
        let nonce = |index: usize| {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&(index as u64).to_be_bytes());
            nonce
        };
        let done = self.time(STEP, pass, entry, || {
            let rooms = sealed.chunks_mut(RECORD + Aead::TAG_LEN);
            text.chunks(RECORD).zip(rooms).enumerate().try_for_each(|(index, (record, room))| {
                aead.seal_into(nonce(index), entry.name.as_bytes(), record, room).map(drop)
            })
        });
        if done.is_none() {
            return;
        }
        let expected = text.chunks(RECORD).enumerate().map(|(index, record)| {
            oracle::seal(Algorithm::Aes256Gcm, &KEY, nonce(index), entry.name.as_bytes(), record).unwrap_or_default()
        });
        let right = sealed.chunks(RECORD + Aead::TAG_LEN).eq(expected);
        self.verify(entry, "ciphertext", Some(STEP), text.len(), right);
        let mut opened = vec![0; text.len()];
        let done = self.time(STEP + 1, pass, entry, || {
            let rooms = opened.chunks_mut(RECORD);
            sealed.chunks(RECORD + Aead::TAG_LEN).zip(rooms).enumerate().try_for_each(|(index, (record, room))| {
                aead.open_into(nonce(index), entry.name.as_bytes(), record, room).map(drop)
            })
        });
        if done.is_some() {
            self.verify(entry, "plaintext", Some(STEP + 1), text.len(), opened == text);
        }
    }

    /// Runs and times one operation on one input. `None` if it failed, which is noted.
    fn time<T>(
        &mut self,
        step: usize,
        pass: usize,
        entry: &Entry,
        run: impl FnOnce() -> Result<T, Error>,
    ) -> Option<T> {
        let fallbacks = self.runtime.counters().fallbacks;
        let begun = Instant::now();
        let result = run();
        let elapsed = begun.elapsed();
        let totals = &mut self.steps[step];
        totals.times[pass] += elapsed;
        totals.fallbacks += self.runtime.counters().fallbacks - fallbacks;
        if pass == 0 {
            totals.bytes += entry.bytes.len() as u64;
        }
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                totals.wrong += 1;
                self.results += 1;
                self.wrong.push(format!(
                    "{}: {} of {}: {}",
                    self.device,
                    STEPS[step],
                    entry.name,
                    with_sources(&error)
                ));
                None
            }
        }
    }

    /// Counts a result, and notes it if it is not right.
    fn verify(&mut self, entry: &Entry, what: &str, step: Option<usize>, bytes: usize, right: bool) {
        self.results += 1;
        self.compared += bytes as u64;
        if right {
            return;
        }
        let operation = step.map_or_else(String::new, |step| {
            self.steps[step].wrong += 1;
            format!("{}: ", STEPS[step])
        });
        self.wrong.push(format!("{}: {operation}{what} of {} is not what it should be", self.device, entry.name));
    }
}
