//! A checksum and a copy, through the framework, by an engine the framework does not know.

use std::error::Error;
use std::sync::Arc;

use tally::{Tally, TallyDriver};
use uaccel::{Checksum, Fallback, Memory, Runtime};
use uaccel_sim::{Plan, ThreadHost, ThreadHostConfig};

/// The name of the device; simulated ones are only used by name.
const DEVICE: &str = "tally0";

fn main() -> Result<(), Box<dyn Error>> {
    let config = ThreadHostConfig { device: DEVICE.to_owned(), ..ThreadHostConfig::default() };
    let device = Arc::new(ThreadHost::new(Tally::new(), config, Plan::default())?);
    let runtime = Runtime::builder()
        .driver(Arc::new(TallyDriver))
        .bus(device.clone())
        .device(DEVICE)
        // So that nothing but the engine can have done the work.
        .fallback(Fallback::Never)
        .build()?;

    // More than the engine takes in one job, and not a round number.
    let source: Vec<u8> = (0..3_333_333_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut copy = vec![0; source.len()];
    let checksum = Checksum::crc32c(&runtime).of(&source)?;
    Memory::new(&runtime).copy(&source, &mut copy)?;

    assert_eq!(checksum, plain_crc32c(&source), "the checksum is that of a plain loop");
    assert!(copy == source, "the copy is a copy");

    println!("{} bytes, CRC-32C {checksum:#010x}, copied: by {}", source.len(), runtime.device());
    println!("runtime: {:#?}", runtime.counters());
    println!("device:  {:#?}", device.stats().total);
    Ok(())
}

/// Bit by bit, with nothing of the engine's.
fn plain_crc32c(bytes: &[u8]) -> u32 {
    let mut rest = !0_u32;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = if rest & 1 != 0 { rest >> 1 ^ 0x82f6_3b78 } else { rest >> 1 };
        }
    }
    !rest
}
