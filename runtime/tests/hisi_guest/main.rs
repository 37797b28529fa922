//! What the vendor's own kernel driver, unmodified, makes of the model of a Kunpeng ZIP function, and what we make of the node that it offers.
//!
//! Built only with the feature `device-tests`, and run where there is such a function and nobody else uses it, one test at a time: in the lab's guest,
//!
//!     sva-lab run --device hisi-zip -- <this program> --test-threads=1
//!
//! Modules `node`, `opening` and `probe` use the kernel's interface alone. Whatever goes through the driver of this project stands beside them.

mod bench;
mod node;
mod opening;
mod probe;
