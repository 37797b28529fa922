//! The model of the ZIP engine: compression in the formats of the deflate family, in queues of one direction each.
//!
//! What software reaches of a queue is its doorbells and its rings. How the rings are set up is the kernel's business on hardware, and a machine emulator's
//! host [starts](HisiZip::start) a queue by the contexts that the kernel wrote. A host without a kernel has the queue's ring memory, laid out as the kernel does it:
//! there the first doorbell starts the queue, and the model writes the stop words.

mod completions;
mod config;
mod decode;
mod engine;
mod list;
mod model;
mod registers;
mod rings;
mod stream;
mod submissions;

pub use completions::Completions;
pub use config::{HisiZipConfig, HisiZipConfigError};
pub use model::{HisiZip, StartError};
pub use submissions::Submissions;
