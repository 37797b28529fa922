//! Eight threads on one runtime, each with another mixture of algorithms. Every result is checked.
//!
//! ```text
//! cargo run --release --example many_threads [DEVICE]
//! ```

use std::error::Error;
use std::thread;

use uaccel::{
    Aead, AeadAlgorithm, Checksum, Compressor, Decompressor, Digest, DigestAlgorithm, Format, Level, Memory, Runtime,
};

const THREADS: u8 = 8;
const ROUNDS: u8 = 50;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut builder = Runtime::builder();
    if let Some(device) = std::env::args().nth(1) {
        builder = builder.device(device);
    }
    let runtime = builder.build()?;
    println!("{}", runtime.report());

    // What the threads use is made once: sessions are immutable, and handles can be shared.
    let tools = &Tools::new(&runtime)?;
    thread::scope(|scope| {
        let work = |number| move || (0..ROUNDS).try_for_each(|round| tools.use_all(number, round));
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(work(number))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;

    println!("{THREADS} threads, {ROUNDS} rounds each, all results right");
    println!("{:#?}", runtime.counters());
    Ok(())
}

struct Tools {
    packers: Vec<(Compressor, Decompressor)>,
    ciphers: Vec<Aead>,
    sha256: Digest,
    crc32c: Checksum,
    memory: Memory,
}

impl Tools {
    fn new(runtime: &Runtime) -> Result<Self, uaccel::Error> {
        let packers = Format::ALL
            .into_iter()
            .map(|format| Ok((Compressor::new(runtime, format, Level::Fast)?, Decompressor::new(runtime, format)?)));
        let ciphers = AeadAlgorithm::ALL.into_iter().map(|algorithm| {
            let key_len = algorithm.algorithm().key_len().unwrap_or_default();
            Aead::new(runtime, algorithm, &vec![7; key_len])
        });
        Ok(Self {
            packers: packers.collect::<Result<_, uaccel::Error>>()?,
            ciphers: ciphers.collect::<Result<_, _>>()?,
            sha256: Digest::new(runtime, DigestAlgorithm::Sha256)?,
            crc32c: Checksum::crc32c(runtime),
            memory: Memory::new(runtime),
        })
    }

    /// Packs, seals, copies, opens, unpacks; and wants to see the same checksum and digest in the end.
    fn use_all(&self, thread: u8, round: u8) -> Result<(), Box<dyn Error + Send + Sync>> {
        let text = format!("thread {thread}, round {round}. ").repeat(100 * usize::from(round + 1)).into_bytes();
        let turn = usize::from(thread) + usize::from(round);
        let (compressor, decompressor) = &self.packers[turn % self.packers.len()];
        let cipher = &self.ciphers[turn % self.ciphers.len()];
        // Never twice the same under one key.
        let nonce = [thread, round, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

        let sealed = cipher.seal(nonce, &[thread], &compressor.compress(&text)?)?;
        let mut copy = vec![0; sealed.len()];
        self.memory.copy(&sealed, &mut copy)?;
        let back = decompressor.decompress(&cipher.open(nonce, &[thread], &copy)?, text.len())?;

        let same = self.memory.difference(&text, &back)?.is_none()
            && self.crc32c.of(&text)? == self.crc32c.of(&back)?
            && self.sha256.digest(&text)? == self.sha256.digest(&back)?;
        if same { Ok(()) } else { Err(format!("thread {thread}, round {round}: another text came back").into()) }
    }
}
