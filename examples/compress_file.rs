//! Compresses a file with gzip through the `std::io` adaptors, and reads it back.
//!
//! ```text
//! cargo run --release --example compress_file [FILE [DEVICE]]
//! ```
//!
//! Without a file it takes its own executable, and writes nothing to disk either way.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use uaccel::{Level, Runtime, read, write};

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

    // To pack: text goes into a writer. While one member is packed, the next is read from the file.
    let begun = Instant::now();
    let mut encoder = write::GzEncoder::new(&runtime, Vec::new(), Level::Default)?;
    let len = io::copy(&mut File::open(&file)?, &mut encoder)?;
    let packed = encoder.finish()?;
    let packed_in = begun.elapsed();

    // To unpack: text comes out of a reader. It is compared with the file as it comes.
    let begun = Instant::now();
    let mut comparison = Comparison { original: File::open(&file)?, compared: 0 };
    io::copy(&mut read::MultiGzDecoder::new(&runtime, &packed[..])?, &mut comparison)?;
    let unpacked_in = begun.elapsed();
    if comparison.compared != len {
        return Err(format!("{} of {len} bytes came back", comparison.compared).into());
    }

    println!("{}: {len} bytes, packed {} on device '{}'", file.display(), packed.len(), runtime.device());
    println!("packed in {packed_in:.2?}, unpacked and compared in {unpacked_in:.2?}");
    println!("{:#?}", runtime.counters());
    Ok(())
}

/// A writer that insists on being told what stands in a file.
struct Comparison {
    original: File,
    compared: u64,
}

impl Write for Comparison {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut expected = vec![0; bytes.len()];
        self.original.read_exact(&mut expected)?;
        if bytes != expected {
            return Err(io::Error::other(format!("differs from the file after byte {}", self.compared)));
        }
        self.compared += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
