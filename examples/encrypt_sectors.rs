//! Encrypts a file as a disk does: sector by sector with AES-256-XTS, each where it stands, and back.
//!
//! ```text
//! cargo run --release --example encrypt_sectors [FILE [DEVICE]]
//! ```
//!
//! Without a file it takes its own executable, and writes nothing to disk either way.

use std::collections::VecDeque;
use std::error::Error;
use std::path::PathBuf;

use uaccel::{Cipher, CipherAlgorithm, JobFuture, Runtime};

const SECTOR: usize = 4096;

/// Sectors in flight.
const DEPTH: usize = 16;

type Sectors = Vec<Box<[u8]>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let file = match arguments.next() {
        Some(file) => PathBuf::from(file),
        None => std::env::current_exe()?,
    };
    let mut builder = Runtime::builder();
    if let Some(device) = arguments.next() {
        builder = builder.device(device.to_string_lossy());
    }
    let runtime = builder.build()?;
    let original: Sectors = std::fs::read(&file)?.chunks(SECTOR).map(padded).collect();

    // XTS takes two keys that differ. Those of a disk come from a random source.
    let keys: Vec<u8> = (0..64).collect();
    let disk = Cipher::new(&runtime, CipherAlgorithm::Aes256Xts, &keys)?;
    let encrypted = each(original.clone(), |tweak, sector| {
        disk.submit_encrypt_in_place(tweak, sector).map_err(|rejected| rejected.error)
    })?;
    if let Some(number) = original.iter().zip(&encrypted).position(|(text, ciphertext)| text == ciphertext) {
        return Err(format!("sector {number} is as it was").into());
    }
    let decrypted = each(encrypted, |tweak, sector| {
        disk.submit_decrypt_in_place(tweak, sector).map_err(|rejected| rejected.error)
    })?;
    if let Some(number) = original.iter().zip(&decrypted).position(|(before, after)| before != after) {
        return Err(format!("sector {number} came back as another one").into());
    }
    println!("{}: {} sectors, there and back on device '{}'", file.display(), original.len(), runtime.device());
    println!("{:#?}", runtime.counters());
    Ok(())
}

/// Submits a job per sector, with the sector's number as its tweak, and returns the sectors in order. A job owns its sector until it is done.
fn each(
    sectors: Sectors,
    submit: impl Fn([u8; 16], Box<[u8]>) -> Result<JobFuture<(), Box<[u8]>>, uaccel::Error>,
) -> Result<Sectors, uaccel::Error> {
    let mut in_flight = VecDeque::with_capacity(DEPTH);
    let mut done = Vec::with_capacity(sectors.len());
    for (number, sector) in (0_u128..).zip(sectors) {
        if in_flight.len() == DEPTH
            && let Some(oldest) = in_flight.pop_front()
        {
            done.push(finished(oldest)?);
        }
        in_flight.push_back(submit(number.to_le_bytes(), sector)?);
    }
    for job in in_flight {
        done.push(finished(job)?);
    }
    Ok(done)
}

fn finished(job: JobFuture<(), Box<[u8]>>) -> Result<Box<[u8]>, uaccel::Error> {
    job.wait().into_output().map(|(_, sector)| sector)
}

/// A sector, with zeros behind the end of the file.
fn padded(bytes: &[u8]) -> Box<[u8]> {
    let mut sector = vec![0; SECTOR];
    sector[..bytes.len()].copy_from_slice(bytes);
    sector.into_boxed_slice()
}
